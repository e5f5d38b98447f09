//! A call into a guest that never returns, so that WasmEdge thinks that one runs: `signals.rs` says what for. It has a stack of its own,
//! which is left in the middle of a host call and not entered again. Unlike a thread it goes with a process that forks.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use super::ast::Ast;
use super::library::{Library, Owned};
use super::setup::{self, Setup};
use super::types::{CallingFrame, Executor, FunctionInstance, ModuleInstance, Outcome, Text, Value};

/// What is parked. It has to be compiled code: for other code WasmEdge needs no signals.
pub const GUEST: &str = r#"(module (import "host" "leave" (func $leave)) (func (export "go") (call $leave)))"#;

const STACK: usize = 256 << 10;

/// The ways between both stacks, and what is called on the other.
struct Ways {
    here: MaybeUninit<libc::ucontext_t>,
    there: MaybeUninit<libc::ucontext_t>,
    library: &'static Library,
    executor: *mut Executor,
    function: *const FunctionInstance,
}

thread_local! {
    static WAYS: Cell<*mut Ways> = const { Cell::new(ptr::null_mut()) };
}

/// Enters the guest. All that it is made of stays for ever.
pub fn park(library: &'static Library, setup: Setup, guest: &Ast) -> Result<(), String> {
    let functions = &library.functions;
    let leave = setup::function(library, &[], &[], leave, ptr::null_mut(), 0)?;
    // SAFETY: what the API makes is the caller's; functions that are added are not, any more; all lives for ever.
    let (executor, function) = unsafe {
        let configure = setup.configure(library)?;
        // Code that counts writes to them without asking whether they are there.
        let counts = if setup.counts_cost { (functions.statistics_create)() } else { ptr::null_mut() };
        let executor = (functions.executor_create)(configure.get(), counts);
        let host: Owned<ModuleInstance> =
            Owned::new((functions.instance_create)(Text::of("host")), functions.instance_delete)?;
        (functions.instance_add)(host.get(), Text::of("leave"), leave.release());
        let store = (functions.store_create)();
        let mut instance = ptr::null_mut();
        for outcome in [
            (functions.executor_import)(executor, store, host.release()),
            (functions.executor_instantiate)(executor, &mut instance, store, guest.get()),
        ] {
            if outcome != Outcome::SUCCESS {
                return Err(super::trap::message(library, outcome));
            }
        }
        (executor, (functions.instance_function)(instance, Text::of("go")))
    };
    let ways = Box::leak(Box::new(Ways {
        here: MaybeUninit::zeroed(),
        there: MaybeUninit::zeroed(),
        library,
        executor,
        function,
    }));
    let stack = Box::leak(vec![0u8; STACK].into_boxed_slice());
    WAYS.set(ways);
    // SAFETY: both structures stay where they are, and so does the stack. `go` is entered once, and leaves by `leave`.
    let left = unsafe {
        libc::getcontext(ways.there.as_mut_ptr());
        let there = &mut *ways.there.as_mut_ptr();
        there.uc_stack.ss_sp = stack.as_mut_ptr().cast();
        there.uc_stack.ss_size = stack.len();
        there.uc_link = ptr::null_mut();
        libc::makecontext(there, go, 0);
        libc::swapcontext(ways.here.as_mut_ptr(), there)
    };
    WAYS.set(ptr::null_mut());
    if left == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}

/// On the other stack.
extern "C" fn go() {
    // SAFETY: `park` has put it there, and waits.
    let ways = unsafe { &*WAYS.get() };
    // SAFETY: both live; the function has neither parameters nor results.
    unsafe {
        (ways.library.functions.executor_invoke)(ways.executor, ways.function, ptr::null(), 0, ptr::null_mut(), 0);
    }
    // It has not come by `leave`: there is nowhere to go.
    std::process::abort();
}

unsafe extern "C" fn leave(
    _: *mut c_void,
    _: *mut c_void,
    _: *const CallingFrame,
    _: *const Value,
    _: u32,
    _: *mut Value,
    _: u32,
) -> Outcome {
    let ways = WAYS.get();
    if !ways.is_null() {
        // SAFETY: `park` waits there, and has saved where. Nobody comes back here.
        unsafe { libc::swapcontext((*ways).there.as_mut_ptr(), (*ways).here.as_ptr()) };
    }
    Outcome::HOST
}
