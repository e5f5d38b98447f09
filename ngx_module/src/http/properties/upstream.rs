//! `upstream.*`, and what became of the upstream, which `response.flags` and `response.code_details` tell.

use super::connection::{address, named};
use super::{milliseconds, number, text, tls};
use crate::nginx::attempts::{self, Attempt};
use crate::nginx::request::HttpRequest;
use crate::nginx::tls::Side;
use crate::nginx::upstream_block::UpstreamBlock;

/// Appends `upstream.<path>`: the last attempt.
pub fn get(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
    if path == b"request_attempt_count" {
        return number(value, attempts::count(r));
    }
    let Some(attempt) = attempts::last(r) else { return false };
    let peer = peer(r, attempt);
    let local = || attempts::local_address(r);
    match path {
        b"address" | b"port" => peer.is_some_and(|peer| named(peer, path, value)),
        b"local_address" => local().is_some_and(|local| address(&local, b"address", value)),
        b"local_port" => local().is_some_and(|local| address(&local, b"port", value)),
        b"cx_pool_ready_duration" => attempt.connect_time().is_some_and(|span| milliseconds(value, span)),
        b"transport_failure_reason" => match attempt.connect_time() {
            Some(_) => true,
            None if peer.is_none() || attempt.status() == 0 => false,
            None if is_timeout(attempt) => text(value, b"connection timed out"),
            None => text(value, b"connection failed"),
        },
        _ => tls::get(Side::Upstream(r), path, value),
    }
}

fn is_timeout(attempt: Attempt<'_>) -> bool {
    attempt.status() == nginx_sys::NGX_HTTP_GATEWAY_TIME_OUT as usize
}

/// The address of the peer; none when nginx found no peer to try, and put the name of the upstream there.
fn peer<'r>(r: HttpRequest<'r>, attempt: Attempt<'r>) -> Option<&'r [u8]> {
    let name = r.upstream()?.block().map(UpstreamBlock::name);
    attempt.peer().filter(|peer| name != Some(*peer))
}

/// From the connection to the last byte of the response, in milliseconds, once that has come.
pub fn latency(r: HttpRequest<'_>) -> Option<i64> {
    let attempt = attempts::last(r)?;
    attempt.header_time()?;
    Some((attempt.response_time()? - attempt.connect_time()?).max(0))
}

/// Where the response comes from, as far as upstreams have a part in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum UpstreamOutcome {
    /// None was asked.
    NotAsked,
    /// From the upstream.
    Answered,
    /// From the cache.
    Cached,
    /// The name has no address.
    Unresolved,
    /// All peers are down.
    NoPeer,
    /// There was no connection.
    NoConnection,
    /// There was a connection, but no response in time.
    TimedOut,
    /// The connection ended without a response.
    Reset,
    /// What came was no response.
    Malformed,
}

/// What became of the upstream. One is at work until nginx has done with it; it sends the response before, and its own pages after
/// that (src/http/ngx_http_upstream.c, ngx_http_upstream_finalize_request).
pub fn outcome(r: HttpRequest<'_>) -> UpstreamOutcome {
    let Some(u) = r.upstream() else { return UpstreamOutcome::NotAsked };
    if u.is_header_sent() || (u.is_at_work() && u.has_status()) {
        return UpstreamOutcome::Answered;
    }
    if r.is_cached() {
        return UpstreamOutcome::Cached;
    }
    let is_bad = |status: usize| (502..=504).contains(&status);
    if !is_bad(r.status()) {
        return UpstreamOutcome::NotAsked;
    }
    let Some(attempt) = attempts::last(r).filter(|attempt| attempt.peer().is_some()) else {
        return if u.resolved_host().is_none() { UpstreamOutcome::NotAsked } else { UpstreamOutcome::Unresolved };
    };
    match peer(r, attempt) {
        None => UpstreamOutcome::NoPeer,
        Some(_) if attempt.connect_time().is_none() => UpstreamOutcome::NoConnection,
        // An answer that `proxy_intercept_errors` or `proxy_next_upstream` did not let pass.
        Some(_) if attempt.header_time().is_some() => UpstreamOutcome::NotAsked,
        Some(_) if is_timeout(attempt) => UpstreamOutcome::TimedOut,
        Some(_) if attempt.bytes_received() > 0 => UpstreamOutcome::Malformed,
        Some(_) => UpstreamOutcome::Reset,
    }
}
