//! `cluster_name`: the upstream of the location that a request is in. `environment.rs` is the caller, and `host/` for its
//! servers.

use crate::nginx::request::HttpRequest;
use crate::nginx::upstream::Upstream;
use crate::nginx::upstream_block::{PASSING, UpstreamBlock, named};

/// The name of the block `upstream`, or the host in `proxy_pass`: of the upstream that nginx asks for this location, and
/// before that of the one that the location names.
pub fn name(r: HttpRequest<'_>) -> Option<&[u8]> {
    let asked = asked(r).and_then(|u| u.block().map(UpstreamBlock::name).or_else(|| u.resolved_host()));
    asked.or_else(|| of_location(r).map(UpstreamBlock::name))
}

/// The upstream of the configuration that nginx asks for this location, or else the one that the location names.
pub fn upstream(r: HttpRequest<'_>) -> Option<UpstreamBlock<'_>> {
    match asked(r) {
        Some(u) if u.block().is_some() || u.resolved_host().is_some() => u.block(),
        _ => of_location(r),
    }
}

/// Whether nginx has begun to ask a server for this location.
pub fn is_asked(r: HttpRequest<'_>) -> bool {
    asked(r).is_some_and(|u| u.block().is_some() || u.has_balancer())
}

/// The upstream that the request has, if this location asks it.
fn asked(r: HttpRequest<'_>) -> Option<Upstream<'_>> {
    r.upstream().filter(|u| u.is_of_location(r))
}

fn of_location(r: HttpRequest<'_>) -> Option<UpstreamBlock<'_>> {
    let mut named = PASSING.into_iter().filter_map(|module| named(r, module));
    let upstream = named.next()?;
    // With several directives, the last one counts, and nothing tells which that was.
    named.next().is_none().then_some(upstream)
}
