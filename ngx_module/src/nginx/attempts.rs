//! What became of the upstreams of a request. Nginx keeps a state for each attempt, which outlives the connection
//! (src/http/ngx_http_upstream.h, ngx_http_upstream_state_t): its peer is the address as text, and times that have not come are
//! all ones.

use std::marker::PhantomData;

use nginx_sys::{ngx_http_upstream_state_t, ngx_msec_t};

use super::address::SocketAddress;
use super::request::{HttpRequest, bytes};

/// What is known of an attempt.
#[derive(Clone, Copy)]
pub struct Attempt<'r>(ngx_http_upstream_state_t, PhantomData<&'r ()>);

/// The attempt that is under way, or was the last. There is none before an upstream is asked.
pub fn last(r: HttpRequest<'_>) -> Option<Attempt<'_>> {
    // SAFETY: the upstream is live; its state lies in the pool of the request.
    let state = unsafe { (*r.upstream()?.as_ptr()).state.as_ref() };
    state.map(|state| Attempt(*state, PhantomData))
}

/// How many peers nginx has tried, since the last internal redirect to another upstream.
pub fn count(r: HttpRequest<'_>) -> usize {
    // SAFETY: the request is live, and so is its array of states.
    let Some(states) = (unsafe { (*r.as_ptr()).upstream_states.as_ref() }) else { return 0 };
    // SAFETY: the array has one state for each attempt, and one without a peer for each redirect.
    let states = unsafe { states.as_slice::<ngx_http_upstream_state_t>() };
    states.iter().rev().skip_while(|state| state.peer.is_null()).take_while(|state| !state.peer.is_null()).count()
}

/// Our end of the connection to the upstream, while there is one.
pub fn local_address(r: HttpRequest<'_>) -> Option<SocketAddress> {
    let peer = r.upstream()?.peer()?;
    SocketAddress::of_socket(peer.fd())
}

/// A time in milliseconds; none when it has not come.
fn span(time: ngx_msec_t) -> Option<i64> {
    if time == ngx_msec_t::MAX { None } else { i64::try_from(time).ok() }
}

impl<'r> Attempt<'r> {
    /// Whom nginx has asked. When it found no peer to try, this is the name of the upstream.
    pub fn peer(self) -> Option<&'r [u8]> {
        // SAFETY: the name lives with the request, or with its configuration.
        unsafe { self.0.peer.as_ref().map(|peer| bytes(*peer)) }
    }

    pub fn status(self) -> usize {
        self.0.status
    }

    pub fn bytes_received(self) -> i64 {
        self.0.bytes_received
    }

    pub fn connect_time(self) -> Option<i64> {
        span(self.0.connect_time)
    }

    pub fn header_time(self) -> Option<i64> {
        span(self.0.header_time)
    }

    pub fn response_time(self) -> Option<i64> {
        span(self.0.response_time)
    }
}
