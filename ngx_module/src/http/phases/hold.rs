//! What nginx, and who made a subrequest, are told while a filter holds a response or a part of it waits here: marks on the
//! request and its connection. `body_filter.rs` is the caller, and what ends a hold.

use nginx_sys::ngx_int_t;

use super::{parts, pause, writable};
use crate::config::loc_conf::LocConf;
use crate::http::flow::Direction;
use crate::http::request::{Request, Response};
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

/// Bit of a connection's `buffered` that says to nginx that there is more to send; nobody else uses it
/// (src/core/ngx_connection.h, src/http/ngx_http_request.h).
pub(super) const BUFFERED: u32 = 0x40;
/// The same in `buffered` of a request, of which nginx uses the lower three bits.
pub(super) const WAITS: u32 = 0x08;

/// Tells nginx whether there is more to come from here, and lets the response wait if a filter holds it. The result is
/// what the filter returns.
pub(super) fn hold(request: &Request, loc: &LocConf) -> ngx_int_t {
    let r = request.r();
    let outbound = &request.outbound;
    // Without anything to wait for, nginx would end a request whose upstream broke off before the headers have gone: clients
    // ask again when a connection ends without an answer.
    let more = outbound.is_held() || !request.input.borrow().is_empty() || awaits_body(request);
    let waits = outbound.waits_for_filter();
    if request.is_subrequest() {
        set_waits(r, more);
        tell_later(request, more);
    } else {
        // `slice` asks for no other part while the first of these marks is there, and Lua's flush waits for the second one to
        // go: a filter that waits for more of the body needs both to go on.
        let has_own_input = request.input.borrow().iter().any(|waiting| waiting.from.get() == r);
        let only_more = more && !waits && !has_own_input;
        let needs_part = only_more && parts::are_to_come(r);
        let c = r.connection();
        let buffered = c.buffered() & !BUFFERED;
        c.set_buffered(if needs_part { buffered | BUFFERED } else { buffered });
        set_waits(r, more && !needs_part);
    }
    if waits {
        if pause::begin(request, loc, Direction::Response).is_err() {
            return rc::ERROR;
        }
    } else {
        writable::watch(request);
        pause::end(request, Direction::Response);
    }
    delay(request, waits);
    let is_buffered = r.connection().buffered() != 0 || r.buffered() & WAITS != 0;
    if is_buffered { rc::AGAIN } else { rc::OK }
}

/// Keeps nginx from telling whoever made a subrequest that it has its response, as long as there is more to come from here:
/// nginx does so when the handler ends, and Lua goes on at once with what there is.
///
/// nginx and Lua look at whom to tell when a request is finalized (src/http/ngx_http_request.c, ngx_http_finalize_request), which
/// it is again when nothing waits here any more.
fn tell_later(request: &Request, more: bool) {
    let r = request.r();
    if more && !r.is_background() {
        if let Some(post) = r.take_post_subrequest() {
            request.told_later.set(Some(post));
        }
    } else if let Some(post) = request.told_later.take() {
        r.set_post_subrequest(post);
    }
}

/// Keeps nginx from writing to the client, and from timing it out, while a filter holds a response: a delayed connection is one that
/// nginx does not write to (src/http/ngx_http_request.c, ngx_http_writer), and whose client it does not time out. A request and its
/// subrequests share the connection: the last one that waits lets it go.
pub(super) fn delay(request: &Request, waits: bool) {
    let r = request.r();
    // Nothing of it goes to the client.
    if r.is_background() {
        return;
    }
    let Some(main) = Request::of(r.main()) else { return };
    let c = r.connection();
    if waits {
        if !request.is_delayed.replace(true) {
            main.delays.set(main.delays.get() + 1);
        }
        // A delay of nginx's own (`limit_rate`) has a timer, which ends it, and ours with it
        // (src/http/ngx_http_request.c, ngx_http_request_handler).
        if !c.is_delayed() {
            c.stop_write_timer();
            c.set_delayed(true);
        }
    } else if request.is_delayed.take() {
        main.delays.set(main.delays.get().saturating_sub(1));
        if main.delays.get() == 0 {
            c.set_delayed(false);
            // nginx's writer of the request whose turn it is has gone away from a connection that was held back, and nobody
            // else has it go on: a page, one part of which has ended while another one waited.
            let active = r.active();
            if active != r && active.is_writing() {
                active.post();
            }
        }
    }
}

/// Tells nginx that a request has sent something that has not left this module: it is not done, and `slice` begins no other
/// part.
///
/// What a request in the background sends goes nowhere, and the connection's events and clocks are not its own: waiting, it would
/// have nginx time the client out, and would not be asked to go on while the main request is delayed
/// (src/http/ngx_http_request.c, ngx_http_set_write_handler, ngx_http_writer).
pub(super) fn set_waits(r: HttpRequest<'_>, waits: bool) {
    let waits = waits && !r.is_background();
    let others = r.buffered() & !WAITS;
    r.set_buffered(if waits { others | WAITS } else { others });
}

/// Whether headers that all filters have let through wait for the first piece of the body (`header_filter.rs`).
pub(super) fn awaits_body(request: &Request) -> bool {
    let outbound = &request.outbound;
    let is_open = outbound.headers_passed() && !outbound.is_held() && !outbound.ended.get();
    is_open && !request.has_reached(Response::Gone) && !request.discard_body.get()
}
