//! What is counted over all workers beside filters: calls to other services, reloads of the configuration, threads of programs.
//! `ngx_module/src/process/status/` counts with it, `content/` shows it.
//!
//! Guests choose which services they call, so there are a bounded number of them: calls to further ones are counted together.

use std::time::Duration;

use super::histogram::{Bounds, Histogram, bucket, nanoseconds};
use super::memory::Memory;
use super::table::{Columns, Contents, Dimensions, Entry, IsAlive, Process, Slot, Table};

/// From what a service in the same machine takes to what makes most calls time out.
const BOUNDS: Bounds = &[
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;

// Counters of a service, behind those of results.
const FIRST_BUCKET: usize = RESULTS;
const SUM: usize = FIRST_BUCKET + BUCKETS;
const COUNTERS: usize = SUM + 1;
// Its gauge.
const IN_FLIGHT: usize = 0;

/// The longest name of a service that has numbers of its own.
const LONGEST_NAME: usize = 128;

/// Services of each kind together that have numbers of their own.
const SERVICES: usize = 128;

/// What all others are called together. One that has this name is counted with them.
pub const OTHERS: &str = "other";

// Words that are this table's.
const BEGUN: usize = 0;
const BEGUN_AT: usize = 1;
const REFUSED: usize = 2;
const REFUSED_AT: usize = 3;
/// Whether the one that was read last was refused.
const IS_REFUSED: usize = 4;

// What a process has.
const THREADS: usize = 0;
const BUSY: usize = 1;
const QUEUED: usize = 2;

/// How a service is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum CallKind {
    Http,
    Grpc,
    Redis,
}

impl CallKind {
    const ALL: [CallKind; 3] = [CallKind::Http, CallKind::Grpc, CallKind::Redis];

    /// What operators see.
    pub fn name(self) -> &'static str {
        match self {
            CallKind::Http => "http",
            CallKind::Grpc => "grpc",
            CallKind::Redis => "redis",
        }
    }
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum CallResult {
    /// An answer; of HTTP, with a status up to 399.
    Answered,
    /// An answer of HTTP with a status 4xx.
    ClientError,
    /// An answer that says that the service has failed: a status 5xx, a gRPC status that is not OK, an error of Redis.
    ServerError,
    /// None in time.
    Timeout,
    /// None: no connection, or one that broke.
    Failed,
    /// Nobody waits for it any more.
    Cancelled,
}

impl CallResult {
    /// All, with their names.
    pub const ALL: [(CallResult, &'static str); RESULTS] = [
        (CallResult::Answered, "answered"),
        (CallResult::ClientError, "client_error"),
        (CallResult::ServerError, "server_error"),
        (CallResult::Timeout, "timeout"),
        (CallResult::Failed, "failed"),
        (CallResult::Cancelled, "cancelled"),
    ];

    /// That of an answer of HTTP.
    pub fn of_status(status: u16) -> CallResult {
        match status {
            0..=399 => CallResult::Answered,
            400..=499 => CallResult::ClientError,
            _ => CallResult::ServerError,
        }
    }
}

/// How many results there are.
const RESULTS: usize = CallResult::Cancelled as usize + 1;

/// What is known about the calls to a service.
#[derive(Clone, Debug)]
pub struct Service {
    /// How it is called.
    pub kind: CallKind,
    /// Its name, as guests have said it; `None`: all that have no numbers of their own.
    pub name: Option<Vec<u8>>,
    /// How many calls have ended, by result, as in [`CallResult::ALL`].
    pub results: [u64; RESULTS],
    /// How many have not.
    pub in_flight: u64,
    /// How long those took that have ended.
    pub latency: Histogram,
}

/// Reloads of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// How many configurations nginx has gone over to, the first one included.
    pub begun: u64,
    /// When it did last, in Unix seconds.
    pub begun_at: u64,
    /// How many it has refused.
    pub refused: u64,
    /// When it did last; 0 for never.
    pub refused_at: u64,
    /// Whether it has refused the one that it has read last.
    pub is_refused: bool,
}

/// Threads of programs, in all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounts {
    /// Those that there are.
    pub threads: u64,
    /// Those that run a program.
    pub busy: u64,
    /// Requests that wait for one.
    pub queued: u64,
}

/// What is known at one time.
#[derive(Clone, Debug, Default)]
pub struct HostSnapshot {
    /// Calls.
    pub services: Vec<Service>,
    /// Reloads.
    pub reloads: Reloads,
    /// Threads.
    pub threads: ThreadCounts,
}

/// The table.
pub struct HostStatus(Table);

impl HostStatus {
    fn dimensions(workers: usize) -> Dimensions {
        let columns = Columns { counters: COUNTERS, gauges: 1, name: 1 + LONGEST_NAME, text: 0 };
        Dimensions { entries: SERVICES + CallKind::ALL.len(), rows: Dimensions::rows_for(workers), columns }
    }

    /// How many bytes the memory has for so many workers. A number that is little larger wants the same.
    pub fn size(workers: usize) -> usize {
        Self::dimensions(workers).size()
    }

