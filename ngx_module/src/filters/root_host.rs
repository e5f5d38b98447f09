//! The world of a filter while a callback is about no request, and none can be chosen: its start.

use std::rc::Rc;
use std::time::Duration;

use ngx_wasm::proxy_wasm::{Host, LastWords, LogLevel, StartError, Status};
use ngx_wasm::shared::Stores;
use ngx_wasm::shared::latency::Kind;

use crate::config::rules::Trace;
use crate::filters::calls;
use crate::filters::{queue_ready, requests};
use crate::nginx::log::{self, Log};
use crate::process::engine;
use crate::process::guest_log::{GuestLog, TRACE_LEVEL};
use crate::process::shared_memory;
use crate::process::status::{Event, FilterStatus};

/// A filter without a request: start-up, and whatever a root context does.
pub struct RootHost<'l> {
    log: Log<'l>,
    timeout: Duration,
    lines: Rc<GuestLog>,
    status: FilterStatus,
    /// Lines that are not written yet.
    held: Option<Vec<Held>>,
    /// Its callbacks are traced.
    is_traced: bool,
    /// What the guest has said.
    words: LastWords,
}

/// A line that is not written yet.
struct Held {
    kind: LineKind,
    message: Vec<u8>,
}

/// Whose line it is, and of which level.
#[derive(Clone, Copy)]
enum LineKind {
    Host(LogLevel),
    Guest(LogLevel),
    Trace,
}

impl<'l> RootHost<'l> {
    pub fn new(log: Log<'l>, timeout: Duration, lines: Rc<GuestLog>, status: FilterStatus, trace: Trace) -> Self {
        // A condition is one of requests.
        let is_traced = trace == Trace::On;
        RootHost { log, timeout, lines, status, held: None, is_traced, words: LastWords::default() }
    }

    /// Why the filter has not started, what else is known `about` that, and what it has said last.
    pub fn explain(&self, err: &StartError, about: &str) -> String {
        /// For what stands before it, and the name of the filter.
        const BEFORE: usize = 160;
        let said = self.words.behind(&err.to_string());
        err.report(&format!("{about}{said}"), log::LONGEST - BEFORE)
    }

    /// Holds lines back, until it is known whether this start counts.
    pub fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Writes the lines that were held back.
    pub fn write_held_lines(&mut self) {
        for Held { kind, message } in self.held.take().unwrap_or_default() {
            self.line(kind, &message);
        }
    }

    fn line(&mut self, kind: LineKind, message: &[u8]) {
        const MOST_HELD: usize = 100;
        if let Some(held) = &mut self.held {
            if held.len() < MOST_HELD {
                let message = message[..message.len().min(log::LONGEST)].to_vec();
                held.push(Held { kind, message });
                return;
            }
            self.write_held_lines();
        }
        let is_admitted = match kind {
            LineKind::Host(level) => self.lines.host(self.log, level, message),
            LineKind::Guest(level) => self.lines.guest(self.log, level, message),
            LineKind::Trace => self.lines.trace(self.log, message),
        };
        if !is_admitted {
            self.status.count(Event::DroppedLine);
        }
    }
}

impl Drop for RootHost<'_> {
    /// In the master there is no timer that could tell later.
    fn drop(&mut self) {
        if !engine::in_worker() {
            self.lines.log_dropped(self.log);
        }
    }
}

impl Host for RootHost<'_> {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn callback_took(&mut self, kind: Kind, time: Duration) {
        self.status.took(kind, time);
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.line(LineKind::Host(level), message);
    }

    fn guest_log(&mut self, level: LogLevel, message: &[u8]) {
        self.words.hear(level, message);
        self.line(LineKind::Guest(level), message);
    }

    fn traces(&self) -> bool {
        self.is_traced && self.log.wants(TRACE_LEVEL)
    }

    fn trace(&mut self, line: &str) {
        self.line(LineKind::Trace, line.as_bytes());
    }

    fn log_level(&self) -> LogLevel {
        self.lines.lowest(self.log)
    }

    fn warn_once(&mut self, subject: &'static str, message: &str) {
        if self.lines.is_first(subject) {
            self.log(LogLevel::Warn, message.as_bytes());
        }
    }

    fn stores(&self) -> Option<&Stores> {
        shared_memory::stores()
    }

    fn property(&mut self, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        requests::known().map_or(Err(Status::NotFound), |requests| (requests.property)(path, value))
    }

    fn queue_filled(&mut self, queue: u32) {
        queue_ready::announce(queue);
    }

    fn can_call(&mut self, target: &[u8]) -> bool {
        calls::can_call(None, target)
    }
}
