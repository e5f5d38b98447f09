//! What the host keeps of a VM beside its instance. `vm.rs` runs callbacks with it, and host functions work on it.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};

use super::callbacks::Callback;
use super::capabilities::Capabilities;
use super::config::{RootConfig, VmConfig};
use super::context::{Context, Contexts, Numbers};
use super::foreign;
use super::host::Host;
use super::ids::ContextId;
use super::in_flight::Calls;
use super::redis_services::RedisServices;
use super::trace::Trace;
use super::types::{AbiVersion, LogLevel};
use crate::wasi;

/// How much a guest has asked its host.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked {
    /// Calls that answer a status.
    pub calls: u64,
    /// Those of them that were for the root id.
    pub root_id: u64,
}

/// What the host keeps of a VM, and its host functions work on.
pub(crate) struct State {
    pub(super) contexts: Contexts,
    /// What the guest has of the system.
    pub(super) wasi: wasi::State,
    /// What foreign functions keep.
    pub(super) foreign: foreign::Kept,
    /// Calls to other services.
    pub(super) calls: Calls,
    /// Redis services, as guests have set them up.
    pub(super) redis: RedisServices,
    pub(super) config: VmConfig,
    pub(super) abi: AbiVersion,
    pub(super) allocator: Callback,
    pub(super) callback: Callback,
    /// The context of the callback that runs.
    pub(super) own: ContextId,
    pub(super) effective: ContextId,
    pub(super) finished: Vec<ContextId>,
    /// Contexts that wait for the guest's proxy_done, the one that has waited longest first.
    pub(super) pending: VecDeque<ContextId>,
    /// The stream that has ended last, and what was left of its fuel.
    pub(super) ended: Option<(ContextId, u64)>,
    pub(super) tick_periods: Vec<(ContextId, u32)>,
    pub(super) registered_queues: Vec<(ContextId, u32)>,
    pub(super) scratch: Vec<u8>,
    /// The guest has asked for `plugin_root_id`.
    pub(super) asked_root_id: Cell<bool>,
    /// The guest has looked at a plugin configuration.
    pub(super) read_configuration: Cell<bool>,
    /// How often the guest has asked for what it may not do.
    pub(super) denied: u64,
    /// How much the guest has asked.
    pub(super) asked: Asked,
    /// When it was complained about what last, in nanoseconds.
    pub(super) complaints: HashMap<&'static str, u64>,
    /// That of the callback that runs, if somebody wants it.
    pub(super) trace: Option<Box<Trace>>,
}

/// What the host keeps of a VM that has a root context and nothing else.
#[derive(PartialEq)]
pub(super) struct StateImage {
    pub root: ContextId,
    numbers: Numbers,
    last_call: u32,
    declared: foreign::Declared,
    redis: RedisServices,
    asked_root_id: bool,
    read_configuration: bool,
}

impl State {
    pub(super) fn new(abi: AbiVersion, allocator: Callback, config: VmConfig) -> State {
        State {
            contexts: Contexts::new(config.reuse_context_ids),
            wasi: wasi::State { environment: config.environment.clone(), ..wasi::State::default() },
            foreign: foreign::Kept::default(),
            calls: Calls::new(config.max_calls, config.limits.memory),
            redis: RedisServices::default(),
            config,
            abi,
            allocator,
            callback: Callback::Initialize,
            own: ContextId(0),
            effective: ContextId(0),
            finished: Vec::new(),
            pending: VecDeque::new(),
            ended: None,
            tick_periods: Vec::new(),
            registered_queues: Vec::new(),
            scratch: Vec::new(),
            asked_root_id: Cell::new(false),
            read_configuration: Cell::new(false),
            denied: 0,
            asked: Asked::default(),
            complaints: HashMap::new(),
            trace: None,
        }
    }

    /// Keeps what there is now, between callbacks: one root context, and nothing under way. The error says what else there is.
    pub(super) fn image(&self) -> Result<StateImage, String> {
        let (root, numbers) = self.contexts.only_root().ok_or("it has more than its root context")?;
        let last_call = self.calls.last_of_none().ok_or("its start calls another service")?;
        if self.tick_periods.iter().any(|(_, period)| *period > 0) {
            return Err("its start sets a timer".into());
        }
        if !self.registered_queues.is_empty() {
            return Err("its start registers a shared queue".into());
        }
        if !self.wasi.is_as_granted() {
            return Err("its start leaves files open".into());
        }
        let declared = self.foreign.declared_alone().ok_or("its start makes expressions")?;
        Ok(StateImage {
            root,
            numbers,
            last_call,
            declared: declared.clone(),
            redis: self.redis.clone(),
            asked_root_id: self.asked_root_id.get(),
            read_configuration: self.read_configuration.get(),
        })
    }

