//! The world of a filter while a callback is about no request, and none can be chosen: its start.

use std::rc::Rc;
use std::time::Duration;

use ngx_wasm::proxy_wasm::{Host, LogLevel, Status};
use ngx_wasm::shared::Stores;

use crate::filters::calls;
use crate::filters::{queue_ready, requests};
use crate::nginx::log::{self, Log};
use crate::process::engine;
use crate::process::log_rate::LogRate;
use crate::process::shared_memory;
use crate::process::status::{Event, FilterStatus};

/// A filter without a request: start-up, and whatever a root context does.
pub struct RootHost<'l> {
    log: Log<'l>,
    filter: Vec<u8>,
    timeout: Duration,
    lines: Rc<LogRate>,
    status: FilterStatus,
    /// Lines that are not written yet.
    held: Option<Vec<(LogLevel, Vec<u8>)>>,
}

impl<'l> RootHost<'l> {
    pub fn new(log: Log<'l>, filter: Vec<u8>, timeout: Duration, lines: Rc<LogRate>, status: FilterStatus) -> Self {
        RootHost { log, filter, timeout, lines, status, held: None }
    }

    /// Holds lines back, until it is known whether this start counts.
    pub fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Writes the lines that were held back.
    pub fn write_held_lines(&mut self) {
        for (level, message) in self.held.take().unwrap_or_default() {
            self.log(level, &message);
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

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        const MOST_HELD: usize = 100;
        if let Some(held) = &mut self.held {
            if held.len() < MOST_HELD {
                held.push((level, message[..message.len().min(log::LONGEST)].to_vec()));
                return;
            }
            self.write_held_lines();
        }
        if !self.log.wants(level) {
            return;
        }
        if self.lines.admit(self.log) {
            self.log.guest(level, &self.filter, message);
        } else {
            self.status.count(Event::DroppedLine);
        }
    }

    fn log_level(&self) -> LogLevel {
        self.log.lowest()
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
