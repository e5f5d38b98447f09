//! The engines of this process, and the clock of their deadlines.
//!
//! A configuration has an engine for each [`ModuleVariant`] in which its filters want their modules. The next cycle takes over
//! those that have the options that it wants; an engine goes with the last cycle that uses it. The ticker thread belongs
//! to processes that serve requests; while the master runs guests (`nginx -t`, start, reload), and where there is no thread to be had,
//! `cpu_clock.rs` does its work without one.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use nginx_sys::{NGX_LOG_EMERG, NGX_LOG_WARN, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_uint_t};
use ngx_wasm::vm::{Activity, Engine, EngineOptions, Optimize, PoolOptions, TICK, Ticker};

use crate::nginx::cycle;
use crate::nginx::log::Log;
use crate::nginx::plain::Plain;
use crate::process::cpu_clock;

/// What makes a difference to the machine code of a module, or to where its instances are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleVariant {
    /// The guest has a budget.
    pub fuel: bool,
    /// Instances come and go with requests.
    pub pooled: bool,
}

/// What `wasm { }` says about engines.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineConf {
    /// `backtraces on|off;`
    pub backtraces: Option<bool>,
    /// `instance_pool NUMBER [memory=SIZE];`
    pub pool: Option<PoolOptions>,
    /// `optimize auto|on|off;`
    pub optimize: Option<Optimize>,
}

/// Requests that a worker has at one time. More than that have their instances made on demand. Of the address space of a
/// process, 128 TiB, it takes a thirtieth.
pub const DEFAULT_POOL: PoolOptions = PoolOptions { instances: 1024, memory: 4 << 30 };

/// Instances of a filter that a worker keeps for the next requests, when those that they were for have ended.
const MOST_IDLE: u32 = 128;

impl EngineConf {
    /// How many instances a worker keeps of a filter that no request has now: they have their places in the pool, in which there
    /// is to be room for other filters.
    pub fn idle_instances(&self) -> usize {
        let pool = self.pool.unwrap_or(DEFAULT_POOL).instances;
        let most = if pool == 0 { MOST_IDLE } else { (pool / 4).clamp(1, MOST_IDLE) };
        most as usize
    }

    fn options(&self, form: ModuleVariant) -> EngineOptions {
        EngineOptions {
            fuel: form.fuel,
            backtrace_details: self.backtraces.unwrap_or(false),
            saves_address_space: is_address_space_limited(),
            pool: form.pooled.then(|| self.pool.unwrap_or(DEFAULT_POOL)).filter(|pool| pool.instances > 0),
            optimize: self.optimize.unwrap_or_default(),
        }
    }
}

/// Whether somebody has set a limit to it, such as `ulimit -v`. Usually there is plenty.
fn is_address_space_limited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call fills the structure.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    limit.rlim_cur != libc::RLIM_INFINITY
}

/// WasmEdge wants more of a system than others do.
const HAS_WASMEDGE: bool = cfg!(all(
    feature = "wasmedge",
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
));

/// An engine, by the name that `wasm_vm` gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineName {
    #[cfg_attr(feature = "wasmtime", default)]
    Wasmtime,
    /// Wasmtime's interpreter.
    Pulley,
    #[cfg_attr(not(feature = "wasmtime"), default)]
    WasmEdge,
}

impl EngineName {
    /// All names that the directive knows.
    pub const NAMES: [(&'static str, EngineName); 3] =
        [("wasmtime", EngineName::Wasmtime), ("pulley", EngineName::Pulley), ("wasmedge", EngineName::WasmEdge)];

    /// The name that the directive gives it.
    pub fn name(self) -> &'static str {
        match self {
            EngineName::Wasmtime => "wasmtime",
            EngineName::Pulley => "pulley",
            EngineName::WasmEdge => "wasmedge",
        }
    }

    /// Whether this build has the engine.
    pub fn is_built_in(self) -> bool {
        match self {
            EngineName::Wasmtime => cfg!(feature = "wasmtime"),
            EngineName::Pulley => cfg!(feature = "pulley"),
            EngineName::WasmEdge => HAS_WASMEDGE,
        }
    }

    /// The process' engine of this kind, for modules in this form. It lives as long as somebody has it.
    pub fn engine(self, conf: &EngineConf, form: ModuleVariant) -> Result<Arc<dyn Engine>, String> {
        static ENGINES: Mutex<Vec<KnownEngine>> = Mutex::new(Vec::new());
        let options = conf.options(form);
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        // Two of them have taken signals for themselves, and do not give them back. All are as one to users.
        static CHOSEN: OnceLock<EngineName> = OnceLock::new();
        if let Some(chosen) = CHOSEN.get()
            && *chosen != self
        {
            let (chosen, wanted) = (chosen.name(), self.name());
            return Err(format!(
                "this nginx runs with the engine \"{chosen}\": stop and start it to have \"{wanted}\" (wasm_vm), a reload is not enough"
            ));
        }
        engines.retain(|known| known.engine.strong_count() > 0);
        if let Some(known) = engines.iter().find(|known| known.kind == self && known.options == options)
            && let Some(engine) = known.engine.upgrade()
        {
            return Ok(engine);
        }
        let engine = self.make(options)?;
        CHOSEN.get_or_init(|| self);
        engines.push(KnownEngine { kind: self, options, engine: Arc::downgrade(&engine) });
        Ok(engine)
    }

    fn make(self, options: EngineOptions) -> Result<Arc<dyn Engine>, String> {
        match self {
            #[cfg(feature = "wasmtime")]
            EngineName::Wasmtime => match ngx_wasm::vm::wasmtime::WasmtimeEngine::new(options) {
                Ok(engine) => Ok(Arc::new(engine)),
                Err(reason) => Err(format!("wasm_vm wasmtime: {reason}")),
            },
            #[cfg(feature = "pulley")]
            EngineName::Pulley => match ngx_wasm::vm::wasmtime::WasmtimeEngine::interpreter(options) {
                Ok(engine) => Ok(Arc::new(engine)),
                Err(reason) => Err(format!("wasm_vm pulley: {reason}")),
            },
            #[cfg(all(
                feature = "wasmedge",
                target_os = "linux",
                target_env = "gnu",
                any(target_arch = "x86_64", target_arch = "aarch64")
            ))]
            EngineName::WasmEdge => match ngx_wasm::vm::wasmedge::WasmEdgeEngine::new(options) {
                Ok(engine) => Ok(Arc::new(engine)),
                Err(reason) => Err(format!("wasm_vm wasmedge: {reason}")),
            },
            #[allow(unreachable_patterns)]
            other => Err(format!("this build has no engine {other:?}, with {options:?} or otherwise")),
        }
    }
}