    /// Goes back to what there was. What is of the host alone goes on: what it counts, and when it has complained about what.
    pub(super) fn put_back(&mut self, image: &StateImage) -> Result<(), String> {
        // All fields are named: whoever adds one decides what becomes of it here.
        let State {
            contexts,
            wasi,
            foreign,
            calls,
            redis,
            config: _,
            abi: _,
            allocator: _,
            callback: _,
            own,
            effective,
            finished,
            pending,
            ended,
            tick_periods,
            registered_queues,
            // Emptied by whoever takes it.
            scratch: _,
            asked_root_id,
            read_configuration,
            denied: _,
            asked: _,
            complaints: _,
            // There as long as a callback runs.
            trace: _,
        } = self;
        foreign.put_back(&image.declared);
        if *redis != image.redis {
            redis.clone_from(&image.redis);
        }
        (*own, *effective, *ended) = (image.root, image.root, None);
        tick_periods.clear();
        registered_queues.clear();
        asked_root_id.set(image.asked_root_id);
        read_configuration.set(image.read_configuration);
        if !contexts.put_back(image.root, &image.numbers) || !pending.is_empty() || !finished.is_empty() {
            return Err("it has contexts of requests".into());
        }
        if !calls.put_back(image.last_call) {
            return Err("calls to other services have not ended".into());
        }
        if !wasi.put_back() {
            return Err("it has closed a directory that it was granted".into());
        }
        Ok(())
    }

    /// The state of a VM without a module.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn for_tests() -> State {
        State::new(AbiVersion::V0_2_1, Callback::Malloc, VmConfig::default())
    }

    pub(super) fn abi(&self) -> AbiVersion {
        self.abi
    }

    pub(super) fn allocator(&self) -> Callback {
        self.allocator
    }

    /// The callback that is running.
    pub(super) fn callback(&self) -> Callback {
        self.callback
    }

    /// The context that host calls are about.
    pub(super) fn effective(&self) -> ContextId {
        self.effective
    }

    pub(super) fn set_effective(&mut self, id: ContextId) {
        self.effective = id;
    }

    /// The configuration of the root that the effective context belongs to.
    pub(super) fn root(&self) -> Option<&RootConfig> {
        self.contexts.root_of(self.effective).map(|(_, config)| config)
    }

    pub(super) fn vm_configuration(&self) -> &[u8] {
        &self.config.configuration
    }

    pub(super) fn vm_id(&self) -> &[u8] {
        &self.config.id
    }

    /// What the guest may do, when that is not everything.
    pub(super) fn capabilities(&self) -> Option<&Capabilities> {
        self.config.capabilities.as_deref()
    }

    pub(super) fn count_denied(&mut self) {
        self.denied += 1;
    }

    /// A context whose guest has called proxy_done.
    pub(super) fn finished(&mut self, id: ContextId) {
        self.pending.retain(|pending| *pending != id);
        self.finished.push(id);
    }

    /// A root context wants on_tick this often, or not at all.
    pub(super) fn set_tick_period(&mut self, root: ContextId, period: u32) {
        self.tick_periods.retain(|(known, _)| *known != root);
        self.tick_periods.push((root, period));
    }

    /// A root context waits for messages of a queue.
    pub(super) fn registered_queue(&mut self, root: ContextId, queue: u32) {
        if !self.registered_queues.contains(&(root, queue)) {
            self.registered_queues.push((root, queue));
        }
    }

    /// Logs what is wrong about `subject`, once a minute.
    pub(super) fn warn_rarely(&mut self, host: &mut dyn Host, subject: &'static str, message: &str) {
        let now = host.now();
        if self.may_complain(subject, now) {
            host.log(LogLevel::Error, message.as_bytes());
        }
    }

    /// Whether nothing has been said about `subject` for a minute, at the time `now`.
    fn may_complain(&mut self, subject: &'static str, now: u64) -> bool {
        const MINUTE: u64 = 60_000_000_000;
        let is_due = self.complaints.get(subject).is_none_or(|last| now.abs_diff(*last) >= MINUTE);
        if is_due {
            self.complaints.insert(subject, now);
        }
        is_due
    }

    /// Adds a context. Numbers that are given out again are not those that the guest still knows a call by.
    pub(super) fn new_context(&mut self, context: Context) -> ContextId {
        let calls = &self.calls;
        self.contexts.insert(context, |id| !calls.is_waited_for(id))
    }

    /// The contexts for which a call is made now.
    pub(super) fn contexts_of_call(&self) -> [ContextId; 2] {
        [self.own, self.effective]
    }

    /// Logs what the guest has printed without ending the line.
    pub(super) fn flush_output(&mut self, mut host: &mut dyn Host) {
        self.wasi.output.flush(&mut host);
    }

    /// An empty buffer for a value on its way to the guest.
    pub(super) fn take_scratch(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.scratch);
        buffer.clear();
        buffer
    }

    /// Keeps the buffer, unless a large value has made it large.
    pub(super) fn keep_scratch(&mut self, buffer: Vec<u8>) {
        const LARGEST: usize = 64 << 10;
        if buffer.capacity() <= LARGEST {
            self.scratch = buffer;
        }
    }
}
