//! What has become of each filter, counted over all workers: callbacks, failures, instances, memory; and of calls, reloads and
//! threads. [`Status`] has the tables of a configuration, in zones of shared memory; [`FilterStatus`] counts for one filter, in
//! whatever runs it. `content/` shows all of it (`wasm_status;`, `wasm_metrics;`).
//!
//! A filter is known by its module, both configurations, its root id, the names of the server and the location that declare it, and
//! its place among those that have all this in common, so that a reload that leaves it as it is leaves its counters, too. What Lua
//! loads is known by its name.

mod calls;
mod filter;
mod process;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use nginx_sys::{NGX_LOG_WARN, ngx_cycle_t};
pub use ngx_wasm::shared::filter_status::Event;
use ngx_wasm::shared::filter_status::{Shape, Slot, Snapshot, StatusTable};
pub use ngx_wasm::shared::host_status::ThreadCounts;
use ngx_wasm::shared::host_status::{HostSnapshot, HostStatus};
use ngx_wasm::shared::latency::{Kind, Latencies};
use ngx_wasm::shared::{Histogram, Memory};

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::cycle;
use crate::nginx::log::Log;
use crate::process::engine;
use crate::process::shared_memory::Zone;
pub use calls::{CallKind, CallResult, CallStatus};
pub use filter::{Absence, Counted, FilterStatus};

/// Where calls to a service are counted, by its name.
type KnownServices = HashMap<Vec<u8>, Vec<(CallKind, Slot)>>;

/// The tables of a configuration.
#[derive(Default)]
pub struct Status {
    table: Option<StatusTable>,
    /// Calls, reloads, threads.
    host: Option<HostStatus>,
    /// How long callbacks take, if that is measured.
    latency: Option<Latencies>,
    /// nginx has gone over to the configuration.
    is_begun: bool,
    /// The filters of the configuration, in their order, once nginx has made the memory.
    filters: Vec<Option<Slot>>,
    /// What Lua has loaded in this process.
    plugins: RefCell<HashMap<Vec<u8>, Option<Slot>>>,
    /// Services that this process has called.
    services: RefCell<KnownServices>,
}

/// What a filter is known by, beside its place among those that have all this in common.
pub struct Identity<'a> {
    pub name: &'a [u8],
    pub vm_configuration: &'a [u8],
    pub configuration: &'a [u8],
    pub root_id: &'a [u8],
    /// The level that declares it.
    pub server: &'a [u8],
    pub location: &'a [u8],
    /// Where it is declared, for the log.
    pub place: &'a ConfPosition,
}

/// That of the configuration that this process went over to last, once nginx has made the memory. A process that is its own
/// master has requests of the one before for a while, whose memory may be gone.
static CURRENT: AtomicPtr<Status> = AtomicPtr::new(ptr::null_mut());

impl Drop for Status {
    fn drop(&mut self) {
        self.end();
        // The process goes on with the configuration that it has, and this one is none that it had before: it was refused. `nginx -t`
        // has none, nor has the first start.
        let time = cycle::seconds();
        if let Some(host) = current().filter(|_| !self.is_begun).and_then(|status| status.host.as_ref()) {
            host.refuse(time);
        }
    }
}

impl Status {
    /// Asks nginx for the zones. `measures`: it is counted how long callbacks take.
    ///
    /// # Safety
    /// As [`Zone::declare`].
    pub unsafe fn declare(&mut self, cycle: *mut ngx_cycle_t, filters: usize, measures: bool) -> Result<(), String> {
        // SAFETY: nginx is making the cycle, and its core module's configuration comes before this one.
        let workers = unsafe { cycle::workers(cycle) };
        let shape = Shape::of(filters, workers);
        let zone = |name: &[u8], size: usize| -> Result<Box<dyn Memory>, String> {
            // Nginx keeps some bytes for each page.
            let size = size + size / 64 + ZONE_HEADER;
            // SAFETY: nginx makes shared memory after this, and the tables go with the cycle.
            Ok(unsafe { Zone::declare(cycle, name, size) }?)
        };
        self.table = Some(StatusTable::new(zone(b"wasm_status", shape.size())?, shape));
        self.host = Some(HostStatus::new(zone(b"wasm_host_status", HostStatus::size(workers))?, workers));
        if measures {
            let memory = zone(b"wasm_latency", Latencies::size(shape.filters(), workers))?;
            self.latency = Some(Latencies::new(memory, shape.filters(), workers));
        }
        Ok(())
    }

    /// Nginx has made the memory, and goes over to this configuration.
    pub fn enter<'a>(&mut self, filters: impl Iterator<Item = Identity<'a>>, log: Log<'_>) {
        self.is_begun = true;
        let Some(table) = &self.table else { return };
        table.begin();
        if let Some(host) = &self.host {
            host.begin(cycle::seconds());
        }
        let mut before = HashMap::<[&[u8]; 5], u64>::new();
        for filter in filters {
            let Identity { name, vm_configuration, configuration, root_id, server, location, place } = filter;
            let count = before.entry([name, configuration, root_id, server, location]).or_default();
            let number = count.to_le_bytes();
            *count += 1;
            let key = [b"filter", name, vm_configuration, configuration, root_id, server, location, &number];
            let slot = self.declare_one(&key, b"");
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

    fn declare_one(&self, key: &[&[u8]], name: &[u8]) -> Option<Slot> {
        let table = self.table.as_ref()?;
        let slot = table.declare(key, name, &process::is_alive)?;
        if let Some(latency) = &self.latency {
            latency.claim(slot, table.key(slot));
        }
        Some(slot)
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
            let own = process::own();
            table.enter(own, &process::is_alive);
            if let Some(host) = &self.host {
                host.enter(own, &process::is_alive);
            }
        }
        Some(table)
    }

    /// What is counted beside filters, where it is counted.
    fn host(&self) -> Option<&HostStatus> {
        self.table().and(self.host.as_ref())
    }

    /// Counts for number `n` of the filters that [`Status::enter`] was given. In the master this counts nothing: filters are only tried there.
    pub fn filter(&self, n: usize) -> FilterStatus {
        self.at(self.filters.get(n).copied().flatten())
    }

    fn plugin(&self, name: &[u8]) -> FilterStatus {
        let known = self.plugins.borrow().get(name).copied();
        let slot = known.unwrap_or_else(|| {
            self.table()?;
            let slot = self.declare_one(&[b"lua", name], name);
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
            self.host.iter().for_each(HostStatus::leave);
        }
        self.end();
    }

    /// What is known now about all filters, and where each of those that [`Status::enter`] was given stands in it.
    pub fn snapshot(&self) -> (Snapshot, &[Option<Slot>]) {
        match self.table() {
            Some(table) => (table.snapshot(cycle::msec(), &process::is_alive), &self.filters),
            None => (Snapshot::default(), &[]),
        }
    }

    /// What is known now of calls, reloads and threads; `None`: nothing is counted.
    pub fn host_snapshot(&self) -> Option<HostSnapshot> {
        Some(self.host()?.snapshot(&process::is_alive))
    }

    /// How long callbacks of the filter in a slot took, by their kind, if that is measured.
    pub fn latency(&self, slot: Option<Slot>) -> Vec<(Kind, Histogram)> {
        let latency = self.latency.as_ref().filter(|_| self.is_current());
        latency.zip(slot).map(|(latency, slot)| latency.of(slot)).unwrap_or_default()
    }
}

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

/// Says what this process has of threads for programs.
pub fn set_threads(counts: ThreadCounts) {
    if let Some(host) = current().and_then(Status::host) {
        host.set_threads(counts);
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
