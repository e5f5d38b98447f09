//! Signals by which the processor says that a guest did something wrong.
//!
//! WasmEdge takes them when a guest is entered and gives them back to nobody when the last one is left: six system calls, and a handler
//! that has no stack of its own, so that a guest which recurses without end ends the process. As long as a call is under way nothing
//! of that happens; so there is one that never ends (`parked.rs`), and the handlers are those of this file. They run on a stack of
//! their own, hand what guests did to WasmEdge, and leave all else to whoever had the signals before.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{mem, ptr};

const SIGNALS: [c_int; 3] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE];

/// What host calls and the library may need of a stack, at least.
const RESERVE: usize = 256 << 10;

/// How far below the end of a stack an access may be that is one beyond that end.
const BEYOND: usize = 2 << 20;

const HANDLER_STACK: usize = 64 << 10;

/// What the handlers know. Made once in a process; its forks inherit it.
struct Handlers {
    /// What had the signals before.
    before: [libc::sigaction; 3],
    /// WasmEdge's own handlers.
    library: [libc::sigaction; 3],
    /// The code of this process but that of WasmEdge and of guests. If something goes wrong in it, it is no trap of a guest: also if
    /// WasmEdge has called it, which may have locked what would stay locked.
    others: Vec<Range<usize>>,
}

static HANDLERS: OnceLock<Handlers> = OnceLock::new();

thread_local! {
    /// Guest code runs, or WasmEdge's for it.
    static IN_GUEST: Cell<bool> = const { Cell::new(false) };
    /// The stack of this thread, once it is known.
    static STACK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// The guest has come to its end.
    static IS_EXHAUSTED: Cell<bool> = const { Cell::new(false) };
}

/// Takes the signals. `park` enters a guest of WasmEdge that does not return; `inside` is an address in the library.
pub fn take(inside: usize, park: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    static ONCE: Mutex<()> = Mutex::new(());
    let _once = ONCE.lock().unwrap_or_else(PoisonError::into_inner);
    if HANDLERS.get().is_some() {
        return Ok(());
    }
    let before = SIGNALS.map(action);
    park()?;
    let library = SIGNALS.map(action);
    let is_same = |(a, b): (&libc::sigaction, &libc::sigaction)| a.sa_sigaction == b.sa_sigaction;
    if library.iter().zip(&before).any(is_same) || library.iter().any(|action| action.sa_flags & libc::SA_SIGINFO == 0)
    {
        return Err("this WasmEdge does not take the signals of its guests as it should".into());
    }
    let handlers = Handlers { before, library, others: code_of_others(inside) };
    if HANDLERS.set(handlers).is_ok() {
        for signal in SIGNALS {
            let mut action = action(signal);
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: the handler has the type that the flag says, may run at any time, and is there as long as the process.
            unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
        }
    }
    Ok(())
}

fn action(signal: c_int) -> libc::sigaction {
    // SAFETY: the structure may have any bits, and is filled.
    unsafe {
        let mut action = mem::zeroed();
        libc::sigaction(signal, ptr::null(), &mut action);
        action
    }
}

unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let (Some(handlers), Some(n)) = (HANDLERS.get(), SIGNALS.iter().position(|known| *known == signal)) else { return };
    let code = instruction(context);
    if IN_GUEST.get() && !handlers.others.iter().any(|range| range.contains(&code)) {
        // SAFETY: the kernel has filled it; these signals have an address.
        let address = unsafe { (*info).si_addr() } as usize;
        let (end, _) = STACK.get();
        IS_EXHAUSTED.set(end != 0 && (end.saturating_sub(BEYOND)..end + HANDLER_STACK).contains(&address));
        // SAFETY: the action is WasmEdge's, with a handler of three arguments. It leaves for where the guest was entered: only guest
        // code is on the way, and code of WasmEdge that it calls.
        unsafe {
            let theirs: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                mem::transmute(handlers.library[n].sa_sigaction);
            theirs(signal, info, context);
        }
    }
    // What went wrong goes wrong again, and is for whoever had the signal.
    // SAFETY: the action was there before.
    unsafe { libc::sigaction(signal, &handlers.before[n], ptr::null_mut()) };
}

