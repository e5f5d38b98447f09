//! What is counted about one filter, or one program, in this worker: whatever runs it has a [`FilterStatus`].

use std::ptr;
use std::time::{Duration, Instant};

use ngx_wasm::proxy_wasm::{CallError, Vm};
use ngx_wasm::shared::filter_status::{Down, Event, Slot, StatusTable};
use ngx_wasm::shared::latency::Kind;
use ngx_wasm::vm::{InstanceStats, Trap};

use super::Status;
use crate::nginx::cycle;
use crate::nginx::log;

/// What is kept of an error.
const LONGEST_ERROR: usize = 256;

/// What has been counted of a VM, whose own numbers only grow.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often it was to grow and did not.
    pub refused_growth: u64,
    pub denied: u64,
}

/// Whether requests have to do without a filter in this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// They do not.
    None,
    /// For so long at least.
    For(Duration),
    /// Until the configuration is loaded again.
    Lasting,
}

/// What is counted about one filter in this worker. Whoever has one has it no longer than the configuration.
#[derive(Clone, Copy)]
pub struct FilterStatus {
    /// Not used without a slot.
    pub(super) status: *const Status,
    pub(super) slot: Option<Slot>,
}

impl Default for FilterStatus {
    /// Counts nothing.
    fn default() -> Self {
        FilterStatus { status: ptr::null(), slot: None }
    }
}

impl FilterStatus {
    fn with(&self, run: impl FnOnce(&Status, &StatusTable, Slot)) {
        if let Some(slot) = self.slot {
            // SAFETY: `Status` is in the configuration, which outlives this.
            let status = unsafe { &*self.status };
            if let Some(table) = status.table.as_ref().filter(|_| status.is_current()) {
                run(status, table, slot);
            }
        }
    }

    /// Whether anything is counted.
    pub fn counts(&self) -> bool {
        self.slot.is_some()
    }

    /// Counts an event.
    pub fn count(&self, event: Event) {
        self.add(event, 1);
    }

    /// Counts `n` events.
    pub fn add(&self, event: Event, n: u64) {
        if n == 0 {
            return;
        }
        self.with(|_, table, slot| table.add(slot, event, n));
    }

    /// Counts the callbacks that a VM has run since this was done last.
    pub fn callbacks(&self, vm: &mut Vm) {
        self.add(Event::Call, vm.take_callbacks());
    }

    /// Counts what a VM has done since this was done last: callbacks, and what it was refused.
    pub fn vm(&self, vm: &mut Vm, counted: &mut Counted) -> InstanceStats {
        self.callbacks(vm);
        let stats = vm.stats();
        let now = Counted { refused_growth: stats.refused_growth, denied: vm.denied() };
        if now != *counted {
            self.add(Event::RefusedGrowth, now.refused_growth.saturating_sub(counted.refused_growth));
            self.add(Event::Denied, now.denied.saturating_sub(counted.denied));
            *counted = now;
        }
        stats
    }

    /// Counts how long something took, if that is measured.
    pub fn took(&self, kind: Kind, time: Duration) {
        self.with(|status, _, slot| {
            if let Some(latency) = &status.latency {
                latency.add(cycle::worker(), slot, kind, time);
            }
        });
    }

    /// Now, if it is measured how long things take.
    pub fn clock(&self) -> Option<Instant> {
        let mut now = None;
        self.with(|status, _, _| now = status.latency.as_ref().map(|_| Instant::now()));
        now
    }

    /// How many instances this worker has of the filter, and how many bytes of memory they have together.
    pub fn instances(&self, count: usize, memory: usize) {
        self.with(|_, table, slot| table.set_instances(slot, count as u64, memory as u64));
    }

    /// A request or a response waits for the filter, or does not any more.
    pub fn paused(&self, is_more: bool) {
        self.with(|_, table, slot| table.change_paused(slot, is_more));
    }

    /// Whether requests have to do without the filter in this worker.
    pub fn absent(&self, absence: Absence) {
        let down = match absence {
            Absence::None => Down::No,
            Absence::For(time) => Down::Until(cycle::msec().saturating_add(time.as_millis() as u64)),
            Absence::Lasting => Down::ForGood,
        };
        self.with(|_, table, slot| table.set_down(slot, down));
    }

    /// Keeps the last error of the filter, and the time.
    pub fn error(&self, what: &str) {
        let what = log::printable(what);
        self.with(|_, table, slot| table.set_error(slot, what.as_bytes(), cycle::seconds()));
    }

    /// Counts a callback that failed, and keeps why.
    pub fn failure(&self, err: &CallError) {
        if let CallError::Trap { trap, .. } = err {
            self.count(match trap {
                Trap::Timeout(_) => Event::Timeout,
                Trap::OutOfFuel => Event::OutOfFuel,
                _ => Event::Trap,
            });
            self.error(&err.report("", LONGEST_ERROR));
        }
    }

    /// Counts an instance that did not start, and keeps why.
    pub fn start_failure(&self, reason: &str) {
        self.count(Event::StartFailure);
        self.error(reason);
    }
}
