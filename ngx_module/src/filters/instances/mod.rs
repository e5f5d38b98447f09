//! What a worker has of each filter: the instance that all requests share, or one for each of them
//! (`proxy_wasm_isolation`; `reset.rs`), and how failed ones (`failure.rs`) and those that have grown (`proxy_wasm_recycle`) are replaced.
//!
//! An instance is known by its generation, which no other instance of the filter in this worker ever has. A request keeps
//! that with its context: when the instance has gone, the request finds none.

mod failure;
mod filter;
mod instance;
mod reset;
mod revival;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Instant;

use nginx_sys::NGX_LOG_NOTICE;
use ngx_wasm::proxy_wasm::{ContextId, Vm};
use ngx_wasm::restarts::Restarts;

pub use failure::{About, Consequences, OwnWork};
pub use filter::{Filter, Wording};
pub use instance::Instance;
pub use reset::told;

use crate::config::rules::{Isolation, Without};
use crate::nginx::log::Log;
use crate::process::status::{Absence, Event, FilterStatus};
use reset::Reset;
use revival::Revival;

/// The low bits of a generation say where the instance is.
const PLACE_BITS: u32 = 24;

/// Instances of requests that have ended, with calls or contexts that have not. When there are more, the oldest ends.
const MOST_LINGERING: usize = 128;

/// All instances of one filter.
pub struct Instances {
    pub(super) filter: Rc<dyn Filter>,
    /// These: events find them by it.
    own: Weak<RefCell<Instances>>,
    places: Vec<Option<Box<Instance>>>,
    free: Vec<usize>,
    /// How many have been made.
    made: u64,
    /// The one that new requests get, when they share one.
    current: Option<u64>,
    /// One that has grown, until its last request has ended.
    draining: Option<u64>,
    /// One that has grown could not be replaced, and is kept until this time at least.
    kept_until: Option<Instant>,
    /// Those without a request.
    lingering: VecDeque<u64>,
    /// What those are made of that requests have to themselves.
    reset: Reset,
    restarts: Restarts,
    /// The failures of callbacks about no request: what has to wait is such work, from the first failure on.
    own_work: Restarts,
    /// Which kind of it failed last.
    own_work_failure: Option<OwnWork>,
    /// A failure is not followed by another start.
    is_stopped: bool,
    /// There was a failure, and no start since.
    has_failed: bool,
    revival: Revival,
    /// How many there are, and how many bytes of memory they have.
    count: usize,
    memory: usize,
    /// That is in the status. What Lua loads in init_worker_by_lua* starts before anything is counted.
    is_shown: bool,
    /// The status says that requests have to do without the filter.
    is_shown_absent: bool,
}

impl Instances {
    /// None yet.
    pub fn of(filter: Rc<dyn Filter>) -> Rc<RefCell<Instances>> {
        Rc::new_cyclic(|own| RefCell::new(Instances::new(filter, own.clone(), 0)))
    }

    /// `made`: how many have been made before.
    fn new(filter: Rc<dyn Filter>, own: Weak<RefCell<Instances>>, made: u64) -> Self {
        let delay = filter.policy().restart_delay;
        let reset = Reset::new(filter.may_put_back(), filter.most_idle());
        Instances {
            filter,
            own,
            places: Vec::new(),
            free: Vec::new(),
            made,
            current: None,
            draining: None,
            kept_until: None,
            lingering: VecDeque::new(),
            reset,
            restarts: Restarts::new(delay.first, delay.longest, delay.at_once),
            own_work: Restarts::new(delay.first, delay.longest, 0),
            own_work_failure: None,
            is_stopped: false,
            has_failed: false,
            revival: Revival::default(),
            count: 0,
            memory: 0,
            is_shown: false,
            is_shown_absent: false,
        }
    }

    /// Forgets all instances, and what has become of them: they were another process', or of another time of this one.
    pub fn begin_anew(&mut self) {
        *self = Instances::new(self.filter.clone(), self.own.clone(), self.made);
    }

    /// What counts for the filter.
    pub fn status(&self) -> FilterStatus {
        self.filter.status()
    }

    /// The instance of this generation, if it is still there.
    pub fn get(&mut self, generation: u64) -> Option<&mut Instance> {
        find(&mut self.places, generation)
    }

