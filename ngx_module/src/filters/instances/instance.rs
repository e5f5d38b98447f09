//! One instance of a filter: a VM with the filter's root context, and what goes on in it beside requests.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use ngx_wasm::proxy_wasm::{CallCommand, Callback, ContextId, Vm, VmImage};

use super::{Filter, Instances};
use crate::filters::calls::{Calls, Owner};
use crate::filters::queue_ready;
use crate::filters::ticks::Ticks;
use crate::process::engine;
use crate::process::status::{Counted, FilterStatus};

/// A running filter.
pub struct Instance {
    pub vm: Vm,
    /// The root context of requests; 0 for filters whose root contexts are made one by one.
    pub root: ContextId,
    /// How many root contexts it has.
    roots: usize,
    /// It has had one.
    has_begun: bool,
    /// Its number among all that the worker has made of the filter.
    pub generation: u64,
    /// All instances of the filter: events find this one there.
    instances: Weak<RefCell<Instances>>,
    ticks: Ticks,
    /// The calls of the VM that run.
    pub calls: Calls,
    /// Who gets the results of calls, once there has been one.
    owner: Option<Rc<Owner>>,
    /// Bytes of memory when it, and its first root context, had started.
    pub memory_at_start: usize,
    /// Bytes of memory as they were counted last.
    pub memory: usize,
    /// Whether it has its place in the pool of instances.
    pub is_pooled: bool,
    /// What has been counted of its VM.
    counted: Counted,
    /// Its request has ended, and it is there only because of what else goes on in it.
    pub lingers: bool,
    /// It serves requests, and waits with what no request has asked for: one before it has failed at that.
    pub is_resting: bool,
    /// Calls of its start, which wait too.
    put_off: Vec<CallCommand>,
}

impl Instance {
    /// One that has no generation yet.
    pub fn new(mut vm: Vm, root: Option<ContextId>, instances: Weak<RefCell<Instances>>) -> Self {
        let stats = vm.stats();
        Instance {
            vm,
            root: root.unwrap_or(ContextId(0)),
            roots: root.iter().count(),
            has_begun: root.is_some(),
            generation: 0,
            instances,
            ticks: Ticks::default(),
            calls: Calls::default(),
            owner: None,
            memory_at_start: stats.memory,
            memory: stats.memory,
            is_pooled: stats.pooled,
            counted: Counted::default(),
            lingers: false,
            is_resting: false,
            put_off: Vec::new(),
        }
    }

    /// Makes it what it was when it had started, when nothing goes on in it any more. After an error it must be dropped.
    pub fn put_back(&mut self, image: &VmImage) -> Result<(), String> {
        // All fields are named: whoever adds one decides what becomes of it here.
        let Instance {
            vm,
            root: _,
            roots: _,
            has_begun: _,
            generation,
            instances: _,
            ticks,
            calls,
            owner,
            memory_at_start: _,
            memory: _,
            is_pooled: _,
            counted: _,
            lingers,
            is_resting,
            put_off,
        } = self;
        if !calls.is_empty() || *is_resting || !put_off.is_empty() {
            return Err("something goes on in it".into());
        }
        // What still knows it, such as a queue, finds none.
        *generation = 0;
        *ticks = Ticks::default();
        *owner = None;
        *lingers = false;
        vm.put_back(image)
    }

    /// A root context has been made in it, beside those that it has.
    pub fn add_root(&mut self) {
        self.roots += 1;
        // What more of them need is growth: an instance that takes the place of this one has those alone that are used then.
        if !std::mem::replace(&mut self.has_begun, true) {
            self.memory_at_start = self.vm.stats().memory;
        }
    }

    /// A root context has ended: its timer ends, and calls that nobody waits for any more.
    pub fn end_root(&mut self, root: ContextId) {
        self.roots = self.roots.saturating_sub(1);
        self.ticks.end(root);
        self.calls.retain(|call| self.vm.has_call(call));
        self.put_off.retain(|command| self.vm.has_call(command.call()));
    }

