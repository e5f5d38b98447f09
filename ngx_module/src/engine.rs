//! The engines of this process, and the clock of their deadlines.
//!
//! An engine lives as long as the process and serves all cycles: what depends on a cycle (modules, instances) hangs on
//! that cycle's configuration. The ticker thread belongs to processes that serve requests; while the master runs guests
//! (`nginx -t`, start, reload), `cpu_clock.rs` does its work without a thread.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nginx_sys::{NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_process, ngx_uint_t};
use ngx_wasm::vm::{Engine, Ticker};

/// An engine, by the name that `wasm_vm` gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Wasmtime,
    WasmEdge,
}

impl Kind {
    /// All names that the directive knows.
    pub const NAMES: [(&'static str, Kind); 2] = [("wasmtime", Kind::Wasmtime), ("wasmedge", Kind::WasmEdge)];

    /// Whether this build has the engine.
    pub fn is_built_in(self) -> bool {
        match self {
            Kind::Wasmtime => cfg!(feature = "wasmtime"),
            Kind::WasmEdge => false,
        }
    }

    /// The process' engine of this kind.
    pub fn engine(self) -> Result<Arc<dyn Engine>, String> {
        match self {
            #[cfg(feature = "wasmtime")]
            Kind::Wasmtime => {
                static ENGINE: OnceLock<Result<Arc<dyn Engine>, String>> = OnceLock::new();
                ENGINE
                    .get_or_init(|| match ngx_wasm::vm::wasmtime::WasmtimeEngine::new() {
                        Ok(engine) => Ok(Arc::new(engine)),
                        Err(err) => Err(err.to_string()),
                    })
                    .clone()
            }
            other => Err(format!("this build has no engine {other:?}")),
        }
    }
}

static TICKER: Mutex<Option<Ticker>> = Mutex::new(None);

/// Set in processes that serve requests and do not fork any more.
static IN_WORKER: AtomicBool = AtomicBool::new(false);

/// Notes that this process has begun its work, if it is one that serves requests. Answers whether it is.
pub fn enter_worker() -> bool {
    // SAFETY: nginx has set the variable before it calls init_process. Helpers (the cache manager) call that too.
    let process = unsafe { ngx_process };
    let serves = process == NGX_PROCESS_WORKER as ngx_uint_t || process == NGX_PROCESS_SINGLE as ngx_uint_t;
    IN_WORKER.store(serves, Ordering::SeqCst);
    serves
}

/// Whether this process serves requests, and so may have threads.
pub fn in_worker() -> bool {
    IN_WORKER.load(Ordering::SeqCst)
}

/// Starts the ticker of this worker, unless it runs.
pub fn start_ticker(kind: Kind) -> Result<(), String> {
    let mut ticker = TICKER.lock().unwrap_or_else(PoisonError::into_inner);
    if ticker.is_none() {
        let engine = kind.engine()?;
        *ticker = Some(without_signals(|| Ticker::start(engine)).map_err(|err| err.to_string())?);
    }
    Ok(())
}

/// Ends the ticker, and its thread with it. What runs in a guest after that has the clock of `cpu_clock.rs`.
pub fn leave_worker() {
    IN_WORKER.store(false, Ordering::SeqCst);
    TICKER.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Blocks all signals while `start` runs, so that a thread started in it inherits that: nginx's handlers expect to run
/// in the thread that they interrupt.
fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    // SAFETY: both sets are initialised by the calls that fill them.
    unsafe {
        let mut all = mem::zeroed::<libc::sigset_t>();
        let mut before = mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let result = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        result
    }
}
