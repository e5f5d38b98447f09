//! A module that Lua loaded, as its instances know it ([`Filter`]), and as requests do ([`Seat`]).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nginx_sys::{NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE};
use ngx_wasm::proxy_wasm::{AbiVersion, CallId, Capabilities, ContextId, Module, StreamToken, Vm, VmConfig};
use ngx_wasm::supply::Content;
use ngx_wasm::vm::{Engine, InstanceLimits};

use super::pause;
use super::plugin::write;
use super::runs::run_in;
use crate::config::conf::MainConf;
use crate::config::direction::Direction;
use crate::config::rules::Policy;
use crate::filters::instances::{Consequences, Filter, Wording};
use crate::filters::requests::RootWorld;
use crate::filters::root_host::RootHost;
use crate::http::host::RequestHost;
use crate::http::request::Request;
use crate::http::seat::{Seat, SeatBody};
use crate::http::tokens;
use crate::net::settings::CallSettings;
use crate::nginx::cycle;
use crate::nginx::log::Log;
use crate::process::cpu_clock::with_cpu_clock;
use crate::process::engine::{self, ModuleVariant};
use crate::process::guest_log::GuestLog;
use crate::process::status::{self, FilterStatus};
use crate::process::supply::{self, Supplier};

/// A module that Lua loaded under a name.
pub struct LoadedModule {
    name: Vec<u8>,
    engine: Arc<dyn Engine>,
    module: Arc<Module>,
    limits: InstanceLimits,
    timeout: Duration,
    max_calls: usize,
    policy: Policy,
    /// It is measured how long callbacks take.
    is_measured: bool,
    capabilities: Option<Arc<Capabilities>>,
    environment: Arc<Vec<Vec<u8>>>,
    /// What it has logged.
    lines: Rc<GuestLog>,
    /// Counts for it, by the configuration that there was last.
    status: Cell<FilterStatus>,
    /// The instance in which a callback runs, or the last one has.
    running: Cell<u64>,
    /// It has started once.
    has_started: Cell<bool>,
}

impl LoadedModule {
    /// Compiles `code`.
    pub fn compile(name: &[u8], code: &[u8]) -> Result<Rc<LoadedModule>, String> {
        let main = MainConf::current_or_latest();
        let Some(main) = main else { return Err("ngx_http_wasm_module is not configured".into()) };
        let engine = main.engine.unwrap_or_default().engine(&main.engine_conf, ModuleVariant::default())?;
        write(NGX_LOG_NOTICE, &format!("init wasm vm: {}", engine.name()));
        let what = format!("plugin \"{}\"", String::from_utf8_lossy(name));
        let mut supplier = Supplier::open(main.cache_dir.as_ref())?;
        let module = supplier.module(&engine, &what, &Content::new(code), cycle::log());
        supply::log_notes(&mut supplier.take_notes(), cycle::log());
        let (limits, timeout, max_calls) = main.lua_limits();
        let policy = main.lua_policy(name);
        Ok(Rc::new(LoadedModule {
            name: name.to_vec(),
            engine,
            module: module?,
            limits,
            timeout,
            max_calls,
            policy,
            is_measured: main.measures_callbacks == Some(true),
            capabilities: main.lua_capabilities(name)?,
            environment: main.lua_environment(name),
            lines: GuestLog::new(b"", name.to_vec(), policy.log_level, policy.log_rate),
            status: Cell::default(),
            running: Cell::new(0),
            has_started: Cell::new(false),
        }))
    }

    /// The world of a callback that is about no request, and from which none can be chosen.
    pub fn root_host<'l>(&self, log: Log<'l>) -> RootHost<'l> {
        RootHost::new(log, self.timeout, self.lines.clone(), self.status(), self.policy.trace)
    }

    /// Runs guest code with a clock for its deadline.
    pub fn clocked<R>(&self, run: impl FnOnce() -> R) -> R {
        if engine::in_worker() {
            self.start_clock();
            return run();
        }
        with_cpu_clock(&self.engine, run)
    }

    /// Says whose callback is to run.
    pub fn set_running(&self, generation: u64) {
        self.running.set(generation);
    }

    /// Says in the log that it does not run, and why.
    pub fn log_failure(&self, reason: &str) {
        let name = String::from_utf8_lossy(&self.name);
        let what = if self.has_started.get() { "run proxy_on_configure of" } else { "load" };
        write(NGX_LOG_ERR, &format!("failed to {what} wasm plugin \"{name}\": {reason}"));
    }

    /// Writes a line about it.
    pub fn log(&self, level: u32, what: &str) {
        write(level, &format!("wasm plugin \"{}\" {what}", String::from_utf8_lossy(&self.name)));
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        self.lines.log_dropped(cycle::log());
    }
}

