//! Connections that change their protocol: the upstream answers 101, and nginx moves bytes between the two sockets from then
//! on, past all filters (src/http/ngx_http_upstream.c, ngx_http_upstream_upgrade). So it must not begin before the filters
//! have let the 101 through, and not at all when another response goes out in its place. `header_filter.rs` and
//! `body_filter.rs` ask.

use nginx_sys::{
    ngx_http_event_handler_pt, ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t,
    ngx_http_test_reading, ngx_http_upstream_handler_pt, ngx_http_upstream_t, ngx_int_t, ngx_post_event,
    ngx_posted_events,
};

use super::{body_filter, request_body};
use crate::http::request::Request;
use crate::nginx::rc;

/// A tunnel that waits for its filters: what nginx would call when a socket has something, or takes something.
pub struct Tunnel {
    read: ngx_http_event_handler_pt,
    write: ngx_http_event_handler_pt,
    upstream_read: ngx_http_upstream_handler_pt,
    upstream_write: ngx_http_upstream_handler_pt,
}

/// Whether nginx is going to make a tunnel of the connection.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn is_wanted(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above.
    unsafe { !(*r).upstream.is_null() && (*(*r).upstream).upgrade() != 0 }
}

/// Whether the response says that there is a tunnel.
pub(super) unsafe fn is_announced(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above.
    unsafe { (*r).headers_out.status == nginx_sys::NGX_HTTP_SWITCHING_PROTOCOLS as usize }
}

/// There is to be no tunnel.
pub(super) unsafe fn give_up(r: *mut ngx_http_request_t) {
    // SAFETY: see above. nginx looks at this when the headers are out (src/http/ngx_http_upstream.c,
    // ngx_http_upstream_send_response).
    unsafe { (*(*r).upstream).set_upgrade(0) };
}

/// A filter holds the 101, and nginx has just made the tunnel: nothing goes through it until [`go_on`].
///
/// # Safety
/// `request` belongs to a live request, in the body filter.
pub(super) unsafe fn suspend(request: *mut Request) {
    // SAFETY: see above. nginx calls the body filter between setting these and moving bytes for the first time; a socket that
    // is not ready is not written to, and one that nobody reads stays as it is.
    unsafe {
        let r = (*request).r;
        let upstream = (*r).upstream;
        if (*request).tunnel.is_some() || !is_wanted(r) {
            return;
        }
        (*request).tunnel = Some(Tunnel {
            read: (*r).read_event_handler,
            write: (*r).write_event_handler,
            upstream_read: (*upstream).read_event_handler,
            upstream_write: (*upstream).write_event_handler,
        });
        // It ends the request when the client leaves.
        (*r).read_event_handler = Some(ngx_http_test_reading);
        (*r).write_event_handler = Some(ngx_http_request_empty_handler);
        (*upstream).read_event_handler = Some(idle);
        (*upstream).write_event_handler = Some(idle);
        (*(*(*r).connection).write).set_ready(0);
        let peer = (*upstream).peer.connection;
        if !peer.is_null() {
            (*(*peer).write).set_ready(0);
        }
    }
}

/// Something has happened to the upstream's connection, which is looked at when the tunnel begins.
unsafe extern "C" fn idle(_: *mut ngx_http_request_t, upstream: *mut ngx_http_upstream_t) {
    // SAFETY: nginx calls this with a live upstream, whose clocks do not count now.
    unsafe { forget_time_outs(upstream) };
}

unsafe fn forget_time_outs(upstream: *mut ngx_http_upstream_t) {
    // SAFETY: see the callers.
    unsafe {
        let peer = (*upstream).peer.connection;
        if !peer.is_null() {
            (*(*peer).read).set_timedout(0);
            (*(*peer).write).set_timedout(0);
        }
    }
}

/// The sockets may be written to again, before a held response goes on.
///
/// # Safety
/// As [`go_on`].
pub(super) unsafe fn wake(request: *mut Request) {
    // SAFETY: see `suspend`; writing finds out whether they take anything.
    unsafe {
        let r = (*request).r;
        let write = (*(*r).connection).write;
        if (*write).timer_set() != 0 {
            nginx_sys::ngx_del_timer(write);
        }
        (*write).set_timedout(0);
        (*write).set_ready(1);
        let peer = (*(*r).upstream).peer.connection;
        if !peer.is_null() {
            (*(*peer).write).set_ready(1);
        }
        forget_time_outs((*r).upstream);
    }
}

/// Whether the upstream of a suspended tunnel has gone: it has closed the connection, and had said nothing behind the 101. Its
/// response ends like any other then.
///
/// # Safety
/// As [`go_on`].
pub(super) unsafe fn is_given_up(request: *mut Request) -> bool {
    // SAFETY: see `suspend`. nginx ends the tunnel when the upstream has closed it (src/http/ngx_http_upstream.c,
    // ngx_http_upstream_process_upgraded), and the cleanup is there as long as the upstream (ngx_http_upstream_finalize_request).
    unsafe {
        let upstream = (*(*request).r).upstream;
        upstream.is_null() || (*upstream).cleanup.is_null()
    }
}

/// A filter has decided about a 101 that it held. `code` is what became of the response. The request may be gone after this.
///
/// # Safety
/// `request` belongs to a live request, whose tunnel is suspended, in an event of this module.
pub(super) unsafe fn go_on(request: *mut Request, code: ngx_int_t) {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let is_over = code == rc::ERROR || (*request).discard_body;
        if !is_over && !(*request).response_gone {
            return;
        }
        let Some(tunnel) = (*request).tunnel.take() else { return };
        let is_sent = is_over || body_filter::hand_on(r, r, std::ptr::null_mut()) != rc::ERROR;
        if is_over || !is_sent || !(*r).out.is_null() || !is_announced(r) {
            (*r).set_keepalive(0);
            request_body::end_upstream(r);
            let is_whole = is_over && code != rc::ERROR || is_sent && !is_announced(r);
            ngx_http_finalize_request(r, if is_whole { rc::OK } else { rc::ERROR });
            return;
        }
        let (c, upstream) = ((*r).connection, (*r).upstream);
        (*r).read_event_handler = tunnel.read;
        (*r).write_event_handler = tunnel.write;
        (*upstream).read_event_handler = tunnel.upstream_read;
        (*upstream).write_event_handler = tunnel.upstream_write;
        // Each moves what there is in one direction; what ends the tunnel takes them out of the queue.
        for event in [(*c).write, (*c).read] {
            if (*event).posted() == 0 {
                ngx_post_event(event, &raw mut ngx_posted_events);
            }
        }
    }
}
