//! One instance of a filter: a VM with the filter's root context, and what goes on in it beside requests.

use std::rc::Rc;

use nginx_sys::ngx_msec_t;
use ngx_wasm::proxy_wasm::{CallCommand, Callback, ContextId, Vm};

use crate::config::conf::MainConf;
use crate::filters::calls::{Calls, Owner, Who};
use crate::filters::queue_ready;
use crate::filters::ticks::Ticks;

/// A running filter.
pub struct Instance {
    pub vm: Vm,
    pub root: ContextId,
    /// Its number among all that the worker has made of the filter.
    pub generation: u64,
    /// There once the filter has asked for a timer.
    ticks: Option<Box<Ticks>>,
    /// The calls of the VM that run.
    pub calls: Calls,
    /// Who gets the results of calls, once there has been one.
    owner: Option<Rc<Owner>>,
    /// Bytes of memory when it had started.
    pub memory_at_start: usize,
    /// Bytes of memory as they were counted last.
    pub memory: usize,
    /// Whether it has its place in the pool of instances.
    pub is_pooled: bool,
    /// How often it was to grow and did not, and how often the guest asked for what it may not do, as counted last.
    refused_growth: u64,
    denied: u64,
    /// Its request has ended, and it is there only because of what else goes on in it.
    pub lingers: bool,
    /// It serves requests, and waits with what no request has asked for: one before it has failed at that.
    pub is_resting: bool,
    /// Calls of its start, which wait too.
    put_off: Vec<CallCommand>,
}

impl Instance {
    pub fn new(mut vm: Vm, root: ContextId, generation: u64) -> Self {
        let stats = vm.stats();
        Instance {
            vm,
            root,
            generation,
            ticks: None,
            calls: Calls::default(),
            owner: None,
            memory_at_start: stats.memory,
            memory: stats.memory,
            is_pooled: stats.pooled,
            refused_growth: 0,
            denied: 0,
            lingers: false,
            is_resting: false,
            put_off: Vec::new(),
        }
    }

    /// Has one that has just started wait with its own work.
    pub fn begin_rest(&mut self) {
        self.is_resting = true;
        self.put_off = self.vm.take_calls();
    }

    /// Lets it work: [`Instance::settle`] has to follow.
    pub fn end_rest(&mut self, main: &MainConf, filter: usize) {
        self.is_resting = false;
        let commands = std::mem::take(&mut self.put_off);
        self.start_calls(main, filter, commands);
    }

    /// Whether it has, or has put off, what no request has asked for.
    pub fn has_own_work(&self) -> bool {
        self.is_resting || self.ticks.as_ref().is_some_and(|ticks| ticks.is_running())
    }

    /// Does what the guest asked for in the callback that has just ended.
    pub fn settle(&mut self, main: &MainConf, filter: usize) {
        let generation = self.generation;
        let mut commands = self.vm.take_calls();
        if self.is_resting {
            // The VM keeps what it has asked for of timers and queues.
            let is_put_off = |command: &CallCommand| self.put_off.iter().any(|other| other.call() == command.call());
            let more: Vec<_> = commands.extract_if(.., |command| is_put_off(command)).collect();
            self.put_off.extend(more);
            self.start_calls(main, filter, commands);
            return;
        }
        if self.vm.has(Callback::OnQueueReady) {
            for (root, queue) in self.vm.take_registered_queues() {
                if root == self.root {
                    queue_ready::register(main, filter, generation, queue);
                }
            }
        }
        for (root, period) in self.vm.take_tick_periods() {
            if root == self.root {
                let ticks = self.ticks.get_or_insert_with(|| Ticks::new(main, filter, generation));
                ticks.set_period(period as ngx_msec_t);
            }
        }
        // A worker that shuts down ticks only while there are requests, and one may come when it has stopped: by a connection
        // that was open already.
        if let Some(ticks) = &mut self.ticks {
            // All contexts but the root are those of requests.
            ticks.again(self.vm.contexts() > 1);
        }
        self.start_calls(main, filter, commands);
    }

    fn start_calls(&mut self, main: &MainConf, filter: usize, commands: Vec<CallCommand>) {
        let generation = self.generation;
        let conf = &main.filters[filter];
        if let (false, Some(settings)) = (commands.is_empty(), &conf.calls) {
            let owner = self.owner.get_or_insert_with(|| {
                let who = Who::Filter { main, filter, generation };
                Rc::new(Owner { who, name: conf.name.clone(), settings: settings.clone() })
            });
            self.calls.start(owner, commands);
        }
    }

    /// Sees how large it is now. Answers how often growth was refused, and how often the guest was denied something, since
    /// this was asked last.
    pub fn measure(&mut self) -> (u64, u64) {
        let stats = self.vm.stats();
        self.memory = stats.memory;
        let refused = std::mem::replace(&mut self.refused_growth, stats.refused_growth);
        let denied = self.vm.denied();
        (stats.refused_growth - refused, denied - std::mem::replace(&mut self.denied, denied))
    }

    /// Whether it was to grow and did not.
    pub fn is_refused_growth(&self) -> bool {
        self.refused_growth > 0
    }

    /// The timer of the filter, if it ever asked for one.
    pub fn ticks(&mut self) -> Option<&mut Ticks> {
        self.ticks.as_deref_mut()
    }

    /// Whether it has the context of a request that is under way.
    pub fn has_requests(&self) -> bool {
        self.vm.streams().next().is_some()
    }

    /// Whether nothing goes on in it: no request, no context that the guest has to end, no call.
    pub fn is_idle(&self) -> bool {
        // The root is a context too.
        self.vm.contexts() <= 1 && self.calls.is_empty()
    }
}
