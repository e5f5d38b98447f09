//! A running instance of a Proxy-Wasm module, with its contexts: start-up, the callbacks, the end of a context.
//!
//! `ngx_module` owns one [`Vm`] for each filter and worker, and one for each module that Lua loaded. A callback that
//! traps ends the VM: guest memory may be half-written then, so nothing runs in it any more.

use std::sync::Arc;

use thiserror::Error;

use super::callbacks::{Callback, Callbacks};
use super::capabilities::Capabilities;
use super::context::{Context, ContextId};
use super::host::{Host, StreamToken};
use super::host_calls::Dispatch;
use super::module::{AS_REACTOR, Module};
use super::root_id::{self, RootIdUse};
use super::state::State;
use super::types::{AbiVersion, Action, LogLevel};
use crate::vm::{Instance, InstanceLimits, InstanceStats, Trap};
use crate::wasi::Descriptors;

/// What all root contexts of a VM share.
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// `plugin_vm_id`.
    pub id: Vec<u8>,
    /// VM configuration.
    pub configuration: Vec<u8>,
    /// Caps on the instance.
    pub limits: InstanceLimits,
    /// Whether the number of a context that has ended goes to the next new one.
    pub reuse_context_ids: bool,
    /// How many calls to other services may be in flight.
    pub max_calls: usize,
    /// How many contexts may wait for the guest's proxy_done; when there are more, the one that has waited longest ends.
    pub max_pending: usize,
    /// What the guest may do; `None` is everything but files.
    pub capabilities: Option<Arc<Capabilities>>,
    /// What all callbacks about a stream may use up together; each one about no stream has as much, too. The module must have
    /// been compiled for that.
    pub fuel: Option<u64>,
}

impl Default for VmConfig {
    fn default() -> Self {
        VmConfig {
            id: Vec::new(),
            configuration: Vec::new(),
            limits: InstanceLimits::default(),
            reuse_context_ids: false,
            max_calls: 1024,
            max_pending: 1024,
            capabilities: None,
            fuel: None,
        }
    }
}

/// One filter: a root context and its configuration.
#[derive(Clone, Debug, Default)]
pub struct RootConfig {
    /// `plugin_name`.
    pub name: Vec<u8>,
    /// `plugin_root_id`; C++ guests choose a root class by it.
    pub root_id: Vec<u8>,
    /// Plugin configuration.
    pub configuration: Vec<u8>,
}

/// A callback ended badly.
#[derive(Debug, Error)]
pub enum CallError {
    /// It trapped, and the VM is gone with it.
    #[error("{} trapped in context {context}: {trap}{}", .callback.name(), Backtrace(.trap))]
    Trap {
        /// Where.
        callback: Callback,
        /// In which context.
        context: ContextId,
        /// Why.
        trap: Trap,
    },
    /// An earlier one trapped.
    #[error("the VM has trapped before")]
    Dead,
}

/// A VM or a root context did not come up.
#[derive(Debug, Error)]
pub enum StartError {
    /// No instance could be made, or its start function failed.
    #[error("{trap}{}", Backtrace(.trap))]
    Instantiate {
        /// Why.
        trap: Trap,
    },
    /// What it is granted is not there.
    #[error("{0} (proxy_wasm_allow)")]
    Directory(String),
    /// Its `_start` ended with an exit, as that of a program does: nothing is left to be called.
    #[error(
        "its _start called proc_exit({0}): it is a program that runs and ends, and no filter; build it as a library (a \
         \"reactor\"): {AS_REACTOR}"
    )]
    Program(u32),
    /// A callback trapped.
    #[error(transparent)]
    Call(#[from] CallError),
    /// proxy_on_vm_start answered false.
    #[error("proxy_on_vm_start returned false: the filter refuses its VM configuration")]
    VmStart,
    /// proxy_on_configure answered false.
    #[error("proxy_on_configure returned false: the filter refuses its configuration")]
    Configure,
}

struct Backtrace<'a>(&'a Trap);

impl std::fmt::Display for Backtrace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.backtrace() {
            [] => Ok(()),
            frames => write!(f, " (guest backtrace: {})", frames.join(" < ")),
        }
    }
}

/// A running instance.
pub struct Vm {
    instance: Box<dyn Instance>,
    callbacks: Callbacks,
    pub(super) state: State,
    dead: bool,
    /// How many callbacks have run since somebody asked.
    callbacks_run: u64,
    /// What the guest made of the root id of the context that was made last.
    root_id_use: RootIdUse,
}