    /// Has one that has just started wait with its own work.
    pub fn begin_rest(&mut self) {
        self.is_resting = true;
    }

    /// A root context has started: what calls it has made meanwhile wait, if it rests.
    pub fn put_off_calls(&mut self) {
        if self.is_resting {
            self.put_off.append(&mut self.vm.take_calls());
        }
    }

    /// Lets it work: [`Instance::apply_wishes`] has to follow.
    pub fn end_rest(&mut self, filter: &dyn Filter) {
        self.is_resting = false;
        let commands = std::mem::take(&mut self.put_off);
        self.start_calls(filter, commands);
    }

    /// Whether it has, or has put off, what no request has asked for.
    pub fn has_own_work(&self) -> bool {
        self.is_resting || self.ticks.is_running()
    }

    /// Does what the guest asked for in the callback that has just ended.
    pub fn apply_wishes(&mut self, filter: &dyn Filter) {
        // Most callbacks are about headers and bodies alone.
        if !self.vm.has_wishes() {
            return;
        }
        let mut commands = self.vm.take_calls();
        if self.is_resting {
            // The VM keeps what it has asked for of timers and queues.
            let is_put_off = |command: &CallCommand| self.put_off.iter().any(|other| other.call() == command.call());
            let more: Vec<_> = commands.extract_if(.., |command| is_put_off(command)).collect();
            self.put_off.extend(more);
        } else {
            self.register_queues(filter);
            self.set_ticks();
        }
        self.start_calls(filter, commands);
    }

    fn register_queues(&mut self, filter: &dyn Filter) {
        if !self.vm.has(Callback::OnQueueReady) {
            return;
        }
        let queues = self.vm.take_registered_queues();
        if queues.is_empty() || !filter.is_told_of_messages() {
            return;
        }
        for (root, queue) in queues {
            queue_ready::register(&self.instances, self.generation, root, queue);
        }
    }

    fn set_ticks(&mut self) {
        for (root, period) in self.vm.take_tick_periods() {
            // Nothing ticks in a process that only reads the configuration.
            if self.vm.has(Callback::OnTick) && engine::serves() {
                self.ticks.set_period(&self.instances, self.generation, root, period);
            }
        }
    }

    fn start_calls(&mut self, filter: &dyn Filter, commands: Vec<CallCommand>) {
        if commands.is_empty() {
            return;
        }
        if self.owner.is_none() {
            self.owner = filter.calls().map(|settings| {
                let (instances, generation, name) = (self.instances.clone(), self.generation, filter.name().to_vec());
                Rc::new(Owner { instances, generation, name, settings })
            });
        }
        if let Some(owner) = &self.owner {
            self.calls.start(owner, commands);
        }
    }

    /// Counts what its VM has done, and sees how large it is now.
    pub fn measure(&mut self, status: FilterStatus) {
        self.memory = status.vm(&mut self.vm, &mut self.counted).memory;
    }

    /// Whether [`Instance::measure`] would find what is worth it.
    pub fn has_news(&self) -> bool {
        self.vm.has_new_stats(self.counted.denied)
    }

    /// Whether it was to grow and did not.
    pub fn is_refused_growth(&self) -> bool {
        self.counted.refused_growth > 0
    }

    /// Whether it has the context of a request that is under way.
    pub fn has_requests(&self) -> bool {
        self.vm.streams().next().is_some()
    }

    /// Whether it has contexts of requests, also of such as have ended and whose end the guest has put off.
    pub fn has_contexts_of_requests(&self) -> bool {
        // All contexts but the roots are those of requests.
        self.vm.contexts() > self.roots
    }

    /// Whether nothing goes on in it: no request, no context that the guest has to end, no call.
    pub fn is_idle(&self) -> bool {
        !self.has_contexts_of_requests() && self.calls.is_empty()
    }
}
