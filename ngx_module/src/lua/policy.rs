//! What becomes of a module that Lua loaded when a callback fails: the rules of `proxy_wasm_on_error`,
//! `proxy_wasm_restart_delay` and `proxy_wasm_recycle`, as `http { }` has them for all filters or for the name that Lua gave
//! the module. `plugin.rs` asks.
//!
//! Lua has no chain of filters to go on without one: "open" means that the functions of the Lua API answer true.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ngx_wasm::restarts::Restarts;

use crate::config::conf::MainConf;
use crate::config::rules::{OnError, Recycle, RestartDelay, Setting, Without};

/// The policy of one module, and what has come of it.
pub struct Policy {
    on_error: OnError,
    recycle: Recycle,
    restarts: Cell<Restarts>,
    /// The failures of timers: what has to wait is the next tick.
    ticks: Cell<Restarts>,
    /// A failure is not followed by another start.
    is_stopped: Cell<bool>,
}

impl Policy {
    /// What `main` says about the module that Lua calls `name`.
    pub fn of(main: &MainConf, name: &[u8]) -> Policy {
        macro_rules! rule {
            ($kind:path) => {
                main.said_for_lua(name, |rule| match &rule.setting {
                    $kind(value) => Some(*value),
                    _ => None,
                })
            };
        }
        let delay: RestartDelay = rule!(Setting::RestartDelay).unwrap_or_default();
        Policy {
            on_error: rule!(Setting::OnError).unwrap_or(OnError::Reload(Without::Closed)),
            recycle: rule!(Setting::Recycle).unwrap_or(Recycle::AtLimit),
            restarts: Cell::new(Restarts::new(delay.first, delay.longest, delay.at_once)),
            ticks: Cell::new(Restarts::new(delay.first, delay.longest, 0)),
            is_stopped: Cell::new(false),
        }
    }

    /// Whether a VM may be started now.
    pub fn may_start(&self) -> bool {
        !self.is_stopped.get() && self.restarts.get().wait(Instant::now()).is_zero()
    }

    /// A VM did not start, or its plugin context could not be made again.
    pub fn start_failed(&self) {
        self.change(|restarts| restarts.start_failed(Instant::now()));
        self.is_stopped.set(matches!(self.on_error, OnError::Stay(_)));
    }

    /// A callback has failed. Answers what follows, in words for the log.
    pub fn failed(&self) -> String {
        let wait = match self.on_error {
            OnError::Stay(_) => {
                self.is_stopped.set(true);
                "until Lua loads the module again, calls".to_owned()
            }
            OnError::Reload(_) => {
                let wait = self.change(|restarts| restarts.failed(Instant::now()));
                if wait == Duration::ZERO {
                    return "proxy_wasm_on_error: the next call gets a new VM".into();
                }
                format!("for {:.1} s calls", wait.as_secs_f64())
            }
        };
        let what = if self.is_open() { "do without it" } else { "fail" };
        format!("proxy_wasm_on_error: {wait} {what}")
    }

    /// A tick has failed. Answers what follows, in words for the log.
    pub fn tick_failed(&self) -> String {
        if let OnError::Stay(_) = self.on_error {
            return self.failed();
        }
        let mut ticks = self.ticks.get();
        let wait = ticks.failed(Instant::now());
        self.ticks.set(ticks);
        format!("proxy_wasm_on_error: the next call gets a new VM, whose timers wait for {:.1} s", wait.as_secs_f64())
    }

    /// A tick has gone well.
    pub fn ticked(&self) {
        let mut ticks = self.ticks.get();
        ticks.served();
        self.ticks.set(ticks);
    }

    /// How long timers have to wait.
    pub fn tick_wait(&self) -> Duration {
        self.ticks.get().wait(Instant::now())
    }

    /// A request has been served to its end.
    pub fn served(&self) {
        self.change(Restarts::served);
    }

    fn change<R>(&self, change: impl FnOnce(&mut Restarts) -> R) -> R {
        let mut restarts = self.restarts.get();
        let result = change(&mut restarts);
        self.restarts.set(restarts);
        result
    }

    /// Whether calls succeed while there is no VM that knows their request.
    pub fn is_open(&self) -> bool {
        matches!(self.on_error, OnError::Stay(Without::Open) | OnError::Reload(Without::Open))
    }

    /// Whether the call succeeds whose callback has failed.
    pub fn is_open_to_failed(&self) -> bool {
        self.on_error == OnError::Stay(Without::Open)
    }

    /// Whether a VM that had `at_start` bytes and has `now` is to be replaced when it is idle.
    pub fn wants_other(&self, at_start: usize, now: usize, limit: usize) -> bool {
        let most = match self.recycle {
            Recycle::Off => return false,
            Recycle::AtLimit => limit / 8 * 7,
            Recycle::At(size) => size,
        };
        now >= most && now > at_start
    }
}
