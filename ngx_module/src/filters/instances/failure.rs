//! What becomes of a filter that has failed, and of the requests that need it: `proxy_wasm_on_error`.

use std::time::{Duration, Instant};

use ngx_wasm::proxy_wasm::{CallError, Callback, StreamToken};

use super::{Instances, Wording};
use crate::config::rules::{Isolation, OnError, Without};
use crate::nginx::log::Log;

/// A filter that has work of its own and has failed is started again after this time at the earliest.
const REVIVE_AFTER: Duration = Duration::from_secs(1);

/// What the callback was about that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A request.
    Request,
    /// A call that was made for a request.
    Call,
    /// No request at all. Requests get a new instance at once then, and the filter's own work waits.
    OwnWork(OwnWork),
    /// The end of a root context, which nobody needs any more.
    End,
}

/// What a filter does that no request has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnWork {
    /// proxy_on_tick.
    Tick,
    /// proxy_on_queue_ready.
    Queue,
    /// A call to another service, such as a timer makes, or the start.
    Call,
}

/// What follows from a failed callback.
pub struct Consequences {
    /// What the request does that the callback was about.
    pub own: Without,
    /// What other requests do that have their contexts in the instance.
    pub others: Without,
    /// Which instance it was.
    pub generation: u64,
    /// The callback, if it has trapped.
    pub callback: Option<Callback>,
    about: About,
    /// For the log.
    pub text: String,
}

impl Wording {
    /// What those do that cannot have the filter.
    fn meanwhile(&self, without: Without) -> &'static str {
        match without {
            Without::Closed => self.closed,
            Without::Open => self.open,
        }
    }
}

fn seconds(wait: Duration) -> String {
    format!("{:.1} s", wait.as_secs_f64())
}

impl Instances {
    /// What requests do that cannot have the filter, because it has failed before.
    pub fn without(&self) -> Without {
        self.filter.policy().without()
    }

    /// Notes that a callback has failed, and decides what follows. [`Instances::discard`] does it.
    pub fn count_failure(&mut self, generation: u64, err: &CallError, about: About) -> Consequences {
        self.status().failure(err);
        self.decide(generation, err, about)
    }

    fn decide(&mut self, generation: u64, err: &CallError, about: About) -> Consequences {
        let (own, others) = (self.filter.policy().without_for_failed(), self.without());
        let words = self.filter.wording();
        let request = match own {
            _ if about != About::Request => "",
            Without::Closed => words.fails,
            Without::Open => words.goes_on,
        };
        let next = match self.current {
            Some(current) if current == generation => self.fail(about),
            _ => words.others.to_owned(),
        };
        let callback = match err {
            CallError::Trap { callback, .. } => Some(*callback),
            CallError::Dead => None,
        };
        Consequences { own, others, generation, callback, about, text: format!("proxy_wasm_on_error: {request}{next}") }
    }

    /// The shared instance has failed. Answers what follows, in words for the log.
    fn fail(&mut self, about: About) -> String {
        let words = self.filter.wording();
        match (self.filter.policy().on_error, about) {
            (_, About::End) => {
                self.has_failed = true;
                words.next.to_owned()
            }
            (OnError::Stay(without), _) => {
                self.is_stopped = true;
                format!("{} {}", words.until, words.meanwhile(without))
            }
            (OnError::Reload(_), About::OwnWork(work)) => {
                self.has_failed = true;
                self.own_work_failure = Some(work);
                let wait = seconds(self.own_work.failed(Instant::now()).max(REVIVE_AFTER));
                format!("{}, whose timers, queues and calls of its own wait for {wait}", words.at_once)
            }
            (OnError::Reload(without), _) => {
                self.has_failed = true;
                let wait = self.restarts.failed(Instant::now());
                if wait.is_zero() {
                    return words.next.to_owned();
                }
                let (wait, meanwhile) = (seconds(wait), words.meanwhile(without));
                format!("for {wait} {meanwhile}, then there is a new {}", words.instance)
            }
        }
    }