    /// The instance for a new request. `Err`: there is none now; the log says or has said why.
    pub fn enter(&mut self, log: Log<'_>) -> Result<&mut Instance, Without> {
        let without = self.without();
        let generation = match self.filter.policy().isolation {
            Isolation::Worker => {
                self.recycle(log);
                self.ensure(log)
            }
            Isolation::Request | Isolation::FreshRequest => self.start_own(log),
        };
        generation.and_then(|generation| self.get(generation)).ok_or(without)
    }

    /// Makes before there is a request what the first one would wait for: the instance that all share, or an image for their own.
    pub fn begin(&mut self, log: Log<'_>) {
        if self.ensure(log).is_none() {
            self.begin_image(log);
        }
    }

    /// The instance that all requests share, started now if it is not there and may be. `None` when it does not start; the
    /// log says why.
    pub fn ensure(&mut self, log: Log<'_>) -> Option<u64> {
        if self.current.is_none() && self.filter.policy().isolation == Isolation::Worker {
            self.current = self.start(log);
            if self.is_shown_absent && self.current.is_some() {
                self.show_absence();
            }
        }
        self.current
    }

    /// Starts one more.
    fn start(&mut self, log: Log<'_>) -> Option<u64> {
        if self.is_stopped || !self.restarts.wait(Instant::now()).is_zero() {
            return None;
        }
        let (mut vm, root) = match self.filter.start(log) {
            Ok(started) => started,
            Err(reason) => {
                self.start_failed(&reason, log);
                return None;
            }
        };
        if std::mem::take(&mut self.has_failed) {
            self.status().count(Event::Restart);
        }
        self.keep_image(&mut vm, log);
        let generation = self.take_in_new(vm, root);
        self.root_started(generation);
        Some(generation)
    }

    /// Counts a VM that is an instance from now on.
    fn take_in_new(&mut self, vm: Vm, root: Option<ContextId>) -> u64 {
        let mut instance = Box::new(Instance::new(vm, root, self.own.clone()));
        if self.own_work_waits() {
            instance.begin_rest();
            self.revive_when_due();
        }
        self.count += 1;
        self.memory += instance.memory;
        if self.filter.policy().isolation != Isolation::Worker {
            self.status().count(if instance.is_pooled { Event::Pooled } else { Event::PoolExhausted });
        }
        let generation = self.take_in(instance);
        self.show();
        generation
    }

    /// Has the status say whether requests have to do without the filter now.
    fn show_absence(&mut self) {
        let wait = self.restarts.wait(Instant::now());
        let absence = match self.current {
            None if self.is_stopped => Absence::Lasting,
            None if !wait.is_zero() => Absence::For(wait),
            _ => Absence::None,
        };
        self.is_shown_absent = absence != Absence::None;
        self.status().absent(absence);
    }

    /// Gives an instance a place, and a generation that none has had.
    fn take_in(&mut self, mut instance: Box<Instance>) -> u64 {
        let place = self.free.pop().unwrap_or(self.places.len());
        self.made += 1;
        let generation = (self.made << PLACE_BITS) | place as u64;
        instance.generation = generation;
        if place == self.places.len() {
            self.places.push(None);
        }
        self.places[place] = Some(instance);
        generation
    }

    /// Does what the guest asked for when an instance, or a root context in it, has started.
    pub fn root_started(&mut self, generation: u64) {
        if let Some(instance) = self.get(generation) {
            instance.put_off_calls();
        }
        self.after_callback(generation);
    }

    /// Does what the guest asked for in the callback that has just ended, and counts it.
    pub fn after_callback(&mut self, generation: u64) {
        let Some(instance) = find(&mut self.places, generation) else { return };
        instance.apply_wishes(self.filter.as_ref());
        self.measure(generation);
    }

    /// The same of one of many callbacks about a request: as a rule, it is counted when the request leaves.
    pub fn after_callback_of_request(&mut self, generation: u64) {
        let Some(instance) = find(&mut self.places, generation) else { return };
        instance.apply_wishes(self.filter.as_ref());
        if instance.has_news() || !self.is_shown {
            self.measure(generation);
        }
    }

