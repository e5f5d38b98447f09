//! Deadlines for guests that run in the master, which must not have threads because it forks: a timer of the kernel that
//! counts this process' CPU time sends SIGPROF, and its handler moves the engine's clock on. `startup.rs` and `lua/`
//! use it. Workers have a thread (`engine.rs`), and this in its place where the system gives them none.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use ngx_wasm::vm::{Engine, TICK};

use crate::nginx::plain::Plain;

/// The engine whose clock runs, or null.
static CLOCKED: AtomicPtr<Arc<dyn Engine>> = AtomicPtr::new(ptr::null_mut());

/// Runs `body` with the clock of `engine` ticking.
pub fn with_cpu_clock<R>(engine: &Arc<dyn Engine>, body: impl FnOnce() -> R) -> R {
    let _clock = Clock::start(engine);
    body()
}

/// Engines that a process may have beside each other: there are four variants, and single processes that read another configuration.
const MOST_KEPT: usize = 16;

/// The engines whose clock runs for as long as the process does. The first null ends the list.
static KEPT: [AtomicPtr<Arc<dyn Engine>>; MOST_KEPT] = [const { AtomicPtr::new(ptr::null_mut()) }; MOST_KEPT];

/// Has the clock of `engine` tick from now on, whenever this process computes. The engine stays until the process ends.
pub fn keep_ticking(engine: &Arc<dyn Engine>) -> Result<(), String> {
    for place in &KEPT {
        let known = place.load(Ordering::SeqCst);
        if known.is_null() {
            place.store(Box::into_raw(Box::new(engine.clone())), Ordering::SeqCst);
            handle_ticks();
            set_timer(&every_tick());
            return Ok(());
        }
        // SAFETY: what is in the list is never freed.
        if unsafe { Arc::ptr_eq(&*known, engine) } {
            return Ok(());
        }
    }
    Err(format!("there are {MOST_KEPT} engines already"))
}

/// Whether the clock of an engine runs so.
pub fn is_kept() -> bool {
    !KEPT[0].load(Ordering::SeqCst).is_null()
}

/// Ends that, since the process ends: nginx takes this library, and the handler with it, out of memory before the process is gone.
pub fn keep_no_longer() {
    if is_kept() {
        // A signal that is on its way arrives on return from the call.
        set_timer(&libc::itimerval::zeros());
    }
}

/// Has the handler called for each tick, and lets the signal through. Answers which signals were blocked before.
fn handle_ticks() -> libc::sigset_t {
    let mut action = libc::sigaction::zeros();
    action.sa_sigaction = on_tick as *const () as usize;
    // Wasmtime's own handlers need room; nginx has no alternate stack, so this is the ordinary one. A set of zeros is empty.
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler may run at any time. It stays in place afterwards: a signal that is on its way when the timer stops
    // would end the process otherwise.
    unsafe { libc::sigaction(libc::SIGPROF, &action, ptr::null_mut()) };

    let (mut set, mut mask) = (libc::sigset_t::zeros(), libc::sigset_t::zeros());
    // SAFETY: a set of zeros is one of no signals.
    unsafe { libc::sigaddset(&mut set, libc::SIGPROF) };
    // SAFETY: both sets are there, and the handler is too.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, &mut mask) };
    mask
}

fn every_tick() -> libc::itimerval {
    let tick = libc::timeval { tv_sec: 0, tv_usec: TICK.as_micros() as libc::suseconds_t };
    libc::itimerval { it_interval: tick, it_value: tick }
}

/// Answers what the timer was before.
fn set_timer(timer: &libc::itimerval) -> libc::itimerval {
    let mut before = libc::itimerval::zeros();
    // SAFETY: both structures are there.
    unsafe { libc::setitimer(libc::ITIMER_PROF, timer, &mut before) };
    before
}

struct Clock<'a> {
    outer: *mut Arc<dyn Engine>,
    timer: libc::itimerval,
    mask: libc::sigset_t,
    _engine: &'a Arc<dyn Engine>,
}

impl<'a> Clock<'a> {
    fn start(engine: &'a Arc<dyn Engine>) -> Self {
        let outer = CLOCKED.swap(ptr::from_ref(engine).cast_mut(), Ordering::SeqCst);
        let mask = handle_ticks();
        let timer = set_timer(&every_tick());
        Clock { outer, timer, mask, _engine: engine }
    }
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        // A pending signal arrives on return from the call, while the handler's engine lives.
        set_timer(&self.timer);
        // SAFETY: this set of signals was there before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, ptr::null_mut()) };
        CLOCKED.store(self.outer, Ordering::SeqCst);
    }
}

extern "C" fn on_tick(_: libc::c_int) {
    let engine = CLOCKED.load(Ordering::SeqCst);
    if !engine.is_null() {
        // SAFETY: `Clock` borrows the engine and clears the pointer before the borrow ends. `Engine::tick` is made for
        // signal handlers.
        unsafe { (*engine).tick() };
    }
    for kept in &KEPT {
        let kept = kept.load(Ordering::SeqCst);
        if kept.is_null() {
            break;
        }
        // SAFETY: what is in the list is never freed.
        unsafe { (*kept).tick() };
    }
}
