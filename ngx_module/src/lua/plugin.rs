//! What Lua holds: a loaded module with its VM ([`Plugin`]), and the plugin contexts in it ([`PluginContext`]).
//!
//! A VM belongs to the process that made it. A module that init_by_lua loads in the master gets a VM of its own in each
//! worker, with the same plugin contexts; so it does after a trap. Calls to other services belong to a VM, and end with it.

mod root_id;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_task::Task;
use nginx_sys::{
    NGX_LOG_CRIT, NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_cycle,
    ngx_exiting, ngx_http_request_t, ngx_log_t, ngx_pid, ngx_pid_t, ngx_process, ngx_quit, ngx_uint_t,
};
use ngx_wasm::proxy_wasm::{
    AbiVersion, CallError, CallId, Callback, Capabilities, ContextId, Host, Module, StartError, Vm, VmConfig,
};
use ngx_wasm::vm::{Engine, InstanceLimits};

use super::pause;
use super::policy::Policy;
use crate::config::conf::MainConf;
use crate::config::direction::Direction;
use crate::config::loc_conf::LocConf;
use crate::filters::calls;
use crate::filters::calls::{Caller, Calls, Deliver, Owner, Who};
use crate::filters::requests::RootWorld;
use crate::filters::root_host::RootHost;
use crate::http::host::RequestHost;
use crate::http::report;
use crate::http::request::Request;
use crate::http::seat::{Seat, SeatBody};
use crate::http::tokens;
use crate::nginx::cycle;
use crate::nginx::executor;
use crate::nginx::log::{self, Log};
use crate::nginx::timer::{self, AtExit};
use crate::process::cpu_clock::with_cpu_clock;
use crate::process::engine::{self, Form};
use crate::process::log_rate::LogRate;
use crate::process::status::{self, Counted, Event, FilterStatus};
use crate::process::supply::{self, Supplier};

/// A module that Lua loaded.
pub struct Plugin {
    name: Vec<u8>,
    engine: Arc<dyn Engine>,
    module: Arc<Module>,
    limits: InstanceLimits,
    timeout: Duration,
    max_calls: usize,
    pub policy: Policy,
    /// Bytes of memory that the VM had at first.
    memory_at_start: Cell<usize>,
    capabilities: Option<Arc<Capabilities>>,
    vm: RefCell<Option<Vm>>,
    /// The process whose VM it is.
    pid: Cell<ngx_pid_t>,
    /// Whether the VM was made where requests are served, and not while nginx reads its configuration.
    serves: Cell<bool>,
    /// Counts VMs.
    generation: Cell<u64>,
    /// The calls of the VM that run.
    calls: RefCell<Calls>,
    /// What it has logged.
    lines: Rc<LogRate>,
    /// Counts for it, by the configuration that there was last.
    status: Cell<FilterStatus>,
    /// What has been counted of the VM.
    counted: Cell<Counted>,
    /// The timers of its root contexts.
    ticks: RefCell<Vec<(ContextId, Task<()>)>>,
    /// Which root id its contexts get, once that is known.
    root_id: Cell<Option<root_id::Choice>>,
    /// Its name is a text in the module.
    has_name: bool,
}

/// A configuration of a plugin.
pub struct PluginContext {
    plugin: Rc<Plugin>,
    configuration: Vec<u8>,
    /// The root context, and the VM that it is in.
    root: Cell<(ContextId, u64)>,
}

/// The log of the process.
fn cycle_log() -> *mut ngx_log_t {
    // SAFETY: nginx always has a cycle with a log.
    unsafe { (*ngx_cycle).log }
}

fn write(level: u32, line: String) {
    // SAFETY: see `cycle_log`.
    unsafe { log::write(level, cycle_log(), log::printable(&line)) }
}

fn pid() -> ngx_pid_t {
    // SAFETY: nginx sets the variable in each process.
    unsafe { ngx_pid }
}