impl Vm {
    /// Makes an instance and runs its start functions (`_initialize` and `main`, or `_start`). Here and in
    /// [`Vm::create_root`], time-outs are CPU time.
    pub fn start(module: &Arc<Module>, config: VmConfig, host: &mut dyn Host) -> Result<Vm, StartError> {
        let callbacks = match &config.capabilities {
            Some(capabilities) => module.callbacks.filtered(|callback| capabilities.may_have(callback)),
            None => module.callbacks,
        };
        let (limits, fuel) = (config.limits, config.fuel);
        let directories = config.capabilities.as_deref().map_or(&[][..], Capabilities::directories);
        let files = Descriptors::open(directories).map_err(StartError::Directory)?;
        let mut state = State::new(module, config);
        state.files = files;
        let mut dispatch = Dispatch::new(&mut state, host);
        let timeout = dispatch.host.timeout();
        let instance = module.program.instantiate(limits, fuel, timeout, &mut dispatch);
        state.output.flush(host);
        let mut instance = instance.map_err(|trap| StartError::Instantiate { trap })?;
        if fuel.is_some() && instance.fuel().is_none() {
            let trap = Trap::Instantiate("it has fuel, but the module was compiled without counting it".into());
            return Err(StartError::Instantiate { trap });
        }
        let root_id_use = RootIdUse::Ignored;
        let mut vm = Vm { instance, callbacks, state, dead: false, callbacks_run: 0, root_id_use };
        if callbacks.has(Callback::Initialize) {
            vm.run(Callback::Initialize, ContextId(0), &[], host)?;
            if callbacks.has(Callback::Main) {
                vm.run(Callback::Main, ContextId(0), &[0, 0], host)?;
            } else if callbacks.has(Callback::MainVoid) {
                vm.run(Callback::MainVoid, ContextId(0), &[], host)?;
            }
        } else if callbacks.has(Callback::Start) {
            vm.run(Callback::Start, ContextId(0), &[], host).map_err(|err| match err {
                CallError::Trap { trap: Trap::Exit(code), .. } => StartError::Program(code),
                err => err.into(),
            })?;
        }
        vm.instance.count_cpu_time(false);
        Ok(vm)
    }

    /// Makes a root context: on_context_create, on_vm_start, on_configure.
    pub fn create_root(&mut self, config: RootConfig, host: &mut dyn Host) -> Result<ContextId, StartError> {
        let vm_size = self.state.vm_configuration().len() as u32;
        let size = config.configuration.len() as u32;
        let id = self.state.new_context(Context::Root(config));
        let before = self.state.asked;
        self.instance.count_cpu_time(true);
        let result = self.start_root(id, vm_size, size, host).map(|()| id);
        self.instance.count_cpu_time(false);
        self.root_id_use = root_id::seen(&self.state, before, &result);
        if result.is_err() {
            self.state.contexts.abandon(id);
            self.forget_root(id);
        }
        result
    }

    /// What the guest made of the root id of the context that [`Vm::create_root`] made last, or tried to.
    pub fn root_id_use(&self) -> RootIdUse {
        self.root_id_use
    }

    fn start_root(&mut self, id: ContextId, vm: u32, plugin: u32, host: &mut dyn Host) -> Result<(), StartError> {
        self.call(Callback::OnContextCreate, id, &[id.0, 0], host)?;
        if self.call(Callback::OnVmStart, id, &[id.0, vm], host)? == Some(0) {
            return Err(StartError::VmStart);
        }
        if self.call(Callback::OnConfigure, id, &[id.0, plugin], host)? == Some(0) {
            return Err(StartError::Configure);
        }
        Ok(())
    }

    /// Whether the guest has asked for its root id.
    pub fn asked_root_id(&self) -> bool {
        self.state.asked_root_id.get()
    }

    /// Whether the guest of a root that has started may not know its root id. SDKs with a registry of root ids ask for it when
    /// they make a context, and give one that does nothing to an id that nobody has registered (C++); that one does not look
    /// at its configuration, either. Nothing is known of a root without a configuration.
    pub fn may_not_know_root(&self, root: ContextId) -> bool {
        let has_configuration =
            matches!(self.state.contexts.get(root), Some(Context::Root(config)) if !config.configuration.is_empty());
        has_configuration && self.asked_root_id() && !self.state.read_configuration.get()
    }

    /// Runs on_tick of a root context.
    pub fn on_tick(&mut self, root: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        self.call(Callback::OnTick, root, &[root.0], host).map(|_| ())
    }

    /// The tick periods that root contexts have asked for since this was called last, in milliseconds; 0 is none. The
    /// embedder looks after each callback, and calls [`Vm::on_tick`] accordingly.
    pub fn take_tick_periods(&mut self) -> Vec<(ContextId, u32)> {
        std::mem::take(&mut self.state.tick_periods)
    }

    /// Runs on_queue_ready of a root context.
    pub fn on_queue_ready(&mut self, root: ContextId, queue: u32, host: &mut dyn Host) -> Result<(), CallError> {
        self.call(Callback::OnQueueReady, root, &[root.0, queue], host).map(|_| ())
    }

