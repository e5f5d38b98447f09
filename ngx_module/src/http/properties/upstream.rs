//! `upstream.*`, and what became of the upstream, which `response.flags` and `response.code_details` tell.
//!
//! Nginx keeps a state for each attempt, which outlives the connection (src/http/ngx_http_upstream.h,
//! ngx_http_upstream_state_t): its peer is the address as text, and times that have not come are all ones.

use std::mem::MaybeUninit;

use nginx_sys::{
    ngx_connection_t, ngx_http_request_t, ngx_http_upstream_state_t, ngx_http_upstream_t, ngx_msec_t, sockaddr,
};

use super::connection::{address, named};
use super::{milliseconds, number, text, tls};

/// Appends `upstream.<path>`: the last attempt.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn get(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above.
    unsafe {
        if path == b"request_attempt_count" {
            return number(value, attempts(r));
        }
        let u = (*r).upstream;
        let Some(state) = last_attempt(r) else { return false };
        let peer = peer(u, state);
        match path {
            b"address" | b"port" => peer.is_some_and(|peer| named(peer, path, value)),
            b"local_address" => connection(u).is_some_and(|c| local(c, b"address", value)),
            b"local_port" => connection(u).is_some_and(|c| local(c, b"port", value)),
            b"cx_pool_ready_duration" => span((*state).connect_time).is_some_and(|span| milliseconds(value, span)),
            b"transport_failure_reason" => match span((*state).connect_time) {
                Some(_) => true,
                None if peer.is_none() || (*state).status == 0 => false,
                None if (*state).status == nginx_sys::NGX_HTTP_GATEWAY_TIME_OUT as usize => {
                    text(value, b"connection timed out")
                }
                None => text(value, b"connection failed"),
            },
            _ => connection(u).is_some_and(|c| tls::get(c, path, value)),
        }
    }
}

/// How many peers nginx has tried, since the last internal redirect to another upstream.
unsafe fn attempts(r: *mut ngx_http_request_t) -> usize {
    // SAFETY: the array has one state for each attempt, and one without a peer for each redirect.
    unsafe {
        let states = (*r).upstream_states;
        if states.is_null() {
            return 0;
        }
        let states = (*states).as_slice::<ngx_http_upstream_state_t>();
        states.iter().rev().skip_while(|state| state.peer.is_null()).take_while(|state| !state.peer.is_null()).count()
    }
}

/// The state of the attempt that is under way, or was the last.
unsafe fn last_attempt(r: *mut ngx_http_request_t) -> Option<*mut ngx_http_upstream_state_t> {
    // SAFETY: see `get`; an upstream has no state before its first attempt.
    unsafe {
        let u = (*r).upstream;
        (!u.is_null() && !(*u).state.is_null()).then(|| (*u).state)
    }
}

/// The address of the peer; none when nginx found no peer to try, and put the name of the upstream there.
unsafe fn peer<'a>(u: *mut ngx_http_upstream_t, state: *mut ngx_http_upstream_state_t) -> Option<&'a [u8]> {
    // SAFETY: see `last_attempt`; the names live with the request.
    unsafe {
        let peer = (*state).peer.as_ref()?.as_bytes();
        (!is_no_peer(u, peer)).then_some(peer)
    }
}

unsafe fn is_no_peer(u: *mut ngx_http_upstream_t, peer: &[u8]) -> bool {
    // SAFETY: an upstream from the configuration has its name there.
    unsafe { (*u).upstream.as_ref().is_some_and(|conf| conf.host.as_bytes() == peer) }
}

/// The connection to the upstream, while there is one.
unsafe fn connection(u: *mut ngx_http_upstream_t) -> Option<*mut ngx_connection_t> {
    // SAFETY: nginx clears the pointer when it gives up the connection.
    unsafe { (!(*u).peer.connection.is_null()).then(|| (*u).peer.connection) }
}

/// Our end of a connection.
unsafe fn local(c: *mut ngx_connection_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    let mut place = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the storage has room for every address, and the kernel writes no more than `len`.
    unsafe {
        if libc::getsockname((*c).fd, place.as_mut_ptr().cast(), &mut len) != 0 {
            return false;
        }
        address(place.as_mut_ptr().cast::<sockaddr>(), len, path, value)
    }
}

/// A time of a state; none when it has not come.
fn span(time: ngx_msec_t) -> Option<i64> {
    if time == ngx_msec_t::MAX { None } else { i64::try_from(time).ok() }
}

/// From the connection to the last byte of the response, in milliseconds, once that has come.
pub unsafe fn latency(r: *mut ngx_http_request_t) -> Option<i64> {
    // SAFETY: see `get`.
    unsafe {
        let state = last_attempt(r)?;
        span((*state).header_time)?;
        Some((span((*state).response_time)? - span((*state).connect_time)?).max(0))
    }
}

/// Where the response comes from, as far as upstreams have a part in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
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

/// What became of the upstream.
pub unsafe fn outcome(r: *mut ngx_http_request_t) -> Outcome {
    // SAFETY: see `get`. The cleanup is there until nginx has done with the upstream; it sends the response before, and
    // its own pages after that (src/http/ngx_http_upstream.c, ngx_http_upstream_finalize_request).
    unsafe {
        let u = (*r).upstream;
        if u.is_null() {
            return Outcome::NotAsked;
        }
        if (*u).header_sent() != 0 || (!(*u).cleanup.is_null() && (*u).headers_in.status_n != 0) {
            return Outcome::Answered;
        }
        if (*r).cached() != 0 {
            return Outcome::Cached;
        }
        let is_bad = |status: usize| (502..=504).contains(&status);
        if !is_bad((*r).headers_out.status) {
            return Outcome::NotAsked;
        }
        let Some(state) = last_attempt(r).filter(|state| !(**state).peer.is_null()) else {
            return if (*u).resolved.is_null() { Outcome::NotAsked } else { Outcome::Unresolved };
        };
        match peer(u, state) {
            None => Outcome::NoPeer,
            Some(_) if span((*state).connect_time).is_none() => Outcome::NoConnection,
            // An answer that `proxy_intercept_errors` or `proxy_next_upstream` did not let pass.
            Some(_) if span((*state).header_time).is_some() => Outcome::NotAsked,
            Some(_) if (*state).status == nginx_sys::NGX_HTTP_GATEWAY_TIME_OUT as usize => Outcome::TimedOut,
            Some(_) if (*state).bytes_received > 0 => Outcome::Malformed,
            Some(_) => Outcome::Reset,
        }
    }
}
