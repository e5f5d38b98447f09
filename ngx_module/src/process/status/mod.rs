//! What has become of each filter, counted over all workers: callbacks, failures, instances, memory. [`Status`] is the
//! table of a configuration, in a zone of shared memory; [`FilterStatus`] counts for one filter, in whatever runs it.
//! `page.rs` shows the table (`wasm_status;`), and `metrics_page.rs` too.
//!
//! A filter is known by its module, both configurations, its root id, and its place among those that have all this in common,
//! so that a reload that leaves it as it is leaves its counters, too. What Lua loads is known by its name.

mod process;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use nginx_sys::{NGX_LOG_WARN, ngx_cycle_t};
use ngx_wasm::proxy_wasm::{CallError, Vm};
pub use ngx_wasm::shared::filter_status::Event;
use ngx_wasm::shared::filter_status::{Shape, Slot, Snapshot, StatusTable};
use ngx_wasm::vm::{InstanceStats, Trap};

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::cycle;
use crate::nginx::log::{self, Log};
use crate::process::engine;
use crate::process::shared_memory::Zone;

/// The table of a configuration.
#[derive(Default)]
pub struct Status {
    table: Option<StatusTable>,
    /// The filters of the configuration, in their order, once nginx has made the memory.
    filters: Vec<Option<Slot>>,
    /// What Lua has loaded in this process.
    plugins: RefCell<HashMap<Vec<u8>, Option<Slot>>>,
}

/// What a filter is known by, beside its place among those that have all this in common.
pub struct Identity<'a> {
    pub name: &'a [u8],
    pub vm_configuration: &'a [u8],
    pub configuration: &'a [u8],
    pub root_id: &'a [u8],
    /// Where it is declared, for the log.
    pub place: &'a ConfPosition,
}

/// That of the configuration that this process went over to last, once nginx has made the memory. A process that is its own
/// master has requests of the one before for a while, whose memory may be gone.
static CURRENT: AtomicPtr<Status> = AtomicPtr::new(ptr::null_mut());

impl Drop for Status {
    fn drop(&mut self) {
        self.end();
    }
}

impl Status {
    /// Asks nginx for the zone.
    ///
    /// # Safety
    /// As [`Zone::declare`].
    pub unsafe fn declare(&mut self, cycle: *mut ngx_cycle_t, filters: usize) -> Result<(), String> {
        // SAFETY: nginx is making the cycle, and its core module's configuration comes before this one.
        let shape = Shape::of(filters, unsafe { cycle::workers(cycle) });
        // Nginx keeps some bytes for each page.
        let size = shape.size() + shape.size() / 64 + ZONE_HEADER;
        // SAFETY: nginx makes shared memory after this, and the table goes with the cycle.
        let zone = unsafe { Zone::declare(cycle, b"wasm_status", size) }?;
        self.table = Some(StatusTable::new(zone, shape));
        Ok(())
    }