    /// A table in `memory`, with what is there. It must have [`HostStatus::size`].
    pub fn new(memory: Box<dyn Memory>, workers: usize) -> Self {
        HostStatus(Table::new(memory, Self::dimensions(workers)))
    }

    /// nginx goes over to a configuration, at this time.
    pub fn begin(&self, time: u64) {
        self.0.begin();
        self.0.with_own(|word, set| {
            set(BEGUN, word(BEGUN).saturating_add(1));
            set(BEGUN_AT, time);
            set(IS_REFUSED, 0);
        });
        // What takes all that has no place of its own has one before all others.
        for kind in CallKind::ALL {
            self.declare_rest(kind, &|_| true);
        }
    }

    /// nginx has refused a configuration, at this time, and goes on with the one that it has.
    pub fn refuse(&self, time: u64) {
        self.0.with_own(|word, set| {
            set(REFUSED, word(REFUSED).saturating_add(1));
            set(REFUSED_AT, time);
            set(IS_REFUSED, 1);
        });
    }

    /// This process begins to count, as a worker of this configuration.
    pub fn enter(&self, process: Process, is_alive: IsAlive<'_>) {
        self.0.enter(process, is_alive);
    }

    /// Whether this process counts.
    pub fn is_entered(&self) -> bool {
        self.0.is_entered()
    }

    /// This process counts no more.
    pub fn leave(&self) {
        self.0.leave();
    }

    /// The service of this name: one that has numbers of its own if there is room, or the rest.
    pub fn service(&self, kind: CallKind, name: &[u8], is_alive: IsAlive<'_>) -> Option<Slot> {
        // What is no text is no service. It would be shown as another name may be, too.
        let is_text = || std::str::from_utf8(name).is_ok_and(|name| !name.chars().any(char::is_control));
        let has_own = (1..=LONGEST_NAME).contains(&name.len()) && name != OTHERS.as_bytes() && is_text();
        let own = has_own.then(|| {
            let label = [&[kind as u8], name].concat();
            self.0.declare(&[b"service", &label], &label, is_alive)
        });
        own.flatten().or_else(|| self.declare_rest(kind, is_alive))
    }

    fn declare_rest(&self, kind: CallKind, is_alive: IsAlive<'_>) -> Option<Slot> {
        let label = [kind as u8];
        self.0.declare(&[b"rest", &label], &label, is_alive)
    }

    /// A call has begun.
    pub fn began(&self, service: Slot) {
        self.0.change(service, IN_FLIGHT, |calls| calls.saturating_add(1));
    }

    /// A call has ended, after this time.
    pub fn ended(&self, service: Slot, result: CallResult, time: Duration) {
        let time = nanoseconds(time);
        self.0.change(service, IN_FLIGHT, |calls| calls.saturating_sub(1));
        self.0.add(service, result as usize, 1);
        self.0.add(service, FIRST_BUCKET + bucket(BOUNDS, time), 1);
        self.0.add(service, SUM, time);
    }

    /// What this process has of threads.
    pub fn set_threads(&self, counts: ThreadCounts) {
        for (n, value) in [(THREADS, counts.threads), (BUSY, counts.busy), (QUEUED, counts.queued)] {
            self.0.set_of_process(n, value);
        }
    }

    /// What is known now.
    pub fn snapshot(&self, is_alive: IsAlive<'_>) -> HostSnapshot {
        let contents = self.0.read(is_alive);
        let reloads = Reloads {
            begun: self.0.own(BEGUN),
            begun_at: self.0.own(BEGUN_AT),
            refused: self.0.own(REFUSED),
            refused_at: self.0.own(REFUSED_AT),
            is_refused: self.0.own(IS_REFUSED) != 0,
        };
        HostSnapshot { threads: threads(&contents), services: services(contents), reloads }
    }
}

fn threads(contents: &Contents) -> ThreadCounts {
    let sum = |n: usize| contents.processes.iter().fold(0, |sum: u64, process| sum.wrapping_add(process[n]));
    ThreadCounts { threads: sum(THREADS), busy: sum(BUSY), queued: sum(QUEUED) }
}

/// Those that have been called, in the order of their names.
fn services(contents: Contents) -> Vec<Service> {
    let mut services: Vec<Service> = contents.entries.into_iter().flatten().filter_map(service).collect();
    services.retain(|service| service.in_flight > 0 || service.results.iter().any(|count| *count > 0));
    services.sort_by(|a, b| (a.kind as u8, &a.name).cmp(&(b.kind as u8, &b.name)));
    services
}

fn service(entry: Entry) -> Option<Service> {
    let (kind, name) = entry.name.split_first()?;
    Some(Service {
        kind: CallKind::ALL.into_iter().find(|known| *known as u8 == *kind)?,
        name: (!name.is_empty()).then(|| name.to_vec()),
        results: std::array::from_fn(|n| entry.counters.get(n).copied().unwrap_or_default()),
        in_flight: entry.gauges.first()?.iter().fold(0, |sum, calls| sum.wrapping_add(*calls)),
        latency: Histogram::new(BOUNDS, entry.counters.get(FIRST_BUCKET..SUM)?.to_vec(), *entry.counters.get(SUM)?),
    })
}

#[cfg(test)]
mod tests;