/// Where the code was that went wrong.
#[cfg(target_arch = "x86_64")]
fn instruction(context: *mut c_void) -> usize {
    // SAFETY: the kernel passes this structure.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] as usize }
}

#[cfg(target_arch = "aarch64")]
fn instruction(context: *mut c_void) -> usize {
    // SAFETY: the kernel passes this structure.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc as usize }
}

/// Where code is mapped from files, but for the file with this address in it.
fn code_of_others(inside: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Vec<Range<usize>>> = Vec::new();
    // SAFETY: the callback has the type that the function wants, and gets the list, which lives.
    unsafe { libc::dl_iterate_phdr(Some(note_code), (&raw mut ranges).cast()) };
    ranges.retain(|object| !object.iter().any(|range| range.contains(&inside)));
    ranges.concat()
}

unsafe extern "C" fn note_code(info: *mut libc::dl_phdr_info, _: usize, list: *mut c_void) -> c_int {
    // SAFETY: the C library passes an object, whose segments are there, and the list that `code_of_others` has.
    let (list, info, segments) = unsafe {
        let info = &*info;
        let segments: &[libc::Elf64_Phdr] = match info.dlpi_phnum {
            0 => &[],
            number => std::slice::from_raw_parts(info.dlpi_phdr, number.into()),
        };
        (&mut *list.cast::<Vec<Vec<Range<usize>>>>(), info, segments)
    };
    let code = segments.iter().filter(|segment| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_X != 0);
    let range = |segment: &libc::Elf64_Phdr| {
        let start = (info.dlpi_addr + segment.p_vaddr) as usize;
        start..start + segment.p_memsz as usize
    };
    list.push(code.map(range).collect());
    0
}

/// Makes this thread ready to run guests: looks where its stack is, and gives it one for the handlers.
pub fn prepare_thread() {
    if STACK.get() != (0, 0) {
        return;
    }
    IN_GUEST.set(false);
    IS_EXHAUSTED.set(false);
    STACK.set(stack_of_thread().unwrap_or((1, 0)));
    // SAFETY: a structure of zeros is one; the call fills it.
    let now = unsafe {
        let mut now: libc::stack_t = mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut now);
        now
    };
    if now.ss_flags & libc::SS_DISABLE == 0 && now.ss_size >= HANDLER_STACK {
        return;
    }
    // It stays with the thread, and nobody knows when that ends: threads with guests live as long as the process.
    let room = Box::leak(vec![0u8; HANDLER_STACK].into_boxed_slice());
    let own = libc::stack_t { ss_sp: room.as_mut_ptr().cast(), ss_flags: 0, ss_size: room.len() };
    // SAFETY: the memory is nobody else's, for ever.
    unsafe { libc::sigaltstack(&own, ptr::null_mut()) };
}

/// Its lowest address and its size.
fn stack_of_thread() -> Option<(usize, usize)> {
    let mut start = ptr::null_mut();
    let mut size = 0;
    // SAFETY: the attributes are made by the first call, and destroyed when they were.
    unsafe {
        let mut attributes = mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return None;
        }
        libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
    }
    (!start.is_null()).then_some((start as usize, size))
}

/// Whether there is so little left of the stack that the host cannot be called.
pub fn is_stack_exhausted() -> bool {
    let here = 0u8;
    let (end, size) = STACK.get();
    let here = ptr::from_ref(&here) as usize;
    size > 2 * RESERVE && (end..end + RESERVE).contains(&here)
}

/// Takes back whether the guest has come to the end of the stack.
pub fn take_exhaustion() -> bool {
    IS_EXHAUSTED.take()
}

/// Says that guest code runs, until it is dropped; or, in a host call, that none does.
pub struct Side(bool);

impl Side {
    pub fn guest() -> Side {
        Side(IN_GUEST.replace(true))
    }

    pub fn host() -> Side {
        Side(IN_GUEST.replace(false))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        IN_GUEST.set(self.0);
    }
}