    /// A callback about no request has ended well.
    pub fn own_work_done(&mut self, work: OwnWork) {
        // That one kind of work goes well does not say that another does.
        if self.own_work_failure == Some(work) {
            self.own_work_failure = None;
            self.own_work.served();
        }
    }

    /// Whether a new instance has to wait with its own work.
    pub(super) fn own_work_waits(&self) -> bool {
        !self.own_work.wait(Instant::now()).is_zero()
    }

    /// Lets the shared instance do the work of its own that it has put off, if it is time.
    fn begin_own_work(&mut self) {
        let Some(current) = self.current else { return };
        let Some(true) = self.get(current).map(|instance| instance.is_resting) else { return };
        if self.own_work_waits() {
            self.revive_when_due();
            return;
        }
        let filter = self.filter.clone();
        if let Some(instance) = self.get(current) {
            instance.end_rest(filter.as_ref());
        }
        self.after_callback(current);
    }

    /// Arms the timer that lets a new instance begin with its own work.
    pub(super) fn revive_when_due(&mut self) {
        self.revive_later(self.own_work.wait(Instant::now()));
    }

    /// Drops an instance in which a callback has failed, about `own` or about no request. Others that wait for it would wait
    /// in vain: they go on without the filter, or fail.
    pub fn discard(&mut self, consequences: &Consequences, own: Option<StreamToken>) {
        let is_current = self.current == Some(consequences.generation);
        let Some(instance) = self.remove(consequences.generation) else { return };
        if is_current {
            self.show_absence();
        }
        for stream in instance.vm.streams().filter(|stream| Some(*stream) != own) {
            self.filter.let_go(stream, consequences);
        }
        let has_own_work = instance.has_own_work() || matches!(consequences.about, About::OwnWork(_));
        if is_current && has_own_work && !self.is_stopped && self.filter.has_own_root() {
            let now = Instant::now();
            self.revive_later(self.restarts.wait(now).max(self.own_work.wait(now)).max(REVIVE_AFTER));
        }
    }

    /// An instance did not start.
    pub(super) fn start_failed(&mut self, reason: &str, log: Log<'_>) {
        let (until, without) = self.count_failed_start(reason);
        let fate = match without {
            Some(Without::Closed) => format!("its {}", self.filter.wording().closed),
            Some(Without::Open) => self.filter.wording().open.to_owned(),
            None => "the instance that was to be replaced serves on".to_owned(),
        };
        self.filter.log_start_failure(reason, &format!("{fate} {until}"), log);
    }

    /// A root context did not start in an instance that had, and the instance has trapped.
    pub fn root_failed(&mut self, generation: u64, err: &CallError) {
        let consequences = self.decide(generation, err, About::End);
        self.discard(&consequences, None);
        self.count_failed_start(&err.to_string());
    }

    /// Decides what follows from a start that has failed: until when requests do without, and how, if they have to.
    fn count_failed_start(&mut self, reason: &str) -> (String, Option<Without>) {
        self.status().start_failure(reason);
        self.has_failed = true;
        let wait = self.restarts.start_failed(Instant::now());
        let policy = *self.filter.policy();
        let fate = match policy.on_error {
            _ if self.current.is_some() => ("as long as it lives".to_owned(), None),
            OnError::Stay(without) if policy.isolation == Isolation::Worker => {
                self.is_stopped = true;
                (self.filter.wording().until.to_owned(), Some(without))
            }
            OnError::Stay(without) | OnError::Reload(without) => {
                (format!("for {}, then it is tried again", seconds(wait)), Some(without))
            }
        };
        self.show_absence();
        fate
    }

    /// Starts the instance that all requests share, if it can be, and lets it do its own work. Tries again when that fails.
    pub(super) fn revive(&mut self, log: Log<'_>) {
        if self.current.is_none() && !self.filter.has_own_root() {
            return;
        }
        if self.ensure(log).is_some() {
            self.begin_own_work();
        } else if !self.is_stopped {
            self.revive_later(self.restarts.wait(Instant::now()).max(REVIVE_AFTER));
        }
    }

    fn revive_later(&mut self, wait: Duration) {
        // Rounded up, so that the wait is over then.
        self.revival.arm(&self.own, wait + Duration::from_millis(1));
    }
}