impl Plugin {
    /// Compiles `code` and starts a VM.
    pub fn load(name: &[u8], code: &[u8]) -> Option<Rc<Plugin>> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let failed = |reason: String| write(NGX_LOG_ERR, format!("failed to load wasm plugin \"{shown}\": {reason}"));
        // SAFETY: in a worker the cycle is complete; while nginx reads a configuration, that is the latest.
        let main = unsafe { if engine::in_worker() { MainConf::of(ngx_cycle) } else { MainConf::latest() }.as_ref() };
        let Some(main) = main else {
            failed("ngx_http_wasm_module is not configured".into());
            return None;
        };
        let kind = main.engine.unwrap_or_default();
        let engine = kind.engine(&main.engine_conf, Form::default()).map_err(failed).ok()?;
        write(NGX_LOG_NOTICE, format!("init wasm vm: {}", engine.name()));
        let mut notes = Vec::new();
        let module = Supplier::open(main.cache_dir.as_ref(), &mut notes)
            .and_then(|mut supplier| supplier.module(&engine, &format!("plugin \"{shown}\""), code));
        // SAFETY: see `cycle_log`.
        unsafe { supply::tell(&mut notes, cycle_log()) };
        let module = module.map_err(failed).ok()?;
        let (limits, timeout, max_calls) = main.lua_limits();
        let capabilities = main.lua_capabilities(name).map_err(failed).ok()?;
        let plugin = Plugin {
            name: name.to_vec(),
            engine,
            module,
            limits,
            timeout,
            max_calls,
            policy: Policy::of(main, name),
            memory_at_start: Cell::new(0),
            capabilities,
            vm: RefCell::new(None),
            pid: Cell::new(pid()),
            serves: Cell::new(false),
            generation: Cell::new(0),
            calls: RefCell::default(),
            lines: main.lua_lines(name),
            status: Cell::default(),
            counted: Cell::default(),
            ticks: RefCell::default(),
            root_id: Cell::new(None),
            has_name: root_id::has_text(code, name),
        };
        if !plugin.ensure_vm(&failed) {
            return None;
        }
        Some(Rc::new(plugin))
    }

    /// Runs guest code with a clock for its deadline.
    fn clocked<R>(&self, run: impl FnOnce() -> R) -> R {
        if engine::in_worker() {
            if let Err(err) = engine::start_ticker(&self.engine) {
                write(NGX_LOG_ERR, format!("wasm: no clock for deadlines, wasm_timeout does not work: {err}"));
            }
            return run();
        }
        with_cpu_clock(&self.engine, run)
    }

    /// Sees to it that there is a VM of this process that has not trapped. Answers whether there is; when a start has failed,
    /// `failed` is told why.
    fn ensure_vm(&self, failed: &dyn Fn(String)) -> bool {
        let Ok(mut vm) = self.vm.try_borrow_mut() else {
            failed("entered while it ran".into());
            return false;
        };
        // A process that is its own master reads the configuration and serves requests; calls are made in the latter alone.
        let serves = serves();
        let is_own = self.pid.get() == pid() && self.serves.get() == serves;
        if is_own && vm.as_mut().is_some_and(|vm| !vm.is_dead() && !self.is_outgrown(vm)) {
            return true;
        }
        if is_own && !self.policy.may_start() {
            return false;
        }
        let is_restart = is_own && vm.as_ref().is_some_and(Vm::is_dead);
        *vm = None;
        self.calls.take();
        self.ticks.take();
        let config = VmConfig {
            id: self.name.clone(),
            limits: self.limits,
            reuse_context_ids: true,
            max_calls: self.max_calls,
            capabilities: self.capabilities.clone(),
            ..VmConfig::default()
        };
        let mut host = self.root_host();
        let mut started = match self.clocked(|| Vm::start(&self.module, config, &mut host)) {
            Ok(started) => started,
            Err(err) => {
                let reason = err.to_string();
                self.policy.start_failed();
                self.status().start_failure(&reason);
                failed(reason);
                return false;
            }
        };
        if is_restart {
            self.status().count(Event::Restart);
        }
        self.counted.take();
        self.count(&mut started);
        self.memory_at_start.set(started.stats().memory);
        *vm = Some(started);
        self.pid.set(pid());
        self.serves.set(serves);
        self.generation.set(self.generation.get() + 1);
        true
    }

    /// Whether a VM has grown so much that another is to take its place, and nothing goes on in it.
    fn is_outgrown(&self, vm: &mut Vm) -> bool {
        let is_idle = vm.streams().next().is_none() && self.calls.try_borrow().is_ok_and(|calls| calls.is_empty());
        let is_outgrown =
            is_idle && self.policy.wants_other(self.memory_at_start.get(), vm.stats().memory, self.limits.memory);
        if is_outgrown {
            let (name, size) = (String::from_utf8_lossy(&self.name), vm.stats().memory);
            let what = format!("has grown to {size} bytes, a new VM takes its place (proxy_wasm_recycle)");
            write(NGX_LOG_NOTICE, format!("wasm plugin \"{name}\" {what}"));
        }
        is_outgrown
    }

    /// Tells what the VM has done, and how large it is.
    fn count(&self, vm: &mut Vm) {
        let (status, mut counted) = (self.status(), self.counted.get());
        let stats = status.vm(vm, &mut counted);
        self.counted.set(counted);
        let (count, memory) = if vm.is_dead() { (0, 0) } else { (1, stats.memory) };
        status.instances(count, memory);
    }

    fn root_host(&self) -> RootHost {
        RootHost::new(cycle_log(), self.name.clone(), self.timeout, self.lines.clone(), self.status())
    }

    /// The number of its VM.
    pub fn vm(&self) -> u64 {
        self.generation.get()
    }

    /// Whether a context of the VM number `generation` has made calls that have not ended.
    pub fn has_calls(&self, context: ContextId, generation: u64) -> bool {
        // While it runs, nobody knows; then nothing goes on.
        let Ok(vm) = self.vm.try_borrow() else { return true };
        self.generation.get() == generation && vm.as_ref().is_some_and(|vm| vm.waits_for_calls(context))
    }

    /// Runs a callback about no request; `call` is what it is about, if anything. Answers whether it has ended well; `failed` says what follows if not.
    fn run_own(
        self: &Rc<Self>,
        generation: u64,
        call: Option<CallId>,
        run: impl FnOnce(&mut Vm, &mut dyn Host) -> Result<(), CallError>,
        failed: impl FnOnce(&Policy) -> String,
    ) -> bool {
        if self.generation.get() != generation {
            return false;
        }
        // Calls and timers go on in events of nginx, in which no guest runs.
        let Ok(mut vm) = self.vm.try_borrow_mut() else { return false };
        let Some(vm) = vm.as_mut() else { return false };
        let log = call.map_or_else(cycle_log, |call| calls::log_of_call(vm, call));
        // SAFETY: it is that of the cycle, or of a request, and none ends during a callback.
        let log = unsafe { Log::from_ptr(log) };
        // A tick may cancel any.
        let streams: Vec<_> = match call {
            Some(call) => vm.streams_of_call(call).collect(),
            None => vm.streams().collect(),
        };
        let mut host = RequestHost::for_root_of_seat(self.as_ref(), log, self.timeout);
        match self.clocked(|| run(vm, &mut host)) {
            Ok(()) => {
                self.settle(vm);
                for request in streams.into_iter().filter_map(tokens::find) {
                    pause::call_ended(&request, self, vm);
                }
                true
            }
            Err(err) => {
                host.complain(&err, &failed(&self.policy));
                self.fail(vm, &err);
                false
            }
        }
    }

    /// Does what the guest asked for in the callback that has just ended.
    fn settle(self: &Rc<Self>, vm: &mut Vm) {
        self.count(vm);
        let name = String::from_utf8_lossy(&self.name);
        for (root, period) in vm.take_tick_periods() {
            if vm.has(Callback::OnTick) && serves() {
                self.set_tick(root, period);
            }
        }
        if !vm.take_registered_queues().is_empty() && vm.has(Callback::OnQueueReady) {
            let what = "registers a shared queue; filters run by Lua are not told of its messages, but can take them";
            write(NGX_LOG_INFO, format!("wasm plugin \"{name}\" {what}"));
        }
        let commands = vm.take_calls();
        if commands.is_empty() {
            return;
        }
        // SAFETY: nginx always has a cycle; that of a process that serves requests is complete.
        let settings = unsafe { MainConf::of(ngx_cycle).as_ref() }.and_then(|main| main.lua_calls.clone());
        let Some(settings) = settings.filter(|_| serves()) else {
            let what = "calls other services in init_by_lua*, where calls are not made; the workers make theirs";
            write(NGX_LOG_NOTICE, format!("wasm plugin \"{name}\" {what}"));
            return;
        };
        let who =
            Who::Other { caller: Rc::downgrade(&(self.clone() as Rc<dyn Caller>)), generation: self.generation.get() };
        self.calls.borrow_mut().start(&Rc::new(Owner { who, name: self.name.clone(), settings }), commands);
    }

    /// Has a root context tick every `period` milliseconds from now on, or once failed ticks of a VM before it are far enough
    /// behind; 0 ends it. A worker that shuts down does not wait for that.
    fn set_tick(self: &Rc<Self>, root: ContextId, period: u32) {
        self.end_tick(root);
        if period == 0 {
            return;
        }
        let period = Duration::from_millis(period.into());
        let wait = self.policy.tick_wait();
        let (plugin, generation) = (Rc::downgrade(self), self.generation.get());
        let task = executor::spawn(async move {
            let mut delay = period.max(wait);
            loop {
                timer::sleep(std::mem::replace(&mut delay, period), AtExit::Leave).await;
                let Some(plugin) = plugin.upgrade() else { return };
                let tick = |vm: &mut Vm, host: &mut dyn Host| {
                    // A reload leaves no old timers behind, unless requests may wait for them.
                    // SAFETY: nginx sets the variables.
                    let is_exiting = unsafe { ngx_exiting != 0 || ngx_quit != 0 };
                    if is_exiting && vm.streams().next().is_none() { Ok(()) } else { vm.on_tick(root, host) }
                };
                if plugin.run_own(generation, None, tick, Policy::tick_failed) {
                    plugin.policy.ticked();
                }
            }
        });
        self.ticks.borrow_mut().push((root, task));
    }

    fn end_tick(&self, root: ContextId) {
        self.ticks.borrow_mut().retain(|(known, _)| *known != root);
    }

    /// A callback has failed. Requests that wait for a filter of a VM that has trapped would wait in vain: they go on.
    fn fail(&self, vm: &mut Vm, err: &CallError) {
        self.count(vm);
        self.status().failure(err);
        if let CallError::Trap { callback, .. } = err {
            for request in vm.streams().filter_map(tokens::find) {
                pause::fail(&request, self, *callback);
            }
            self.calls.take();
            self.ticks.take();
        }
    }
}

