//! What is known at one time, as the pages show it (`metrics_page.rs`, `status_page.rs`, `html_page.rs`): what the tables of all workers say, beside what
//! nginx.conf does.

use std::path::Path;

use ngx_wasm::shared::filter_status::{Snapshot, Summary};
use ngx_wasm::shared::host_status::HostSnapshot;
use ngx_wasm::shared::latency::Kind;
use ngx_wasm::shared::{Depth, Histogram, Usage};

use crate::config::conf::MainConf;
use crate::config::filter_conf::{FilterConf, ModuleConf};
use crate::config::level::KnownAs;
use crate::config::program_conf::ProgramLocation;
use crate::config::rules::{Isolation, OnError, Without};
use crate::process::shared_memory;

/// Queues of which each is shown.
const MOST_QUEUES: usize = 100;

/// All that is known.
pub struct Overview<'a> {
    pub main: &'a MainConf,
    pub workers: usize,
    pub leaving: usize,
    pub filters: Vec<Filter<'a>>,
    pub programs: Vec<Program<'a>>,
    /// `None`: nothing is counted.
    pub host: Option<HostSnapshot>,
    /// Zones by their names.
    pub zones: Vec<(Vec<u8>, Usage)>,
    /// Messages of queues.
    pub queues: Vec<Queue>,
}

/// A filter of the configuration, or one that Lua has loaded.
pub struct Filter<'a> {
    pub conf: Option<&'a FilterConf>,
    /// That of its module, too.
    pub name: Vec<u8>,
    pub summary: Summary,
    pub latency: Vec<(Kind, Histogram)>,
}

/// A location that runs a program.
pub struct Program<'a> {
    pub conf: &'a ProgramLocation,
    pub summary: Summary,
    pub latency: Vec<(Kind, Histogram)>,
}

/// A shared queue, or all those that are not shown one by one.
pub struct Queue {
    /// vm_id and name.
    pub name: Option<(Vec<u8>, Vec<u8>)>,
    pub messages: u64,
}

impl<'a> Overview<'a> {
    /// Looks at everything.
    pub fn of(main: &'a MainConf) -> Overview<'a> {
        let (snapshot, slots) = main.status.snapshot();
        let Snapshot { workers, leaving, .. } = snapshot;
        let known = |n: usize| {
            let slot = slots.get(n).copied().flatten();
            (slot.map(|slot| snapshot.get(slot)).unwrap_or_default(), main.status.latency(slot))
        };
        let mut filters: Vec<_> = (main.filters.iter().enumerate())
            .map(|(n, conf)| {
                let (summary, latency) = known(n);
                Filter { conf: Some(conf), name: conf.name.clone(), summary, latency }
            })
            .collect();
        for named in &snapshot.named {
            let latency = main.status.latency(Some(named.slot));
            filters.push(Filter { conf: None, name: named.name.clone(), summary: named.summary.clone(), latency });
        }
        let programs = (main.programs.iter().enumerate())
            .map(|(n, conf)| {
                let (summary, latency) = known(main.filters.len() + n);
                Program { conf, summary, latency }
            })
            .collect();
        let stores = shared_memory::stores();
        Overview {
            main,
            workers,
            leaving,
            filters,
            programs,
            host: main.status.host_snapshot(),
            zones: stores.map(shared_memory::usage).unwrap_or_default(),
            queues: stores.map(|stores| queues(stores.queues.depths(MOST_QUEUES))).unwrap_or_default(),
        }
    }

    /// The name of the engine.
    pub fn engine(&self) -> &'static str {
        self.main.engine.unwrap_or_default().name()
    }

    /// What all filters of a module have done together.
    pub fn sum(&self, module: &ModuleConf) -> Summary {
        let mut total = Summary::default();
        let own = |filter: &&Filter| filter.conf.is_some() && filter.name == module.name;
        self.filters.iter().filter(own).for_each(|filter| total.add(&filter.summary));
        total
    }
}

fn queues((shown, others): (Vec<Depth>, Option<u64>)) -> Vec<Queue> {
    let shown = shown.into_iter().map(|Depth { vm_id, name, messages }| Queue { name: Some((vm_id, name)), messages });
    shown.chain(others.map(|messages| Queue { name: None, messages })).collect()
}

impl Filter<'_> {
    /// Where nginx.conf declares it, or that Lua runs it.
    pub fn place(&self) -> String {
        self.conf.map_or_else(|| "lua".to_owned(), |conf| conf.place.to_string())
    }

    /// Server, location, and its place among the filters there.
    pub fn known_as(&self) -> (&[u8], &[u8], String) {
        self.conf.map_or_else(|| (&b""[..], &b""[..], "lua".to_owned()), |conf| parts(&conf.known_as))
    }

    /// As `proxy_wasm_on_error` says it.
    pub fn policy(&self) -> &'static str {
        match self.conf.map(|conf| conf.policy.on_error) {
            None => "lua",
            Some(OnError::Stay(Without::Closed)) => "closed",
            Some(OnError::Stay(Without::Open)) => "open",
            Some(OnError::Reload(Without::Closed)) => "reload closed",
            Some(OnError::Reload(Without::Open)) => "reload open",
        }
    }

    /// As `proxy_wasm_isolation` says it.
    pub fn isolation(&self) -> &'static str {
        match self.conf.map_or(Isolation::Worker, |conf| conf.policy.isolation) {
            Isolation::Worker => "worker",
            Isolation::Request => "request",
            Isolation::FreshRequest => "request fresh",
        }
    }

    /// Bytes that an instance may have.
    pub fn memory_limit(&self, main: &MainConf) -> usize {
        self.conf.map_or_else(|| main.lua_limits().0.memory, |conf| conf.limits.memory)
    }

    /// The file that its configuration is in.
    pub fn file(&self) -> Option<&Path> {
        self.conf.and_then(|conf| conf.file.as_deref())
    }
}

impl Program<'_> {
    /// Server, location, and its place among the programs there.
    pub fn known_as(&self) -> (&[u8], &[u8], String) {
        parts(&self.conf.known_as)
    }
}

fn parts(known_as: &KnownAs) -> (&[u8], &[u8], String) {
    (&known_as.level.server, &known_as.level.location, known_as.index.to_string())
}
