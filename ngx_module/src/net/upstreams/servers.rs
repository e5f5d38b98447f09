//! The servers of an upstream, and what nginx knows of their health.
//!
//! A balancer of nginx keeps them in the lists of round robin (src/http/ngx_http_upstream_round_robin.h): the servers, and
//! behind them those that are `backup`. With a `zone` the lists are shared by all workers, and each has a lock. What another
//! balancer keeps is its own affair; the servers are those of the configuration then.

use nginx_sys::{
    ngx_addr_t, ngx_cached_time, ngx_http_upstream_rr_peer_t, ngx_http_upstream_rr_peers_t, ngx_http_upstream_server_t,
    ngx_http_upstream_srv_conf_t,
};
use ngx_wasm::proxy_wasm::{HostHealth, UpstreamHost};

use crate::net::balancer::Upstream;

/// Why nginx would not choose a server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    Down,
    Failed,
    Full,
}

/// A server's place: in which list, and which of those in it.
pub struct Place {
    pub list: *mut ngx_http_upstream_rr_peers_t,
    pub n: usize,
}

/// All servers of an upstream, those that are `backup` last.
///
/// # Safety
/// `us` is an upstream of the cycle that runs.
pub unsafe fn all(us: *mut ngx_http_upstream_srv_conf_t) -> Vec<UpstreamHost> {
    // SAFETY: see above. A balancer that keeps the lists of round robin has them in `peer.data`
    // (ngx_http_upstream_init_round_robin_peer takes them from there).
    unsafe {
        match Upstream::new(us).keeps_round_robin() {
            true => of_lists((*us).peer.data.cast()),
            false => of_configuration(us),
        }
    }
}

unsafe fn of_lists(first: *mut ngx_http_upstream_rr_peers_t) -> Vec<UpstreamHost> {
    let mut found = Vec::new();
    // SAFETY: see `all`.
    unsafe {
        for (list, is_backup) in lists(first) {
            let _lock = Lock::of(list);
            for peer in peers(list) {
                let is_live = !matches!(unusable(peer), Some(Unusable::Down | Unusable::Failed));
                found.push((address((*peer).name.as_bytes()), is_live, is_backup));
            }
        }
    }
    with_health(found)
}

unsafe fn of_configuration(us: *mut ngx_http_upstream_srv_conf_t) -> Vec<UpstreamHost> {
    let mut found = Vec::new();
    // SAFETY: an `upstream { }` has an array of servers, each with its addresses.
    unsafe {
        let servers =
            (*us).servers.as_ref().map_or(&[][..], |servers| servers.as_slice::<ngx_http_upstream_server_t>());
        for server in servers {
            let addresses: &[ngx_addr_t] = match server.naddrs {
                0 => &[],
                count => std::slice::from_raw_parts(server.addrs, count),
            };
            let all =
                addresses.iter().map(|one| (address(one.name.as_bytes()), server.down == 0, server.backup() != 0));
            found.extend(all);
        }
    }
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
fn address(name: &[u8]) -> Vec<u8> {
    name.strip_prefix(b"unix:").unwrap_or(name).to_vec()
}

/// The place of a server that nginx may choose now; otherwise why there is none, which is nothing when no server has this
/// address.
///
/// # Safety
/// `first` is the first list of an upstream.
pub unsafe fn find(first: *mut ngx_http_upstream_rr_peers_t, wanted: &[u8]) -> Result<Place, Option<Unusable>> {
    let wanted = wanted.strip_prefix(b"unix:").unwrap_or(wanted);
    let mut why = None;
    // SAFETY: see above.
    unsafe {
        for (list, _) in lists(first) {
            let _lock = Lock::of(list);
            for (n, peer) in peers(list).enumerate() {
                let name = (*peer).name.as_bytes();
                if name.strip_prefix(b"unix:").unwrap_or(name) != wanted {
                    continue;
                }
                match unusable(peer) {
                    None => return Ok(Place { list, n }),
                    Some(reason) => why = Some(reason),
                }
            }
        }
    }
    Err(why)
}

/// How many servers the longer of both lists has: for so many a request notes whether it has tried them.
///
/// # Safety
/// As [`find`].
pub unsafe fn longest(first: *mut ngx_http_upstream_rr_peers_t) -> usize {
    // SAFETY: see above.
    unsafe {
        let number = |(list, _): (*mut ngx_http_upstream_rr_peers_t, bool)| {
            let _lock = Lock::of(list);
            (*list).number
        };
        lists(first).map(number).max().unwrap_or(0)
    }
}

/// As ngx_http_upstream_get_peer does (src/http/ngx_http_upstream_round_robin.c).
unsafe fn unusable(peer: *const ngx_http_upstream_rr_peer_t) -> Option<Unusable> {
    // SAFETY: see `peers`; nginx always has a time.
    unsafe {
        let now = (*ngx_cached_time).sec;
        let fails = (*peer).fails;
        if (*peer).down != 0 {
            Some(Unusable::Down)
        } else if (*peer).max_fails != 0 && fails >= (*peer).max_fails && now - (*peer).checked <= (*peer).fail_timeout
        {
            Some(Unusable::Failed)
        } else if (*peer).max_conns != 0 && (*peer).conns >= (*peer).max_conns {
            Some(Unusable::Full)
        } else {
            None
        }
    }
}

/// The list of servers, and that of backups. The second of each pair: it is that of backups.
unsafe fn lists(
    first: *mut ngx_http_upstream_rr_peers_t,
) -> impl Iterator<Item = (*mut ngx_http_upstream_rr_peers_t, bool)> {
    // SAFETY: the lists themselves are as long there as the upstream.
    let second = unsafe { first.as_ref() }.map(|first| (first.next, true));
    [Some((first, false)), second].into_iter().flatten().filter(|(list, _)| !list.is_null())
}

/// The servers of a list whose lock is held. With that nothing enters or leaves the list; other workers go on counting in it.
unsafe fn peers(list: *mut ngx_http_upstream_rr_peers_t) -> impl Iterator<Item = *const ngx_http_upstream_rr_peer_t> {
    let there = |peer: *mut ngx_http_upstream_rr_peer_t| (!peer.is_null()).then_some(peer.cast_const());
    // SAFETY: see above.
    unsafe { std::iter::successors(there((*list).peer), move |peer| there((**peer).next)) }
}

/// The lock of a list, for those who read it; a list without a zone has none.
struct Lock(#[cfg(ngx_feature = "http_upstream_zone")] *mut ngx_http_upstream_rr_peers_t);

#[cfg(ngx_feature = "http_upstream_zone")]
impl Lock {
    unsafe fn of(list: *mut ngx_http_upstream_rr_peers_t) -> Option<Lock> {
        // SAFETY: see `lists`; nothing that holds the lock waits for an event.
        unsafe {
            let is_shared = !(*list).shpool.is_null();
            is_shared.then(|| {
                nginx_sys::ngx_rwlock_rlock(&raw mut (*list).rwlock);
                Lock(list)
            })
        }
    }
}

#[cfg(ngx_feature = "http_upstream_zone")]
impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: `of` has locked it.
        unsafe { nginx_sys::ngx_rwlock_unlock(&raw mut (*self.0).rwlock) }
    }
}

#[cfg(not(ngx_feature = "http_upstream_zone"))]
impl Lock {
    unsafe fn of(_: *mut ngx_http_upstream_rr_peers_t) -> Option<Lock> {
        None
    }
}