    /// The queues that root contexts have registered since this was called last. The embedder looks after each callback, and
    /// calls [`Vm::on_queue_ready`] when there are messages.
    pub fn take_registered_queues(&mut self) -> Vec<(ContextId, u32)> {
        std::mem::take(&mut self.state.registered_queues)
    }

    /// Makes a stream context below `root`.
    pub fn create_stream(
        &mut self,
        root: ContextId,
        token: StreamToken,
        host: &mut dyn Host,
    ) -> Result<ContextId, CallError> {
        let id = self.state.new_context(Context::Stream {
            root,
            token: Some(token),
            pending_done: false,
            fuel: self.state.config.fuel.unwrap_or_default(),
        });
        if let Err(err) = self.call(Callback::OnContextCreate, id, &[id.0, root.0], host) {
            self.state.contexts.abandon(id);
            return Err(err);
        }
        Ok(id)
    }

    /// Whether the module has this callback, and may.
    pub fn has(&self, callback: Callback) -> bool {
        self.callbacks.has(callback)
    }

    /// Runs on_request_headers: `count` headers, and whether nothing follows them.
    pub fn on_request_headers(
        &mut self,
        id: ContextId,
        count: u32,
        end_of_stream: bool,
        host: &mut dyn Host,
    ) -> Result<Action, CallError> {
        self.headers(Callback::OnRequestHeaders, id, count, end_of_stream, host)
    }

    /// Runs on_response_headers: `count` headers, and whether nothing follows them.
    pub fn on_response_headers(
        &mut self,
        id: ContextId,
        count: u32,
        end_of_stream: bool,
        host: &mut dyn Host,
    ) -> Result<Action, CallError> {
        self.headers(Callback::OnResponseHeaders, id, count, end_of_stream, host)
    }

    /// Runs on_request_body: the size of the buffer that the guest can look into, and whether nothing follows it.
    pub fn on_request_body(
        &mut self,
        id: ContextId,
        size: u32,
        end_of_stream: bool,
        host: &mut dyn Host,
    ) -> Result<Action, CallError> {
        let action = self.call(Callback::OnRequestBody, id, &[id.0, size, u32::from(end_of_stream)], host)?;
        Ok(action.map_or(Action::Continue, Action::of_body))
    }

    /// Runs on_response_body: the size of the buffer that the guest can look into, and whether nothing follows it.
    pub fn on_response_body(
        &mut self,
        id: ContextId,
        size: u32,
        end_of_stream: bool,
        host: &mut dyn Host,
    ) -> Result<Action, CallError> {
        let action = self.call(Callback::OnResponseBody, id, &[id.0, size, u32::from(end_of_stream)], host)?;
        Ok(action.map_or(Action::Continue, Action::of_body))
    }

    /// Runs on_request_trailers with `count` trailers.
    pub fn on_request_trailers(&mut self, id: ContextId, count: u32, host: &mut dyn Host) -> Result<Action, CallError> {
        let action = self.call(Callback::OnRequestTrailers, id, &[id.0, count], host)?;
        Ok(action.map_or(Action::Continue, Action::of_trailers))
    }

    /// Runs on_response_trailers with `count` trailers.
    pub fn on_response_trailers(
        &mut self,
        id: ContextId,
        count: u32,
        host: &mut dyn Host,
    ) -> Result<Action, CallError> {
        let action = self.call(Callback::OnResponseTrailers, id, &[id.0, count], host)?;
        Ok(action.map_or(Action::Continue, Action::of_trailers))
    }

    /// Ends a stream context: on_done, on_log, on_delete. When on_done answers false, the last two wait for the guest's
    /// proxy_done, and find no stream then.
    pub fn end_stream(&mut self, id: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        let done = self.call(Callback::OnDone, id, &[id.0], host)?;
        if done == Some(0) {
            if let Some(Context::Stream { token, pending_done, .. }) = self.state.contexts.get_mut(id) {
                *token = None;
                *pending_done = true;
                self.state.pending.push_back(id);
            }
            return self.end_longest_pending(host);
        }
        self.delete(id, host)
    }

    /// Ends contexts that have waited for proxy_done when they are too many: a guest that never calls it would fill the
    /// memory of its host.
    fn end_longest_pending(&mut self, host: &mut dyn Host) -> Result<(), CallError> {
        while self.state.pending.len() > self.state.config.max_pending {
            let Some(id) = self.state.pending.pop_front() else { break };
            if let Some(Context::Stream { pending_done, .. }) = self.state.contexts.get_mut(id) {
                // A proxy_done that comes in its last callbacks comes too late.
                *pending_done = false;
            }
            let max = self.state.config.max_pending;
            self.state.complain(
                host,
                "contexts that wait",
                &format!("{max} contexts wait for proxy_done; those that have waited longest are ended"),
            );
            host.select(None);
            self.delete(id, host)?;
        }
        Ok(())
    }

