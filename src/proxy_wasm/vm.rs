//! A running instance of a Proxy-Wasm module, with its contexts: start-up, the callbacks, the end of a context.
//!
//! `ngx_module` owns one [`Vm`] for each filter and worker, and one for each module that Lua loaded. A callback that
//! traps ends the VM: guest memory may be half-written then, so nothing runs in it any more.

use std::sync::Arc;
use std::time::Instant;

use super::callbacks::{Callback, Callbacks};
use super::capabilities::Capabilities;
use super::config::{RootConfig, VmConfig};
use super::context::Context;
use super::errors::{CallError, StartError};
use super::host::Host;
use super::host_calls::{self, Dispatch};
use super::ids::{ContextId, StreamToken};
use super::module::Module;
use super::root_id::{self, RootIdUse};
use super::state::State;
use super::trace::{Ended, Trace};
use super::types::{AbiVersion, Action};
use crate::vm::{Instance, InstanceStats, Trap};
use crate::wasi::Descriptors;

/// A running instance.
pub struct Vm {
    pub(super) instance: Box<dyn Instance>,
    callbacks: Callbacks,
    pub(super) state: State,
    dead: bool,
    /// How many callbacks have run since somebody asked.
    callbacks_run: u64,
    /// What the guest made of the root id of the context that was made last.
    pub(super) root_id_use: RootIdUse,
}

impl Vm {
    /// Makes an instance and runs its start functions (`_initialize` and `main`, or `_start`). Here and in
    /// [`Vm::create_root`], time-outs are CPU time.
    pub fn start(module: &Arc<Module>, config: VmConfig, host: &mut dyn Host) -> Result<Vm, StartError> {
        let (limits, fuel) = (config.limits, config.fuel);
        let (callbacks, mut state) = Vm::prepare(module, config)?;
        let mut dispatch = Dispatch { rows: host_calls::rows(), state: &mut state, host };
        let timeout = dispatch.host.timeout();
        let instance = module.program.instantiate(limits, fuel, timeout.into(), &mut dispatch);
        state.flush_output(host);
        let mut instance = instance.map_err(|trap| StartError::Instantiate { trap })?;
        if fuel.is_some() && instance.fuel().is_none() {
            let trap = Trap::Instantiate("it has fuel, but the module was compiled without counting it".into());
            return Err(StartError::Instantiate { trap });
        }
        let mut vm = Vm::of(instance, callbacks, state, RootIdUse::Ignored);
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

    /// Finds whether a start would fail for what the configuration grants, before there is a module.
    pub fn check_grants(capabilities: &Capabilities) -> Result<(), StartError> {
        open(capabilities).map(drop)
    }

    /// What the host keeps of a VM, before there is an instance.
    pub(super) fn prepare(module: &Module, config: VmConfig) -> Result<(Callbacks, State), StartError> {
        let callbacks = match &config.capabilities {
            Some(capabilities) => module.callbacks.filtered(|callback| capabilities.may_have(callback)),
            None => module.callbacks,
        };
        let files = match config.capabilities.as_deref() {
            Some(capabilities) => open(capabilities)?,
            None => Descriptors::default(),
        };
        // `Module::new` refuses a module without one.
        let allocator = module.callbacks.allocator().unwrap_or(Callback::Malloc);
        let mut state = State::new(module.abi, allocator, config);
        state.wasi.files = files;
        Ok((callbacks, state))
    }

    /// The VM of an instance in which nothing has run.
    pub(super) fn of(instance: Box<dyn Instance>, callbacks: Callbacks, state: State, root_id_use: RootIdUse) -> Vm {
        Vm { instance, callbacks, state, dead: false, callbacks_run: 0, root_id_use }
    }

    /// Makes a root context: on_context_create, on_vm_start, on_configure.
    pub fn create_root(&mut self, config: RootConfig, host: &mut dyn Host) -> Result<ContextId, StartError> {
        let vm_size = self.state.vm_configuration().len() as u32;
        let size = config.configuration.len() as u32;
        let id = self.state.new_context(Context::Root(Box::new(config)));
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

    /// Whether the guest has been given random numbers.
    pub fn has_read_random(&self) -> bool {
        self.state.wasi.has_read_random
    }

    /// Whether the guest has any callback, and may: all requests pass it otherwise, as in Envoy.
    pub fn has_callbacks(&self) -> bool {
        self.callbacks.are_any()
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

    /// Ends a root context: on_done and on_delete, whatever the guest answers.
    pub fn end_root(&mut self, id: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        self.call(Callback::OnDone, id, &[id.0], host)?;
        self.call(Callback::OnDelete, id, &[id.0], host)?;
        self.forget_root(id);
        Ok(())
    }

    fn forget_root(&mut self, id: ContextId) {
        self.state.contexts.remove(id);
        // Another root may get its number, and a guest may trap when it is called for one that it does not have.
        self.state.tick_periods.retain(|(root, _)| *root != id);
        self.state.registered_queues.retain(|(root, _)| *root != id);
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

    /// Whether there is something to count since [`Vm::stats`] was asked last, beside callbacks of which only a few have run:
    /// `denied` is what [`Vm::denied`] answered then.
    pub fn has_new_stats(&self, denied: u64) -> bool {
        const FEW: u64 = 64;
        self.callbacks_run >= FEW || self.state.denied != denied || self.instance.has_new_stats()
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
        if host.traces() {
            self.state.trace = Some(Trace::begin());
        }
        let timeout = host.timeout();
        if let Some(fuel) = self.state.fuel_of(id) {
            self.instance.set_fuel(fuel);
        }
        // A clock costs something, so that one is read only where somebody wants to know.
        let begin = self.state.config.is_measured.then(Instant::now);
        let mut dispatch = Dispatch { rows: host_calls::rows(), state: &mut self.state, host };
        let result = self.instance.call(callback as usize, args, timeout, &mut dispatch);
        if let Some(begin) = begin {
            host.callback_took(callback.kind(), begin.elapsed());
        }
        if self.state.config.fuel.is_some() {
            let left = self.instance.fuel().unwrap_or_default();
            self.state.set_fuel_of(id, left);
        }
        self.state.flush_output(host);
        if self.state.effective != id {
            host.select(self.state.contexts.token_of(id));
        }
        self.state.calls.hide();
        if self.state.trace.is_some() {
            self.end_trace(callback, id, args, &result, host);
        }
        result.map_err(|trap| {
            self.dead = true;
            self.state.calls.forget_all();
            CallError::Trap { callback, context: id, trap }
        })
    }

    /// Has the host write what the callback has done.
    #[cold]
    fn end_trace(
        &mut self,
        callback: Callback,
        context: ContextId,
        args: &[u32],
        result: &Result<u32, Trap>,
        host: &mut dyn Host,
    ) {
        if let Some(trace) = self.state.trace.take() {
            let (result, abi) = (result.as_ref().copied(), self.state.abi());
            trace.end(&Ended { callback, context, args, result, abi }, host);
        }
    }
}

/// Opens what the configuration grants.
fn open(capabilities: &Capabilities) -> Result<Descriptors, StartError> {
    Descriptors::open(capabilities.directories()).map_err(StartError::Directory)
}