    /// Nginx has made the memory, and goes over to this configuration.
    pub fn enter<'a>(&mut self, filters: impl Iterator<Item = Identity<'a>>, log: Log<'_>) {
        let Some(table) = &self.table else { return };
        table.begin();
        let mut before = HashMap::<(&[u8], &[u8], &[u8]), u64>::new();
        for filter in filters {
            let Identity { name, vm_configuration, configuration, root_id, place } = filter;
            let count = before.entry((name, configuration, root_id)).or_default();
            let key: [&[u8]; 6] = [b"filter", name, vm_configuration, configuration, root_id, &count.to_le_bytes()];
            *count += 1;
            let slot = table.declare(&key, b"", &process::is_alive);
            if slot.is_none() {
                let name = String::from_utf8_lossy(name);
                let why = "workers of configurations before still use all of \"wasm_status\"";
                let line = format!("wasm filter \"{name}\" in {place} is not counted, because {why}");
                log.write(NGX_LOG_WARN, line);
            }
            self.filters.push(slot);
        }
        CURRENT.store(self, Ordering::Relaxed);
    }

    fn is_current(&self) -> bool {
        ptr::eq(CURRENT.load(Ordering::Relaxed), self)
    }

    fn end(&self) {
        let own = ptr::from_ref(self).cast_mut();
        let _ = CURRENT.compare_exchange(own, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The table, where it is counted: in a process that serves requests, from when nginx has the memory.
    fn table(&self) -> Option<&StatusTable> {
        let table = self.table.as_ref().filter(|_| self.is_current() && engine::in_worker())?;
        if !table.is_entered() {
            table.enter(process::own(), &process::is_alive);
        }
        Some(table)
    }

    /// Counts for number `n` of the filters that [`Status::enter`] was given. In the master this counts nothing: filters are only tried there.
    pub fn filter(&self, n: usize) -> FilterStatus {
        self.at(self.filters.get(n).copied().flatten())
    }

    fn plugin(&self, name: &[u8]) -> FilterStatus {
        let known = self.plugins.borrow().get(name).copied();
        let slot = known.unwrap_or_else(|| {
            let table = self.table()?;
            let slot = table.declare(&[b"lua", name], name, &process::is_alive);
            self.plugins.borrow_mut().insert(name.to_vec(), slot);
            slot
        });
        self.at(slot)
    }

    fn at(&self, slot: Option<Slot>) -> FilterStatus {
        match slot.filter(|_| self.table().is_some()) {
            Some(slot) => FilterStatus { status: self, slot: Some(slot) },
            None => FilterStatus::default(),
        }
    }

    fn leave(&self) {
        if let Some(table) = self.table.as_ref().filter(|_| self.is_current()) {
            table.leave();
        }
        self.end();
    }

    /// What is known now about all filters, and where each of those that [`Status::enter`] was given stands in it.
    pub fn snapshot(&self) -> (Snapshot, &[Option<Slot>]) {
        match self.table() {
            Some(table) => (table.snapshot(&process::is_alive), &self.filters),
            None => (Snapshot::default(), &[]),
        }
    }
}

/// What is kept of an error.
const LONGEST_ERROR: usize = 256;

/// The table of the configuration that this process has now.
fn current<'a>() -> Option<&'a Status> {
    // SAFETY: cleared before what it points to goes; nothing keeps the reference for longer than it asks.
    unsafe { CURRENT.load(Ordering::Relaxed).as_ref() }
}

/// Gives the rows of this process back, since it ends.
pub fn leave() {
    if let Some(status) = current() {
        status.leave();
    }
}

/// More than nginx keeps of a zone beside what it keeps for each page.
const ZONE_HEADER: usize = 16 << 10;

/// Counts for what Lua loaded under a name, by the configuration that this process has now: Lua may keep its plugins for
/// longer than the memory is there. `known` keeps the answer.
pub fn plugin(name: &[u8], known: &Cell<FilterStatus>) -> FilterStatus {
    let Some(status) = current().filter(|_| engine::in_worker()) else { return FilterStatus::default() };
    if !ptr::eq(known.get().status, status) {
        known.set(status.plugin(name));
    }
    known.get()
}

/// What has been counted of a VM, whose own numbers only grow.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often it was to grow and did not.
    pub refused_growth: u64,
    pub denied: u64,
}

/// What is counted about one filter in this worker. Whoever has one has it no longer than the configuration.
#[derive(Clone, Copy)]
pub struct FilterStatus {
    /// Not used without a slot.
    status: *const Status,
    slot: Option<Slot>,
}

impl Default for FilterStatus {
    /// Counts nothing.
    fn default() -> Self {
        FilterStatus { status: ptr::null(), slot: None }
    }
}

impl FilterStatus {
    fn with(&self, run: impl FnOnce(&StatusTable, Slot)) {
        if let Some(slot) = self.slot {
            // SAFETY: `Status` is in the configuration, which outlives this.
            let status = unsafe { &*self.status };
            if let Some(table) = status.table.as_ref().filter(|_| status.is_current()) {
                run(table, slot);
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
        self.with(|table, slot| table.add(slot, event, n));
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

    /// How many instances this worker has of the filter, and how many bytes of memory they have together.
    pub fn instances(&self, count: usize, memory: usize) {
        self.with(|table, slot| table.set_instances(slot, count as u64, memory as u64));
    }

    /// Keeps the last error of the filter, and the time.
    pub fn error(&self, what: &str) {
        let what = log::printable(what);
        let (now, _) = cycle::time();
        self.with(|table, slot| table.set_error(slot, what.as_bytes(), u64::try_from(now).unwrap_or(0)));
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