    /// Forgets a context without a word to the guest, which has trapped or cannot be told.
    pub fn forget(&mut self, id: ContextId) {
        self.state.pending.retain(|pending| *pending != id);
        self.state.contexts.abandon(id);
    }

    /// Ends a root context: on_done and on_delete, whatever the guest answers.
    pub fn end_root(&mut self, id: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        self.call(Callback::OnDone, id, &[id.0], host)?;
        self.call(Callback::OnDelete, id, &[id.0], host)?;
        self.forget_root(id);
        Ok(())
    }

    fn forget_root(&mut self, id: ContextId) {
        self.state.contexts.remove(id);
        self.state.foreign.forget(id);
        self.state.calls.forget_root(id);
        self.state.redis.forget(id);
    }

    /// The ABI that its module declares.
    pub fn abi(&self) -> AbiVersion {
        self.state.abi()
    }

    /// Whether a callback has trapped, so that the VM must be replaced.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// The streams that have a context.
    pub fn streams(&self) -> impl Iterator<Item = StreamToken> + '_ {
        self.state.contexts.streams()
    }

    /// How many callbacks have run since this was asked last.
    pub fn take_callbacks(&mut self) -> u64 {
        std::mem::take(&mut self.callbacks_run)
    }

    /// How many contexts wait for the guest's proxy_done.
    pub fn pending(&self) -> usize {
        self.state.pending.len()
    }

    /// How many contexts there are, roots included.
    pub fn contexts(&self) -> usize {
        self.state.contexts.len()
    }

    /// What is known of its instance.
    pub fn stats(&mut self) -> InstanceStats {
        self.instance.stats()
    }

    /// How often the guest has asked for what it may not do.
    pub fn denied(&self) -> u64 {
        self.state.denied
    }

    fn headers(
        &mut self,
        callback: Callback,
        id: ContextId,
        count: u32,
        end_of_stream: bool,
        host: &mut dyn Host,
    ) -> Result<Action, CallError> {
        let args = [id.0, count, u32::from(end_of_stream)];
        // 0.1.0 knows no end of stream here. The declared type decides, not the marker.
        let len = self.callbacks.params(callback).unwrap_or(args.len());
        let action = self.call(callback, id, &args[..len], host)?;
        Ok(action.map_or(Action::Continue, |answer| Action::of_headers(answer, self.state.abi())))
    }

    fn delete(&mut self, id: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        self.call(Callback::OnLog, id, &[id.0], host)?;
        self.call(Callback::OnDelete, id, &[id.0], host)?;
        self.state.remove_stream(id);
        Ok(())
    }

    /// Runs a callback if the module has it, and what it left to be done after it.
    pub(super) fn call(
        &mut self,
        callback: Callback,
        id: ContextId,
        args: &[u32],
        host: &mut dyn Host,
    ) -> Result<Option<u32>, CallError> {
        if !self.callbacks.has(callback) {
            return Ok(None);
        }
        let result = self.run(callback, id, args, host)?;
        while let Some(finished) = self.state.finished.pop() {
            // The stream has gone, and the host of this callback is about another one, or none.
            host.select(None);
            self.delete(finished, host)?;
            host.select(self.state.contexts.token_of(id));
        }
        Ok(Some(result))
    }

    fn run(&mut self, callback: Callback, id: ContextId, args: &[u32], host: &mut dyn Host) -> Result<u32, CallError> {
        if self.dead {
            return Err(CallError::Dead);
        }
        self.callbacks_run += 1;
        self.state.callback = callback;
        self.state.own = id;
        self.state.effective = id;
        host.about(id);
        let timeout = host.timeout();
        if let Some(fuel) = self.state.fuel_of(id) {
            self.instance.set_fuel(fuel);
        }
        let mut dispatch = Dispatch::new(&mut self.state, host);
        let result = self.instance.call(callback as usize, args, timeout, &mut dispatch);
        if self.state.config.fuel.is_some() {
            let left = self.instance.fuel().unwrap_or_default();
            self.state.set_fuel_of(id, left);
        }
        self.state.output.flush(host);
        if self.state.effective != id {
            host.select(self.state.contexts.token_of(id));
        }
        self.state.calls.hide();
        result.map_err(|trap| {
            self.dead = true;
            self.state.calls.forget_all();
            CallError::Trap { callback, context: id, trap }
        })
    }
}

/// The level at which a failed callback is logged.
impl CallError {
    /// Severity in the host's log.
    pub fn level(&self) -> LogLevel {
        match self {
            CallError::Trap { .. } => LogLevel::Critical,
            CallError::Dead => LogLevel::Error,
        }
    }
}
