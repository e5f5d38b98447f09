//! Executors, each of which runs one instance: with its cap on memory, its count of costs, and a way to stop it.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;

use super::library::{Library, Owned};
use super::setup::{self, Setup};
use super::types::{Async, Executor, FunctionInstance, Outcome, Statistics, Value};

/// Pages of a memory, in bytes.
pub const PAGE: usize = 64 << 10;

/// Runs the calls of an instance.
pub struct Running {
    library: &'static Library,
    // In this order: the first refer to those behind them.
    stop: Owned<Async>,
    executor: Owned<Executor>,
    statistics: Option<Owned<Statistics>>,
    nothing: Arc<Nothing>,
}

/// Stops the calls of an executor. A copy is good as long as [`Running`] lives.
#[derive(Clone, Copy)]
pub struct Stop {
    call: *mut Async,
    cancel: unsafe extern "C" fn(*mut Async),
}

// SAFETY: to set the token is an atomic store in the executor, and made for other threads than its own.
unsafe impl Send for Stop {}

impl Stop {
    pub fn stop(self) {
        // SAFETY: the object lives: `Deadlines` has this from when a call begins to when it ends. The library stores into an atomic
        // variable and locks what only guests with shared memory use, which are refused; so it is fit for signal handlers.
        unsafe { (self.cancel)(self.call) };
    }
}

/// A function that does nothing.
pub struct Nothing(Owned<FunctionInstance>);

// SAFETY: nothing changes the function, and its callback has no state.
unsafe impl Send for Nothing {}
// SAFETY: as above.
unsafe impl Sync for Nothing {}

impl Nothing {
    pub fn new(library: &'static Library) -> Result<Nothing, String> {
        setup::function(library, &[], &[], do_nothing, ptr::null_mut(), 0).map(Nothing)
    }
}

unsafe extern "C" fn do_nothing(
    _: *mut std::ffi::c_void,
    _: *mut std::ffi::c_void,
    _: *const super::types::CallingFrame,
    _: *const Value,
    _: u32,
    _: *mut Value,
    _: u32,
) -> Outcome {
    Outcome::SUCCESS
}

/// Why a call for a thread of its own is not made.
const NO_THREAD: &str = "no thread can be started, which WasmEdge wants for a moment for each instance (TasksMax= and LimitNPROC= in a unit of \
                         systemd, ulimit -u, or a container's limit)";

impl Running {
    /// With so many bytes of memory at most, and a count of costs if the engine counts them.
    pub fn new(
        library: &'static Library,
        setup: &Setup,
        nothing: &Arc<Nothing>,
        memory: usize,
    ) -> Result<Running, String> {
        let functions = &library.functions;
        let configure = setup.configure(library)?;
        // SAFETY: the object lives.
        unsafe { (functions.configure_pages)(configure.get(), (memory / PAGE) as u64) };
        let statistics = match setup.counts_cost {
            // SAFETY: the API says that the caller owns it.
            true => Some(unsafe { Owned::new((functions.statistics_create)(), functions.statistics_delete)? }),
            false => None,
        };
        let counts = statistics.as_ref().map_or(ptr::null_mut(), Owned::get);
        // SAFETY: the executor copies what it needs of the configuration; the statistics live as long as it, in this structure.
        let executor =
            unsafe { Owned::new((functions.executor_create)(configure.get(), counts), functions.executor_delete)? };
        // The thread that is started here lives for this call, which is waited for. It inherits that signals are blocked: nginx's
        // handlers expect to run in nginx's thread.
        // SAFETY: the function lives as long as this structure, and has no parameters.
        let stop = without_signals(|| unsafe {
            let call = (functions.executor_invoke_async)(executor.get(), nothing.0.get(), ptr::null(), 0);
            let call = Owned::new(call, functions.async_delete).map_err(|_| NO_THREAD.to_owned())?;
            (functions.async_wait)(call.get());
            Ok::<_, String>(call)
        })?;
        Ok(Running { library, stop, executor, statistics, nothing: nothing.clone() })
    }

    pub fn get(&self) -> *mut Executor {
        self.executor.get()
    }

    pub fn stop(&self) -> Stop {
        Stop { call: self.stop.get(), cancel: self.library.functions.async_cancel }
    }

    /// Takes the token back, if it is set. Not while a guest runs in this executor. Answers whether it was.
    pub fn go_on(&self) -> bool {
        // SAFETY: both objects live; the function has neither parameters nor results.
        let outcome = unsafe {
            (self.library.functions.executor_invoke)(
                self.executor.get(),
                self.nothing.0.get(),
                ptr::null(),
                0,
                ptr::null_mut(),
                0,
            )
        };
        outcome == Outcome::INTERRUPTED
    }

    /// Begins to count again, up to this limit.
    pub fn limit_cost(&self, limit: u64) {
        if let Some(statistics) = &self.statistics {
            // SAFETY: the object lives, and no guest runs, which would have a copy of the limit.
            unsafe {
                (self.library.functions.statistics_clear)(statistics.get());
                (self.library.functions.statistics_limit)(statistics.get(), limit);
            }
        }
    }

    /// What has been used since; `None` if nothing is counted.
    pub fn cost(&self) -> Option<u64> {
        // SAFETY: the object lives.
        self.statistics.as_ref().map(|counts| unsafe { (self.library.functions.statistics_cost)(counts.get()) })
    }
}

/// Blocks all signals of this thread while `body` runs.
pub fn without_signals<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: a set of signals may have any bits; the calls fill both sets and set what was there before.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let result = body();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        result
    }
}
