//! What the page is made from.

use std::time::Duration;

use crate::shared::filter_status::Summary;
use crate::shared::histogram::Histogram;
use crate::shared::host_status::{Reloads, Service, ThreadCounts};
use crate::shared::latency::Kind;
use crate::shared::memory::Usage;

/// All that the page shows.
pub struct View<'a> {
    /// Of the module.
    pub version: &'a str,
    /// The version of nginx.
    pub nginx: &'a str,
    /// The name of the engine.
    pub engine: &'a str,
    /// In Unix seconds, as all times here.
    pub now: u64,
    /// Workers of the newest configuration that has any.
    pub workers: usize,
    /// Those of configurations before.
    pub leaving: usize,
    /// `None`: nothing is counted.
    pub reloads: Option<Reloads>,
    /// It is measured how long callbacks take.
    pub is_measured: bool,
    /// Filters, in the order of the configuration.
    pub filters: Vec<FilterRow<'a>>,
    /// Locations that run programs.
    pub programs: Vec<ProgramRow<'a>>,
    /// Their threads, if there can be any.
    pub threads: Option<Threads>,
    /// Other services, which filters call.
    pub services: &'a [Service],
    /// Modules.
    pub modules: Vec<ModuleRow<'a>>,
    /// Zones of shared memory.
    pub zones: &'a [(Vec<u8>, Usage)],
    /// Shared queues.
    pub queues: Vec<QueueRow<'a>>,
}

/// Where a filter, or a program, is declared.
pub struct Place<'a> {
    /// File and line, or who else runs it.
    pub position: String,
    /// The name of its server.
    pub server: &'a [u8],
    /// Its location.
    pub location: &'a [u8],
    /// Its number there.
    pub index: String,
}

/// A filter.
pub struct FilterRow<'a> {
    /// That of its module, too.
    pub name: &'a [u8],
    /// Where it is.
    pub place: Place<'a>,
    /// Its root id; empty without one.
    pub root_id: &'a [u8],
    /// As `proxy_wasm_on_error` says it.
    pub policy: &'a str,
    /// As `proxy_wasm_isolation` says it.
    pub isolation: &'a str,
    /// Bytes that an instance may have.
    pub memory_limit: u64,
    /// What is counted.
    pub summary: &'a Summary,
    /// How long its callbacks took, if that is measured.
    pub latency: &'a [(Kind, Histogram)],
}

/// A location that runs a program.
pub struct ProgramRow<'a> {
    /// That of its module.
    pub name: &'a [u8],
    /// The directive that says so.
    pub directive: &'a str,
    /// Where it is.
    pub place: Place<'a>,
    /// What is counted.
    pub summary: &'a Summary,
    /// How long its runs took, if that is measured.
    pub latency: Option<&'a Histogram>,
}

/// Threads of programs, and how many there may be.
pub struct Threads {
    /// Those that there are.
    pub counts: ThreadCounts,
    /// What all workers may have.
    pub limit: usize,
    /// How many requests may wait for one.
    pub queue_limit: usize,
}

/// A module.
pub struct ModuleRow<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its file.
    pub path: &'a str,
    /// What its filters have done together.
    pub summary: Summary,
    /// Where it comes from, once that is known.
    pub origin: Option<Origin<'a>>,
}

/// Where a module comes from.
pub struct Origin<'a> {
    /// The SHA-256 of the file that was read.
    pub sha256: &'a str,
    /// Where its compiled code comes from.
    pub source: &'a str,
    /// How long that took.
    pub time: Duration,
    /// The file is another one by now; `None`: it cannot be seen.
    pub has_changed: Option<bool>,
}

/// A shared queue.
pub struct QueueRow<'a> {
    /// vm_id and name; `None`: all others.
    pub name: Option<(&'a [u8], &'a [u8])>,
    /// Messages in it.
    pub messages: u64,
}