/// An engine that somebody has.
struct KnownEngine {
    kind: EngineName,
    options: EngineOptions,
    engine: Weak<dyn Engine>,
}

static TICKER: Mutex<Option<Ticker>> = Mutex::new(None);

/// Set in processes that serve requests and do not fork any more.
static IN_WORKER: AtomicBool = AtomicBool::new(false);

/// Notes that this process has begun its work, if it is one that serves requests. Answers whether it is.
pub fn enter_worker() -> bool {
    // Nginx has init_process called for helpers (the cache manager) too.
    let process = cycle::process();
    let serves = process == NGX_PROCESS_WORKER as ngx_uint_t || process == NGX_PROCESS_SINGLE as ngx_uint_t;
    IN_WORKER.store(serves, Ordering::SeqCst);
    serves
}

/// Whether this process serves requests, and so may have threads.
pub fn in_worker() -> bool {
    IN_WORKER.load(Ordering::SeqCst)
}

/// Whether this process serves requests now, or is about to: nginx calls init_worker_by_lua* before it tells this module that it is
/// a worker. What is started while nginx reads its configuration only is not to begin anything that goes on.
pub fn serves() -> bool {
    let process = cycle::process();
    // A process that is its own master has connections when it has read its configuration.
    let is_ready = || process == NGX_PROCESS_SINGLE as ngx_uint_t && cycle::has_connections();
    in_worker() || process == NGX_PROCESS_WORKER as ngx_uint_t || is_ready()
}

/// Starts the ticker of this worker, unless it runs, and has it serve this engine. Where the system gives no thread, a timer of the
/// kernel does its work: guests have deadlines in any case.
pub fn start_ticker(engine: &Arc<dyn Engine>, log: Log<'_>) {
    let mut ticker = TICKER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ticker) = &*ticker {
        return ticker.serve(engine);
    }
    // Lua asks before each callback. Two clocks would be twice as fast, so a thread is not tried again.
    if cpu_clock::is_kept() {
        return tick_without_thread(engine, log);
    }
    match without_signals(|| Ticker::start(Activity::global())) {
        Ok(started) => ticker.insert(started).serve(engine),
        Err(reason) => {
            log.write(
                NGX_LOG_WARN,
                format!(
                    "wasm: no thread for the clock of deadlines: {reason}; a timer of the kernel interrupts this worker every {} ms \
                     instead (each worker needs a thread: TasksMax= and LimitNPROC= in a unit of systemd, ulimit -u, or a container's \
                     limit)",
                    TICK.as_millis()
                ),
            );
            tick_without_thread(engine, log);
        }
    }
}

fn tick_without_thread(engine: &Arc<dyn Engine>, log: Log<'_>) {
    if let Err(reason) = cpu_clock::keep_ticking(engine) {
        log.write(NGX_LOG_EMERG, format!("wasm: no clock for deadlines, wasm_timeout does not work: {reason}"));
    }
}

/// Ends the ticker, and its thread with it. What runs in a guest after that has the clock of `cpu_clock.rs`.
pub fn leave_worker() {
    IN_WORKER.store(false, Ordering::SeqCst);
    TICKER.lock().unwrap_or_else(PoisonError::into_inner).take();
    cpu_clock::keep_no_longer();
}

/// Blocks all signals while `start` runs, so that a thread started in it inherits that: nginx's handlers expect to run
/// in the thread that they interrupt.
fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    blocking(&[], start)
}

/// The same for a thread that runs guests: signals by which the processor says that code did something wrong are for the engine, in the
/// thread that did it.
pub fn without_signals_of_nginx<R>(start: impl FnOnce() -> R) -> R {
    blocking(&[libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT], start)
}

/// Runs `start` with all signals blocked but these.
fn blocking<R>(but: &[libc::c_int], start: impl FnOnce() -> R) -> R {
    let (mut all, mut before) = (libc::sigset_t::zeros(), libc::sigset_t::zeros());
    // SAFETY: the call fills the set.
    unsafe { libc::sigfillset(&mut all) };
    for signal in but {
        // SAFETY: the set is there, and the signal is one.
        unsafe { libc::sigdelset(&mut all, *signal) };
    }
    // SAFETY: both sets are there.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) };
    let result = start();
    // SAFETY: these were blocked before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    result
}