impl Filter for LoadedModule {
    fn name(&self) -> &[u8] {
        &self.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn memory_limit(&self) -> usize {
        self.limits.memory
    }

    fn status(&self) -> FilterStatus {
        status::plugin(&self.name, &self.status)
    }

    fn start(&self, log: Log<'_>) -> Result<(Vm, Option<ContextId>), String> {
        let config = VmConfig {
            id: self.name.clone(),
            environment: self.environment.clone(),
            limits: self.limits,
            reuse_context_ids: true,
            max_calls: self.max_calls,
            capabilities: self.capabilities.clone(),
            is_measured: self.is_measured,
            ..VmConfig::default()
        };
        let mut host = self.root_host(log);
        let vm = self.clocked(|| Vm::start(&self.module, config, &mut host)).map_err(|err| host.explain(&err, ""))?;
        self.has_started.set(true);
        Ok((vm, None))
    }

    /// Lua makes plugin contexts one by one, and each where it is called: what one of them does when it starts is nothing to others.
    fn has_own_root(&self) -> bool {
        false
    }

    /// Lua is told that there is no instance, and decides what its requests do.
    fn log_start_failure(&self, reason: &str, _fate: &str, _log: Log<'_>) {
        self.log_failure(reason);
    }

    fn wording(&self) -> &'static Wording {
        &Wording {
            fails: "",
            goes_on: "",
            closed: "calls fail",
            open: "calls do without it",
            others: "other requests have another VM",
            until: "until Lua loads the module again",
            next: "the next call gets a new VM",
            at_once: "the next call gets a new VM",
            instance: "VM",
        }
    }

    fn calls(&self) -> Option<Rc<CallSettings>> {
        if !engine::serves() {
            let what = "calls other services in init_by_lua*, where calls are not made; the workers make theirs";
            self.log(NGX_LOG_NOTICE, what);
            return None;
        }
        MainConf::current()?.lua_calls.clone()
    }

    /// The pipes of workers are made before anybody knows what Lua will load.
    fn is_told_of_messages(&self) -> bool {
        let what = "registers a shared queue; filters run by Lua are not told of its messages, but can take them";
        self.log(NGX_LOG_INFO, what);
        false
    }

    fn start_clock(&self) {
        engine::start_ticker(&self.engine, cycle::log());
    }

    fn world<'a>(&'a self, generation: u64, log: Log<'a>, streams: &[StreamToken]) -> Option<Box<dyn RootWorld + 'a>> {
        self.set_running(generation);
        Some(Box::new(RequestHost::for_root_of_seat(self, log, self.timeout, streams)))
    }

    fn let_go(&self, stream: StreamToken, consequences: &Consequences) {
        if let (Some(callback), Some(request)) = (consequences.callback, tokens::find(stream)) {
            pause::fail(&request, self, consequences.generation, callback);
        }
    }

    fn waiting(&self, vm: &Vm, call: Option<CallId>) -> Vec<StreamToken> {
        match call {
            Some(call) => vm.streams_of_call(call).collect(),
            // A tick may cancel any.
            None => vm.streams().collect(),
        }
    }

    fn has_ended(&self, vm: &Vm, generation: u64, streams: Vec<StreamToken>) {
        for request in streams.into_iter().filter_map(tokens::find) {
            pause::call_ended(&request, self, generation, vm);
        }
    }
}

impl Seat for LoadedModule {
    fn of_higress(&self) -> bool {
        self.module.abi() == AbiVersion::V0_2_100
    }

    fn lines(&self) -> &Rc<GuestLog> {
        &self.lines
    }

    fn body(&self, request: &Request, context: ContextId, look: &mut dyn FnMut(&mut SeatBody)) {
        if let Some(run) = run_in(request, self, self.running.get(), context)
            && let Some(body) = run.body.borrow_mut().as_mut()
        {
            look(body);
        }
    }

    fn resume(&self, request: &Request, context: ContextId, direction: Direction) {
        if let Some(run) = run_in(request, self, self.running.get(), context)
            && run.is_response.get() == (direction == Direction::Response)
        {
            run.resumed.set(true);
        }
    }
}
