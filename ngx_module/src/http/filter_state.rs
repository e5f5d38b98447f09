//! The values that filters share, where they live in nginx: those of a request in its [`Request`], those of a connection in
//! the connection's pool. `host.rs` is the caller.

use nginx_sys::ngx_connection_t;
use ngx_wasm::proxy_wasm::{FilterState, LifeSpan};

use crate::http::request::Request;
use crate::nginx::pool;

/// What a connection's pool keeps.
struct OfConnection(FilterState);

/// The values that live for `span`; null when there is no memory for them.
///
/// # Safety
/// `request` belongs to a live request.
pub unsafe fn find(request: *mut Request, span: LifeSpan) -> *mut FilterState {
    // SAFETY: a request has a connection, and ends before it.
    unsafe {
        match span {
            LifeSpan::FilterChain | LifeSpan::DownstreamRequest => &raw mut (*request).filter_state,
            LifeSpan::DownstreamConnection => of_connection((*(*request).r).connection),
        }
    }
}

/// The streams of an HTTP/2 connection have its pool. Those of HTTP/3 have pools of their own.
///
/// # Safety
/// `connection` is live.
unsafe fn of_connection(connection: *mut ngx_connection_t) -> *mut FilterState {
    // SAFETY: a live connection has a pool.
    unsafe {
        let pool = (*connection).pool;
        pool::find::<OfConnection>(pool, |_| true)
            .or_else(|| pool::own(pool, OfConnection(FilterState::default())))
            .map_or(std::ptr::null_mut(), |found| &raw mut (*found).0)
    }
}