/// Whether this process serves requests now, or is about to: nginx calls init_worker_by_lua* before it tells this module that
/// it is a worker.
fn serves() -> bool {
    // SAFETY: nginx sets the variables. A process that is its own master has connections when it has read its configuration.
    unsafe {
        let process = ngx_process;
        engine::in_worker()
            || process == NGX_PROCESS_WORKER as ngx_uint_t
            || (process == NGX_PROCESS_SINGLE as ngx_uint_t && !(*ngx_cycle).connections.is_null())
    }
}

impl Seat for Plugin {
    fn status(&self) -> FilterStatus {
        status::plugin(&self.name, &self.status)
    }

    fn of_higress(&self) -> bool {
        self.module.abi() == AbiVersion::V0_2_100
    }

    fn lines(&self) -> &Rc<LogRate> {
        &self.lines
    }

    fn name(&self) -> &[u8] {
        &self.name
    }

    fn body(&self, request: &Request, context: ContextId, look: &mut dyn FnMut(&mut SeatBody)) {
        if let Some(body) = pause::body_of(request, self, context) {
            look(body);
        }
    }

    fn resume(&self, request: &Request, context: ContextId, direction: Direction) {
        pause::resume(request, self, context, direction);
    }
}

impl Caller for Plugin {
    fn deliver(self: Rc<Self>, generation: u64, call: CallId, run: Deliver<'_>) {
        self.run_own(generation, Some(call), run, Policy::failed);
    }

