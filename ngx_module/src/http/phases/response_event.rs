//! The event of the way out: a filter lets the response go on, or nothing did for too long; and what becomes of a response that
//! does not go on.

use nginx_sys::ngx_int_t;
use ngx_wasm::proxy_wasm::LocalResponse;

use super::body_filter::{drop_input, go_on};
use super::hold::{WAITS, awaits_body, hold};
use super::{header_filter, intercept, parts, pause, request_body, upgrade};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::flow::Direction;
use crate::http::flow::drive::{self, Stop};
use crate::http::local_response;
use crate::http::request::{Request, Response};
use crate::nginx::after::After;
use crate::nginx::rc;

/// Does what is due.
pub(super) fn on_event(request: &Request, is_timeout: bool) -> After<'_> {
    let r = request.r();
    // In the background, a request has ended when its handler has.
    if r.is_done() {
        return After::Nothing;
    }
    let is_intercepted = request.intercepted.borrow().is_pending();
    if is_intercepted {
        return intercept::go_on(request);
    }
    // Without any news, the event is that of `watch_producer`. Calling whoever makes the response would have it send again
    // what it sends when it may go on.
    let is_news = is_timeout || request.outbound.is_resumed() || request.is_decided();
    let goes_on = (request.outbound.is_held() && is_news) || is_abandoned(request);
    if !goes_on {
        return After::Nothing;
    }
    let mut has_tunnel = request.tunnel.borrow().is_some();
    if has_tunnel {
        upgrade::wake(request);
        if upgrade::is_given_up(request) {
            request.tunnel.take();
            has_tunnel = false;
        }
    }
    let code = if is_timeout { time_out(request) } else { resume(request) };
    if has_tunnel {
        return upgrade::go_on(request, code);
    }
    if code == rc::ERROR {
        request_body::end_upstream(r);
        // An error would end the main request, too.
        return After::Finalize(r, if r.is_background() { rc::OK } else { rc::ERROR });
    }
    if request.outbound.waits_for_filter() {
        return After::Nothing;
    }
    // Who makes the response, or waits for it to be sent, goes on.
    let producer = parts::sender(request);
    let is_left = r.connection().is_delayed()
        && r.is_writing()
        && producer == r
        && request.is_subrequest()
        && !request.outbound.is_held();
    if is_left {
        // nginx's writer would do that, but not as long as another filter holds the connection back, and nobody
        // asks again on behalf of a request whose turn it is not.
        return After::Finalize(r, rc::OK);
    }
    After::CallWriter(producer)
}

fn time_out(request: &Request) -> ngx_int_t {
    pause::log_timeout(request, Direction::Response);
    request.answer(plain(rc::GATEWAY_TIME_OUT));
    finish(request, Stop::Answered)
}

fn resume(request: &Request) -> ngx_int_t {
    let loc = LocConf::of(request.r());
    let stop = match request.decided() {
        Some(stop) => Some(stop),
        None => drive::resume(request, loc, Direction::Response).err(),
    };
    match stop {
        Some(stop) => finish(request, stop),
        None if is_abandoned(request) => {
            request.answer(plain(rc::BAD_GATEWAY));
            finish(request, Stop::Answered)
        }
        None => go_on(request, loc),
    }
}

/// Whether a filter, or the headers, wait for more of a body that its producer has given up: an upstream broke off. Nginx then
/// only waits for what it has to be sent (src/http/ngx_http_request.c, ngx_http_set_write_handler).
fn is_abandoned(request: &Request) -> bool {
    let (r, outbound) = (request.r(), &request.outbound);
    // The file of a response may be read by threads meanwhile.
    let is_read = !r.is_aio() && r.buffered() & !WAITS == 0;
    r.is_writing()
        && is_read
        && ((outbound.is_held() && !outbound.waits_for_filter()) || awaits_body(request))
        && request.input.borrow().is_empty()
        && !parts::are_to_come(r)
}

fn plain(status: ngx_int_t) -> LocalResponse {
    LocalResponse { status: status as u32, ..LocalResponse::default() }
}

/// Ends a response that does not go on. The result is what the filter returns.
pub(super) fn finish(request: &Request, stop: Stop) -> ngx_int_t {
    let r = request.r();
    request.outbound.drop_held();
    request.outbound.ended.set(true);
    drop_input(request);
    hold(request, LocConf::of(r));
    let response = match stop {
        Stop::Answered => request.local_response.take().map(|response| *response),
        Stop::Failed => Some(plain(rc::SERVICE_UNAVAILABLE)),
        Stop::TooLarge => {
            let body_limit::Limit { bytes, source } =
                body_limit::exceeded(request, LocConf::of(r), Direction::Response);
            r.log().error(format!(
                "a wasm filter holds a response body, or made one, of more than {bytes} bytes ({source})"
            ));
            Some(plain(rc::INTERNAL_SERVER_ERROR))
        }
        // An error would end the main request too, see `rewrite.rs`; or Lua would take the status of the response that the
        // filter did not let go for the answer.
        Stop::Closed | Stop::Nginx(_) if request.is_subrequest() && !request.has_reached(Response::Gone) => {
            Some(plain(rc::SERVICE_UNAVAILABLE))
        }
        Stop::Closed | Stop::Nginx(_) => None,
    };
    replace(request, response)
}

/// Sends another response in the place of one whose headers nginx does not have yet; otherwise the connection ends, since
/// its client has seen a part of the old one.
fn replace(request: &Request, response: Option<LocalResponse>) -> ngx_int_t {
    let Some(response) = response else {
        request.end_with_connection();
        return rc::ERROR;
    };
    if request.has_reached(Response::Gone) {
        request.end_with_connection();
        request.r().log().error("a wasm filter stopped a response that is on its way: the connection is closed");
        return rc::ERROR;
    }
    if intercept::begin(request, &response) {
        return rc::AGAIN;
    }
    let Ok(body) = local_response::replace(request, response) else { return rc::ERROR };
    request.outbound.end_headers();
    request.reach(Response::Gone);
    header_filter::keep_framing(request);
    local_response::send_replaced(request, body)
}
