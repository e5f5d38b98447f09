//! Deadlines for guests that run in the master, which must not have threads because it forks: a timer of the kernel that
//! counts this process' CPU time sends SIGPROF, and its handler moves the engine's clock on. `startup.rs` and `lua/`
//! use it; workers have a thread (`engine.rs`).

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

struct Clock<'a> {
    outer: *mut Arc<dyn Engine>,
    timer: libc::itimerval,
    mask: libc::sigset_t,
    _engine: &'a Arc<dyn Engine>,
}

impl<'a> Clock<'a> {
    fn start(engine: &'a Arc<dyn Engine>) -> Self {
        let outer = CLOCKED.swap(ptr::from_ref(engine).cast_mut(), Ordering::SeqCst);
        let tick = libc::timeval { tv_sec: 0, tv_usec: TICK.as_micros() as libc::suseconds_t };
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

        let mut timer = libc::itimerval::zeros();
        let every_tick = libc::itimerval { it_interval: tick, it_value: tick };
        // SAFETY: both structures are there.
        unsafe { libc::setitimer(libc::ITIMER_PROF, &every_tick, &mut timer) };
        Clock { outer, timer, mask, _engine: engine }
    }
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        // SAFETY: this timer was there before. A pending signal arrives on return from the call, while the handler's engine lives.
        unsafe { libc::setitimer(libc::ITIMER_PROF, &self.timer, ptr::null_mut()) };
        // SAFETY: so was this set of signals.
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
}
