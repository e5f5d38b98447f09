//! What becomes of a filter that has failed, and of the requests that need it: `proxy_wasm_on_error`.

use std::time::{Duration, Instant};

use nginx_sys::{NGX_LOG_CRIT, ngx_log_t, ngx_msec_t};
use ngx_wasm::proxy_wasm::{CallError, StreamToken};

use super::Instances;
use super::revival::Revival;
use crate::config::conf::MainConf;
use crate::config::rules::{Isolation, OnError, Without};
use crate::filters::requests;
use crate::nginx::log;

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
pub struct Verdict {
    /// What the request does that the callback was about.
    pub own: Without,
    /// What other requests do that have their contexts in the instance.
    others: Without,
    about: About,
    generation: u64,
    /// For the log.
    pub text: String,
}

/// What requests do while the filter cannot work, in words.
fn meanwhile(without: Without) -> &'static str {
    match without {
        Without::Closed => "requests fail",
        Without::Open => "requests go on without it",
    }
}

fn seconds(wait: Duration) -> String {
    format!("{:.1} s", wait.as_secs_f64())
}

impl Instances {
    /// What requests do that cannot have the filter, because it has failed before.
    pub fn without(&self, main: &MainConf) -> Without {
        match main.filters[self.filter].on_error {
            OnError::Stay(without) | OnError::Reload(without) => without,
        }
    }

    /// Notes that a callback has failed, and decides what follows. [`Instances::discard`] does it.
    pub fn judge(&mut self, main: &MainConf, generation: u64, err: &CallError, about: About) -> Verdict {
        self.status.failure(err);
        let conf = &main.filters[self.filter];
        let others = self.without(main);
        let own = match conf.on_error {
            OnError::Stay(without) => without,
            OnError::Reload(_) => Without::Closed,
        };
        let request = match own {
            _ if about != About::Request => "",
            Without::Closed => "this request fails, ",
            Without::Open => "this request goes on without the filter, ",
        };
        let next = if self.current != Some(generation) {
            "others have other instances".to_owned()
        } else {
            match (conf.on_error, about) {
                (OnError::Stay(without), _) => {
                    self.is_stopped = true;
                    format!("until the configuration is loaded again {}", meanwhile(without))
                }
                (OnError::Reload(_), About::OwnWork(work)) => {
                    self.has_failed = true;
                    self.own_work_failure = Some(work);
                    let wait = self.own_work.failed(Instant::now()).max(REVIVE_AFTER);
                    format!(
                        "requests get a new instance, whose timers, queues and calls of its own wait for {}",
                        seconds(wait)
                    )
                }
                (OnError::Reload(without), _) => {
                    self.has_failed = true;
                    let wait = self.restarts.failed(Instant::now());
                    if wait.is_zero() {
                        "the next one gets a new instance".to_owned()
                    } else {
                        format!("for {} {}, then there is a new instance", seconds(wait), meanwhile(without))
                    }
                }
            }
        };
        Verdict { own, others, about, generation, text: format!("proxy_wasm_on_error: {request}{next}") }
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
    fn begin_own_work(&mut self, main: &MainConf) {
        let Some(current) = self.current else { return };
        let Some(true) = self.get(current).map(|instance| instance.is_resting) else { return };
        if self.own_work_waits() {
            self.revive_when_due(main);
            return;
        }
        let filter = self.filter;
        if let Some(instance) = self.get(current) {
            instance.end_rest(main, filter);
        }
        self.settle(main, current);
    }

    /// Arms the timer that lets a new instance begin with its own work.
    pub(super) fn revive_when_due(&mut self, main: &MainConf) {
        self.revive_later(main, self.own_work.wait(Instant::now()));
    }

    /// Drops an instance in which a callback has failed, about `own` or about no request. Others that wait for it would wait
    /// in vain: they go on without the filter, or fail.
    pub fn discard(&mut self, main: &MainConf, verdict: &Verdict, own: Option<StreamToken>) {
        let is_current = self.current == Some(verdict.generation);
        let Some(instance) = self.remove(verdict.generation) else { return };
        for stream in instance.vm.streams() {
            if let Some(requests) = requests::known().filter(|_| Some(stream) != own) {
                (requests.let_go)(stream, self.filter, verdict.others, &self.status);
            }
        }
        let has_own_work = instance.has_own_work() || matches!(verdict.about, About::OwnWork(_));
        if is_current && has_own_work && !self.is_stopped {
            let now = Instant::now();
            self.revive_later(main, self.restarts.wait(now).max(self.own_work.wait(now)).max(REVIVE_AFTER));
        }
    }

    /// An instance did not start.
    pub(super) fn start_failed(&mut self, main: &MainConf, reason: &str, log: *mut ngx_log_t) {
        self.status.start_failure(reason);
        let conf = &main.filters[self.filter];
        self.has_failed = true;
        let wait = self.restarts.start_failed(Instant::now());
        let (until, without) = match conf.on_error {
            _ if self.current.is_some() => ("as long as it lives".to_owned(), None),
            OnError::Stay(without) if conf.isolation == Isolation::Worker => {
                self.is_stopped = true;
                ("until the configuration is loaded again".to_owned(), Some(without))
            }
            OnError::Stay(without) | OnError::Reload(without) => {
                (format!("for {}, then it is tried again", seconds(wait)), Some(without))
            }
        };
        let fate = match without {
            Some(Without::Closed) => "its requests fail",
            Some(Without::Open) => "requests go on without it",
            None => "the instance that was to be replaced serves on",
        };
        let name = String::from_utf8_lossy(&conf.name);
        let line = format!(
            "wasm filter \"{name}\" does not start in this worker, {fate} {until}: {} in {}",
            log::printable(reason),
            conf.place
        );
        // SAFETY: the callers pass a log of the cycle or of a connection.
        unsafe { log::write(NGX_LOG_CRIT, log, line) };
    }

    /// Starts the instance that all requests share, if it can be, and lets it do its own work. Tries again when that fails.
    pub(super) fn revive(&mut self, main: &MainConf, log: *mut ngx_log_t) {
        if self.ensure(main, log).is_some() {
            self.begin_own_work(main);
        } else if !self.is_stopped {
            self.revive_later(main, self.restarts.wait(Instant::now()).max(REVIVE_AFTER));
        }
    }

    fn revive_later(&mut self, main: &MainConf, wait: Duration) {
        // Rounded up, so that the wait is over then.
        let delay = ngx_msec_t::try_from(wait.as_millis() + 1).unwrap_or(ngx_msec_t::MAX / 4);
        let filter = self.filter;
        self.revival.get_or_insert_with(|| Revival::new(main, filter)).arm(delay);
    }
}