    /// Counts what an instance has done, and sees how large it is now.
    fn measure(&mut self, generation: u64) {
        let Some(instance) = find(&mut self.places, generation) else { return };
        let before = instance.memory;
        instance.measure(self.filter.status());
        let now = instance.memory;
        if before != now || !self.is_shown {
            self.memory = self.memory - before + now;
            self.show();
        }
    }

    /// A request has left the filter. `served`: all callbacks about it have ended well.
    pub fn leave(&mut self, generation: u64, served: bool) {
        if served {
            self.restarts.served();
            if self.is_shown_absent {
                self.show_absence();
            }
        }
        if let Some(instance) = find(&mut self.places, generation) {
            self.filter.status().callbacks(&mut instance.vm);
        }
        self.end_if_idle(generation);
    }

    /// Ends an instance that gets no more requests, once nothing goes on in it.
    pub fn end_if_idle(&mut self, generation: u64) {
        if self.current == Some(generation) {
            return;
        }
        let Some(instance) = self.get(generation) else { return };
        if instance.is_idle() {
            self.end_or_put_back(generation);
        } else if !instance.has_requests() && !std::mem::replace(&mut instance.lingers, true) {
            self.lingering.push_back(generation);
            if self.lingering.len() > MOST_LINGERING
                && let Some(oldest) = self.lingering.pop_front()
            {
                self.remove(oldest);
            }
        }
    }

    /// Ends an instance in which no request has a context, so that another one takes its place.
    pub fn end(&mut self, generation: u64) {
        self.remove(generation);
    }

    /// Takes an instance away.
    fn remove(&mut self, generation: u64) -> Option<Box<Instance>> {
        let mut instance = self.take_out(generation)?;
        self.status().callbacks(&mut instance.vm);
        self.uncount(&instance);
        self.show();
        Some(instance)
    }

    /// There is one less.
    fn uncount(&mut self, instance: &Instance) {
        self.count -= 1;
        self.memory -= instance.memory;
    }

    /// Takes an instance out of its place. It has no generation any more, and is counted nevertheless.
    fn take_out(&mut self, generation: u64) -> Option<Box<Instance>> {
        self.get(generation)?;
        let place = (generation & ((1 << PLACE_BITS) - 1)) as usize;
        let instance = self.places[place].take()?;
        self.free.push(place);
        if instance.lingers {
            self.lingering.retain(|other| *other != generation);
        }
        for known in [&mut self.current, &mut self.draining] {
            if *known == Some(generation) {
                *known = None;
            }
        }
        Some(instance)
    }

    fn show(&mut self) {
        let status = self.status();
        status.instances(self.count, self.memory);
        self.is_shown = status.counts();
    }

    /// Lets a new instance take the place of the shared one, if that has grown too much. The old one goes on for the requests
    /// that it has.
    pub fn recycle(&mut self, log: Log<'_>) {
        let Some(current) = self.current.filter(|_| self.draining.is_none()) else { return };
        let Some(instance) = find(&mut self.places, current) else { return };
        let memory = instance.memory;
        // It is so for most, and quickly seen.
        if memory == instance.memory_at_start {
            return;
        }
        let Some(most) = self.filter.policy().recycle.threshold(self.filter.memory_limit()) else { return };
        if memory < most && !instance.is_refused_growth() {
            return;
        }
        if self.kept_until.is_some_and(|time| Instant::now() < time) {
            return;
        }
        // When there is none, the old one is better than nothing.
        let Some(new) = self.start(log) else {
            let now = Instant::now();
            self.kept_until = now.checked_add(self.restarts.wait(now));
            return;
        };
        self.status().count(Event::Recycle);
        self.current = Some(new);
        self.draining = Some(current);
        let name = String::from_utf8_lossy(self.filter.name());
        let line = format!(
            "wasm filter \"{name}\": its instance has grown to {memory} bytes, a new one takes its place \
             (proxy_wasm_recycle)"
        );
        log.write(NGX_LOG_NOTICE, line);
        self.end_if_idle(current);
    }
}

/// The instance of this generation, if it is still there.
fn find(places: &mut [Option<Box<Instance>>], generation: u64) -> Option<&mut Instance> {
    let place = (generation & ((1 << PLACE_BITS) - 1)) as usize;
    places.get_mut(place)?.as_deref_mut().filter(|instance| instance.generation == generation)
}