    fn forget_call(&self, generation: u64, call: CallId) {
        if self.generation.get() == generation {
            self.calls.borrow_mut().forget(call);
        }
    }

    fn log_of_call(&self, generation: u64, call: CallId) -> Option<*mut ngx_log_t> {
        let vm = self.vm.try_borrow().ok().filter(|_| self.generation.get() == generation)?;
        vm.as_ref().map(|vm| calls::log_of_call(vm, call))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.lines.tell(cycle::log());
        write(NGX_LOG_INFO, format!("unloaded wasm plugin \"{}\"", String::from_utf8_lossy(&self.name)));
    }
}

impl PluginContext {
    /// Makes a root context with this configuration.
    pub fn create(plugin: Rc<Plugin>, configuration: &[u8]) -> Option<Rc<PluginContext>> {
        let context =
            PluginContext { plugin, configuration: configuration.to_vec(), root: Cell::new((ContextId(0), 0)) };
        context.ensure_root()?;
        Some(Rc::new(context))
    }

    /// What it is a configuration of.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The VM that calls go to now.
    pub fn generation(&self) -> u64 {
        match self.ensure_root() {
            Some(_) => self.plugin.generation.get(),
            None => 0,
        }
    }

    /// The root context, in a VM that can be called.
    fn ensure_root(&self) -> Option<ContextId> {
        let failed = |reason: String| {
            let name = String::from_utf8_lossy(&self.plugin.name);
            write(NGX_LOG_ERR, format!("failed to run proxy_on_configure of wasm plugin \"{name}\": {reason}"));
        };
        if !self.plugin.ensure_vm(&failed) {
            return None;
        }
        let (root, generation) = self.root.get();
        if generation == self.plugin.generation.get() {
            return Some(root);
        }
        let made = root_id::create(self, &failed)?;
        let mut vm = self.plugin.vm.try_borrow_mut().ok()?;
        let vm = vm.as_mut()?;
        let root = match made {
            Ok(root) => root,
            Err(err) => {
                failed(err.to_string());
                if let StartError::Call(err) = &err {
                    self.plugin.policy.start_failed();
                    self.plugin.fail(vm, err);
                }
                return None;
            }
        };
        self.plugin.settle(vm);
        write(NGX_LOG_INFO, format!("create plugin context {root}"));
        // Finding the root id may have taken another VM.
        self.root.set((root, self.plugin.generation.get()));
        Some(root)
    }

