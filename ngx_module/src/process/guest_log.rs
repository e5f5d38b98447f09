//! What a filter may log: from which level on (`proxy_wasm_log_level`), and how much (`proxy_wasm_log_rate`). `http/host/` and
//! `filters/root_host.rs` write its lines here, `content/program/` those of programs; what was dropped is said in one line by the
//! first one of a later second, or by a timer when none comes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nginx_sys::{NGX_LOG_INFO, NGX_LOG_WARN};
use ngx_wasm::proxy_wasm::LogLevel;

use crate::nginx::cycle;
use crate::nginx::executor;
use crate::nginx::log::{self, Log};
use crate::nginx::timer::{self, AtExit};
use crate::process::engine;

/// Where `proxy_wasm_trace` writes to.
pub const TRACE_LEVEL: u32 = NGX_LOG_INFO;

const SECOND: Duration = Duration::from_secs(1);

/// The lines of one filter in this worker.
pub struct GuestLog {
    /// What stands before its name in a line: nothing for a filter.
    kind: &'static [u8],
    name: Vec<u8>,
    /// From which level on its own lines are written. `None`: from that of nginx's log on, which has no trace, and debug only if
    /// nginx was built so.
    least: Option<LogLevel>,
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

impl GuestLog {
    /// For a filter of this name, or what `kind` says.
    pub fn new(kind: &'static [u8], name: Vec<u8>, least: Option<LogLevel>, limit: Option<u32>) -> Rc<GuestLog> {
        let (begin, lines, dropped) = (Cell::new(None), Cell::new(0), Cell::new(0));
        Rc::new(GuestLog { kind, name, least, limit, begin, lines, dropped, said: RefCell::default() })
    }

    /// Writes what the guest has logged, or printed, if that is wanted. Answers false when it was dropped, as one line too many.
    pub fn guest(self: &Rc<Self>, log: Log<'_>, level: LogLevel, message: &[u8]) -> bool {
        self.place(level).is_none_or(|(level, mark)| self.write(log, level, mark, message))
    }

    /// The same of what the host has to say about the guest.
    pub fn host(self: &Rc<Self>, log: Log<'_>, level: LogLevel, message: &[u8]) -> bool {
        self.write(log, log::nginx_level(level), b"", message)
    }

    /// The same of a line of its trace, which begins in another way.
    pub fn trace(self: &Rc<Self>, log: Log<'_>, line: &[u8]) -> bool {
        if !log.wants(TRACE_LEVEL) {
            return true;
        }
        let is_admitted = self.admit(log);
        if is_admitted {
            log.guest(TRACE_LEVEL, &[b"wasm trace \"", &self.name, b"\": "], line);
        }
        is_admitted
    }

    /// The lowest level at which lines of the guest are written.
    pub fn lowest(&self, log: Log<'_>) -> LogLevel {
        use LogLevel::{Critical, Debug, Error, Info, Trace, Warn};
        let is_written = |level: &LogLevel| self.place(*level).is_some_and(|(level, _)| log.wants(level));
        [Trace, Debug, Info, Warn, Error].into_iter().find(is_written).unwrap_or(Critical)
    }

    /// At which of nginx's levels the guest's lines of a level are written, and what they begin with; `None`: they are not. Who asks
    /// for trace or debug gets them where info goes: nginx's debug is not compiled into most builds, and has its own steps beside.
    fn place(&self, level: LogLevel) -> Option<(u32, &'static [u8])> {
        match (self.least, level) {
            (None, level) => Some((log::nginx_level(level), b"")),
            (Some(least), level) if level < least => None,
            (_, LogLevel::Trace) => Some((NGX_LOG_INFO, b"trace: ")),
            (_, LogLevel::Debug) => Some((NGX_LOG_INFO, b"debug: ")),
            (_, level) => Some((log::nginx_level(level), b"")),
        }
    }

    fn write(self: &Rc<Self>, log: Log<'_>, level: u32, mark: &[u8], message: &[u8]) -> bool {
        if !log.wants(level) {
            return true;
        }
        let is_admitted = self.admit(log);
        if is_admitted {
            log.guest(level, &[b"wasm ", self.kind, b"\"", &self.name, b"\": ", mark], message);
        }
        is_admitted
    }

    /// Whether one more line may be written to `log`.
    fn admit(self: &Rc<Self>, log: Log<'_>) -> bool {
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
            let name = String::from_utf8_lossy(&self.name);
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
