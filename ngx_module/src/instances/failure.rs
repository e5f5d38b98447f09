//! What becomes of a filter that has failed, and of the requests that need it: `proxy_wasm_on_error`.

use std::time::{Duration, Instant};

use nginx_sys::{NGX_LOG_CRIT, ngx_log_t, ngx_msec_t};
use ngx_wasm::proxy_wasm::CallError;

use super::Instances;
use super::revival::Revival;
use crate::conf::MainConf;
use crate::request::Request;
use crate::rules::{Isolation, OnError, Without};
use crate::{log, phases, request};

/// A filter that ticks and has failed is started again after this time at the earliest.
const REVIVE_AFTER: Duration = Duration::from_secs(1);

/// What follows from a failed callback.
pub struct Verdict {
    /// What the request does that the callback was about.
    pub own: Without,
    /// What other requests do that have their contexts in the instance.
    others: Without,
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

    /// Notes that a callback has failed, and decides what follows. [`Instances::discard`] does it. `is_request`: the callback
    /// was about a request.
    pub fn judge(&mut self, main: &MainConf, generation: u64, err: &CallError, is_request: bool) -> Verdict {
        self.status.failure(err);
        let conf = &main.filters[self.filter];
        let others = self.without(main);
        let own = match conf.on_error {
            OnError::Stay(without) => without,
            OnError::Reload(_) => Without::Closed,
        };
        let request = match own {
            _ if !is_request => "",
            Without::Closed => "this request fails, ",
            Without::Open => "this request goes on without the filter, ",
        };
        let next = if self.current != Some(generation) {
            "others have other instances".to_owned()
        } else {
            match conf.on_error {
                OnError::Stay(without) => {
                    self.is_stopped = true;
                    format!("until the configuration is loaded again {}", meanwhile(without))
                }
                OnError::Reload(without) => {
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
        Verdict { own, others, generation, text: format!("proxy_wasm_on_error: {request}{next}") }
    }

    /// Drops an instance in which a callback has failed, about `own` or about no request. Others that wait for it would wait
    /// in vain: they go on without the filter, or fail.
    ///
    /// # Safety
    /// Nothing of the requests that have their contexts in the instance is borrowed.
    pub unsafe fn discard(&mut self, main: &MainConf, verdict: &Verdict, own: *mut Request) {
        let is_current = self.current == Some(verdict.generation);
        let Some(mut instance) = self.remove(verdict.generation) else { return };
        for stream in instance.vm.streams() {
            let request = stream.0 as *mut Request;
            if request != own {
                // SAFETY: a VM keeps the token of a context only until the stream ends, so it leads to a live request.
                unsafe {
                    if phases::release_waiting(request, self.filter, verdict.others) {
                        request::lose(request, &self.status, verdict.others);
                    }
                }
            }
        }
        let ticked = instance.ticks().is_some_and(|ticks| ticks.is_running());
        if is_current && ticked && !self.is_stopped {
            self.revive_later(main, self.restarts.wait(Instant::now()).max(REVIVE_AFTER));
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

    /// Starts the instance that all requests share, if it can be. Tries again when that fails.
    pub(super) fn revive(&mut self, main: &MainConf, log: *mut ngx_log_t) {
        if self.ensure(main, log).is_none() && !self.is_stopped {
            self.revive_later(main, self.restarts.wait(Instant::now()).max(REVIVE_AFTER));
        }
    }

    fn revive_later(&mut self, main: &MainConf, wait: Duration) {
        let delay = ngx_msec_t::try_from(wait.as_millis()).unwrap_or(ngx_msec_t::MAX / 4);
        let filter = self.filter;
        self.revival.get_or_insert_with(|| Revival::new(main, filter)).arm(delay);
    }
}
