//! The servers of an upstream, and what nginx knows of their health.
//!
//! A balancer of nginx keeps them in lists (`list.rs`). What another balancer keeps is its own affair; the servers are those of the
//! configuration then.

use ngx_wasm::proxy_wasm::{HostHealth, UpstreamHost};

use super::list::{List, Unusable};
use crate::nginx::upstream_block::UpstreamBlock;

/// A server's place: in which list, and which of those in it.
pub struct Place<'c> {
    pub list: List<'c>,
    pub n: usize,
}

/// All servers of an upstream, those that are `backup` last.
pub fn all(us: UpstreamBlock<'_>) -> Vec<UpstreamHost> {
    match List::of(us) {
        Some(first) => of_lists(first),
        None => of_configuration(us),
    }
}

fn of_lists(first: List<'_>) -> Vec<UpstreamHost> {
    let mut found = Vec::new();
    for (list, is_backup) in first.with_backups() {
        for server in list.lock().servers() {
            let is_live = !matches!(server.unusable(), Some(Unusable::Down | Unusable::Failed));
            found.push((without_scheme(server.name()).to_vec(), is_live, is_backup));
        }
    }
    with_health(found)
}

fn of_configuration(us: UpstreamBlock<'_>) -> Vec<UpstreamHost> {
    let all = us.addresses().map(|one| (without_scheme(one.name).to_vec(), !one.is_down, one.is_backup));
    let mut found: Vec<_> = all.collect();
    found.sort_by_key(|(_, _, is_backup)| *is_backup);
    with_health(found)
}

/// What is live is healthy. A backup is no server of the first choice as long as there is another: Envoy's word for that is
/// "degraded", and filters that only take healthy servers leave it alone.
fn with_health(found: Vec<(Vec<u8>, bool, bool)>) -> Vec<UpstreamHost> {
    let has_first = found.iter().any(|(_, is_live, is_backup)| *is_live && !is_backup);
    let health = |is_live, is_backup| match (is_live, is_backup && has_first) {
        (false, _) => HostHealth::Unhealthy,
        (true, true) => HostHealth::Degraded,
        (true, false) => HostHealth::Healthy,
    };
    let host = |(address, is_live, is_backup)| UpstreamHost { address, health: health(is_live, is_backup) };
    found.into_iter().map(host).collect()
}

/// An address as `upstream.address` has it, too.
fn without_scheme(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"unix:").unwrap_or(name)
}

/// The place of a server that nginx may choose now; otherwise why there is none, which is nothing when no server has this
/// address. `first` is the first list of an upstream, here and below.
pub fn find<'c>(first: List<'c>, wanted: &[u8]) -> Result<Place<'c>, Option<Unusable>> {
    let wanted = without_scheme(wanted);
    let mut why = None;
    for (list, _) in first.with_backups() {
        for (n, server) in list.lock().servers().enumerate() {
            if without_scheme(server.name()) != wanted {
                continue;
            }
            match server.unusable() {
                None => return Ok(Place { list, n }),
                Some(reason) => why = Some(reason),
            }
        }
    }
    Err(why)
}

/// How many servers the longer of both lists has: for so many a request notes whether it has tried them.
pub fn longest(first: List<'_>) -> usize {
    first.with_backups().map(|(list, _)| list.lock().count()).max().unwrap_or(0)
}
