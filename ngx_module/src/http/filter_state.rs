//! The values that filters share, where they live in nginx: those of a request in its [`Request`], those of a connection in
//! the connection's pool. `host/` is the caller.

use std::cell::RefCell;

use ngx_wasm::proxy_wasm::{FilterState, LifeSpan};

use crate::http::request::Request;
use crate::nginx::connection::Connection;

/// What a connection's pool keeps.
#[derive(Default)]
struct OfConnection(RefCell<FilterState>);

/// Shows `look` the values that live for `span`; it does nothing but look at them, and change them. It is not called when there
/// is no memory for them.
pub fn find(request: &Request, span: LifeSpan, look: &mut dyn FnMut(&mut FilterState)) {
    match span {
        LifeSpan::FilterChain | LifeSpan::DownstreamRequest => look(&mut request.filter_state.borrow_mut()),
        LifeSpan::DownstreamConnection => of_connection(request.r().connection(), look),
    }
}

/// The streams of an HTTP/2 connection have its pool. Those of HTTP/3 have pools of their own.
fn of_connection(connection: Connection<'_>, look: &mut dyn FnMut(&mut FilterState)) {
    let pool = connection.pool();
    let found = pool.find::<OfConnection>(|_| true).or_else(|| pool.own(OfConnection::default()));
    if let Some(found) = found {
        look(&mut found.0.borrow_mut());
    }
}
