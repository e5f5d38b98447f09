//! Connections that change their protocol: the upstream answers 101, and nginx moves bytes between the two sockets from then
//! on, past all filters (src/http/ngx_http_upstream.c, ngx_http_upstream_upgrade). So it must not begin before the filters
//! have let the 101 through, and not at all when another response goes out in its place. `header_filter.rs` and
//! `body_filter.rs` ask.

use nginx_sys::{NGX_HTTP_SWITCHING_PROTOCOLS, ngx_int_t, ngx_uint_t};

use super::{body_filter, request_body};
use crate::http::flow::Chain;
use crate::http::request::{Request, Response};
use crate::nginx::after::After;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;
use crate::nginx::upstream::{SetAside, Upstream};

/// A tunnel that waits for its filters.
pub struct Tunnel(SetAside);

/// Whether nginx is going to make a tunnel of the connection.
pub fn is_wanted(r: HttpRequest<'_>) -> bool {
    r.upstream().is_some_and(Upstream::is_upgrade)
}

/// Whether the response says that there is a tunnel.
pub(super) fn is_announced(r: HttpRequest<'_>) -> bool {
    r.status() == NGX_HTTP_SWITCHING_PROTOCOLS as ngx_uint_t
}

/// There is to be no tunnel. nginx looks at this when the headers are out (src/http/ngx_http_upstream.c,
/// ngx_http_upstream_send_response).
pub(super) fn give_up(r: HttpRequest<'_>) {
    if let Some(upstream) = r.upstream() {
        upstream.set_upgrade(false);
    }
}

/// A filter holds the 101, and nginx has just made the tunnel: nothing goes through it until [`go_on`]. nginx calls the body filter
/// between making it and moving bytes for the first time.
pub(super) fn suspend(request: &Request) {
    let r = request.r();
    if request.tunnel.borrow().is_some() || !is_wanted(r) {
        return;
    }
    request.tunnel.replace(SetAside::new(r).map(Tunnel));
}

/// The sockets may be written to again, before a held response goes on: writing finds out whether they take anything.
pub(super) fn wake(request: &Request) {
    let r = request.r();
    let c = r.connection();
    c.stop_write_timer();
    c.forget_write_time_out();
    c.set_write_ready(true);
    if let Some(upstream) = r.upstream() {
        upstream.set_write_ready(true);
        upstream.forget_time_outs();
    }
}

/// Whether the upstream of a suspended tunnel has gone: it has closed the connection, and had said nothing behind the 101. Its
/// response ends like any other then. nginx ends the tunnel when the upstream has closed it (src/http/ngx_http_upstream.c,
/// ngx_http_upstream_process_upgraded).
pub(super) fn is_given_up(request: &Request) -> bool {
    !request.r().upstream().is_some_and(Upstream::is_at_work)
}

/// A filter has decided about a 101 that it held, in an event of this module; the tunnel is suspended. `code` is what became of the
/// response.
pub(super) fn go_on(request: &Request, code: ngx_int_t) -> After<'_> {
    let r = request.r();
    let is_over = code == rc::ERROR || request.discard_body.get();
    if !is_over && !request.has_reached(Response::Gone) {
        return After::Nothing;
    }
    let Some(Tunnel(tunnel)) = request.tunnel.take() else { return After::Nothing };
    let is_sent = is_over || body_filter::hand_on(r, r, Chain::EMPTY) != rc::ERROR;
    if is_over || !is_sent || r.has_unsent() || !is_announced(r) {
        r.set_keepalive(false);
        request_body::end_upstream(r);
        let is_whole = is_over && code != rc::ERROR || is_sent && !is_announced(r);
        return After::Finalize(r, if is_whole { rc::OK } else { rc::ERROR });
    }
    tunnel.put_back(r);
    After::Nothing
}
