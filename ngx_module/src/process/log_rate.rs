//! How much a filter may log: `proxy_wasm_log_rate`. `host/` asks before it writes a line; what was dropped is said in one
//! line by the first one of a later second, or by a timer when none comes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nginx_sys::NGX_LOG_WARN;

use crate::nginx::cycle;
use crate::nginx::executor;
use crate::nginx::log::{self, Log};
use crate::nginx::timer::{self, AtExit};
use crate::process::engine;

const SECOND: Duration = Duration::from_secs(1);

/// The lines of one filter in this worker.
pub struct LogRate {
    filter: Vec<u8>,
    /// Lines in a second; `None` is any number.
    limit: Option<u32>,
    /// When the second began that is counted.
    begin: Cell<Option<Instant>>,
    lines: Cell<u32>,
    /// Lines that were dropped, and that nobody was told of.
    dropped: Cell<u64>,
    /// What is said once in the life of the filter, and has been said.
    said: RefCell<Vec<&'static str>>,
}

impl LogRate {
    /// For a filter of this name.
    pub fn new(filter: Vec<u8>, limit: Option<u32>) -> Rc<LogRate> {
        let (begin, lines, dropped) = (Cell::new(None), Cell::new(0), Cell::new(0));
        Rc::new(LogRate { filter, limit, begin, lines, dropped, said: RefCell::default() })
    }

    /// Whether one more line may be written to `log`.
    pub fn admit(self: &Rc<Self>, log: Log<'_>) -> bool {
        let Some(limit) = self.limit else { return true };
        let now = Instant::now();
        if self.begin.get().is_none_or(|begin| now.duration_since(begin) >= SECOND) {
            self.log_dropped(log);
            self.begin.set(Some(now));
            self.lines.set(0);
        }
        if self.lines.get() < limit {
            self.lines.set(self.lines.get() + 1);
            return true;
        }
        self.dropped.set(self.dropped.get() + 1);
        if self.dropped.get() == 1 && engine::in_worker() {
            self.tell_later();
        }
        false
    }

    /// Whether this is to be said now: the first time.
    pub fn is_first(&self, subject: &'static str) -> bool {
        let mut said = self.said.borrow_mut();
        let is_first = !said.contains(&subject);
        if is_first {
            said.push(subject);
        }
        is_first
    }

    /// Says what was dropped, if anything was. A new second begins: for a worker, whose lines are not those of the master, and
    /// after the timer, which goes by another clock.
    pub fn log_dropped(&self, log: Log<'_>) {
        self.begin.set(None);
        let dropped = self.dropped.take();
        if dropped > 0 {
            let name = String::from_utf8_lossy(&self.filter);
            let limit = self.limit.unwrap_or_default();
            let what = format!("dropped {dropped} lines, more than {limit} in a second (proxy_wasm_log_rate)");
            log.write(NGX_LOG_WARN, log::printable(&format!("wasm \"{name}\": {what}")));
        }
    }

    fn tell_later(self: &Rc<Self>) {
        let rate = Rc::downgrade(self);
        let told = async move {
            timer::sleep(SECOND, AtExit::Leave).await;
            if let Some(rate) = rate.upgrade() {
                rate.log_dropped(cycle::log());
            }
        };
        executor::spawn(told).detach();
    }
}