    /// Makes a stream context for a request.
    ///
    /// # Safety
    /// `request` belongs to a live request.
    pub unsafe fn create_stream(&self, request: &Request) -> Option<(ContextId, u64)> {
        let root = self.ensure_root()?;
        let generation = self.plugin.generation.get();
        // SAFETY: see above.
        unsafe {
            let context = self.call(request, generation, |vm, host| vm.create_stream(root, host.token(), host))?;
            self.plugin.status().count(Event::Request);
            log::write(NGX_LOG_INFO, request.r().log().as_ptr(), format!("create http context {context}"));
            Some((context, generation))
        }
    }

    /// Runs a callback about a request. `None`: it failed, and the log says why.
    ///
    /// # Safety
    /// As [`PluginContext::create_stream`].
    pub unsafe fn call<R>(
        &self,
        request: &Request,
        generation: u64,
        callback: impl FnOnce(&mut Vm, &mut RequestHost<'_>) -> Result<R, CallError>,
    ) -> Option<R> {
        // SAFETY: see above.
        unsafe {
            if self.plugin.generation.get() != generation {
                return None;
            }
            let Ok(mut vm) = self.plugin.vm.try_borrow_mut() else {
                self.complain(request.r().as_ptr(), "was entered while it ran");
                return None;
            };
            let vm = vm.as_mut()?;
            let timeout = LocConf::of(request.r()).timeout();
            let mut host = RequestHost::for_seat(request, self.plugin.as_ref(), timeout);
            match report::measured(request, || self.plugin.clocked(|| callback(vm, &mut host))) {
                Ok(result) => {
                    self.plugin.settle(vm);
                    Some(result)
                }
                Err(err) => {
                    host.complain(&err, &self.plugin.policy.failed());
                    self.plugin.fail(vm, &err);
                    None
                }
            }
        }
    }

    /// Ends a stream context.
    ///
    /// # Safety
    /// As [`PluginContext::create_stream`].
    pub unsafe fn end_stream(&self, request: &Request, context: ContextId, generation: u64) {
        // SAFETY: see above.
        unsafe {
            let is_dead = self.plugin.vm.try_borrow().is_ok_and(|vm| vm.as_ref().is_none_or(Vm::is_dead));
            if !is_dead {
                let ended = self.call(request, generation, |vm, host| vm.end_stream(context, host));
                if ended.is_some() {
                    self.plugin.policy.served();
                }
            }
            log::write(NGX_LOG_INFO, request.r().log().as_ptr(), format!("free http context {context}"));
        }
    }

    /// Forgets a stream context that `end_stream` has not ended.
    pub fn forget(&self, context: ContextId, generation: u64) {
        if self.plugin.generation.get() == generation
            && let Ok(mut vm) = self.plugin.vm.try_borrow_mut()
            && let Some(vm) = vm.as_mut()
        {
            vm.forget(context);
        }
    }

    /// Logs a mistake of the filter.
    ///
    /// # Safety
    /// `r` is a live request.
    pub unsafe fn complain(&self, r: *mut ngx_http_request_t, what: &str) {
        // SAFETY: see above.
        unsafe {
            let line = format!("wasm plugin \"{}\" {what}", String::from_utf8_lossy(&self.plugin.name));
            log::write(NGX_LOG_CRIT, connection_log(r), line);
        }
    }
}

unsafe fn connection_log(r: *mut ngx_http_request_t) -> *mut ngx_log_t {
    // SAFETY: the callers pass a live request.
    unsafe { (*(*r).connection).log }
}

impl Drop for PluginContext {
    fn drop(&mut self) {
        let (root, generation) = self.root.get();
        let is_ours = self.plugin.pid.get() == pid() && self.plugin.generation.get() == generation;
        if is_ours
            && let Ok(mut vm) = self.plugin.vm.try_borrow_mut()
            && let Some(vm) = vm.as_mut().filter(|vm| !vm.is_dead())
        {
            let mut host = self.plugin.root_host();
            match self.plugin.clocked(|| vm.end_root(root, &mut host)) {
                Ok(()) => {
                    self.plugin.settle(vm);
                    self.plugin.calls.borrow_mut().retain(|id| vm.has_call(id));
                    self.plugin.end_tick(root);
                }
                Err(err) => {
                    // Guests built with the AssemblyScript SDK trap here; the VM is replaced when it is needed again.
                    write(NGX_LOG_INFO, format!("plugin context {root} did not end cleanly: {err}"));
                    self.plugin.fail(vm, &err);
                }
            }
        }
        if root != ContextId(0) {
            write(NGX_LOG_INFO, format!("free plugin context {root}"));
        }
    }
}
