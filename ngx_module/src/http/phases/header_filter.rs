//! Header filter: on_response_headers of each filter, by default in reverse order of the chain.
//!
//! Headers go on to nginx's filters when all filters have let them through. Where a filter looks at the body and nginx knows
//! its length, they wait for the first piece of the body that leaves the filters: it may have another length then.

use nginx_sys::{NGX_HTTP_HEAD, ngx_http_request_t, ngx_int_t};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::decode::{self, Begun};
use super::{body_filter, hold, intercept, parts, upgrade};
use crate::config::loc_conf::LocConf;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chain, Direction};
use crate::http::local_response::{self, NoMemory};
use crate::http::properties;
use crate::http::request::{Request, Response};
use crate::nginx::callback::callback;
use crate::nginx::filters::next_header;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, rc};

callback! {
    pub(super) fn filter(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t, otherwise rc::ERROR => enter
}

/// Hands a response to the filters behind this one.
pub fn next(r: HttpRequest<'_>) -> ngx_int_t {
    if !parts::may_have_any(r) {
        return next_header(r);
    }
    let known = parts::known(r);
    let code = next_header(r);
    parts::note_behind(r, &known);
    code
}

fn enter(r: HttpRequest<'_>) -> ngx_int_t {
    let Some(request) = Request::of(r) else { return next(r) };
    // A handler that does not look at what this returned before may try again.
    if request.is_dead.get() {
        return rc::ERROR;
    }
    request.reach(Response::Started);
    if !request.has_filters() || request.reach(Response::Shown) {
        keep_framing(request);
        return next(r);
    }
    let replaced = match answer_in_its_place(request) {
        Ok(replaced) => replaced,
        Err(code) => return code,
    };
    let was_upgrade = upgrade::is_wanted(r);
    let code = run(request, replaced).unwrap_or(rc::ERROR);
    // Not all handlers look at what this returns: nothing of the body goes out without the headers.
    if code == rc::ERROR {
        request.end_with_connection();
    }
    if !request.has_reached(Response::Gone) {
        // Filters of nginx that make subrequests, for which the body of the request is kept, see the headers later than the
        // upstream's module expects (src/http/ngx_http_upstream.c, ngx_http_upstream_send_response).
        r.set_preserve_body(true);
    }
    if was_upgrade && request.discard_body.get() {
        upgrade::give_up(r);
        // All of the response is there, and nothing of what the upstream sends belongs to it: this value ends the
        // upstream, and is no error (src/http/ngx_http_upstream.c, ngx_http_upstream_send_response).
        return if code == rc::ERROR { code } else { rc::HTTP_OK };
    }
    code
}

/// A filter has answered while the handler was at work: the body of that answer, whose headers are in the place of the handler's
/// then. The error is what the header filter returns.
fn answer_in_its_place(request: &Request) -> Result<Option<Chain>, ngx_int_t> {
    let Some(response) = request.local_response.take() else { return Ok(None) };
    if request.answered.get() {
        log_ignored(request);
        return Ok(None);
    }
    if intercept::begin(request, &response) {
        return Err(rc::OK);
    }
    match local_response::replace(request, *response) {
        Ok(chain) => Ok(Some(chain)),
        Err(NoMemory) => Err(rc::ERROR),
    }
}

/// Runs the filters. `replaced` is the body of an answer that is in the place of the handler's already.
fn run(request: &Request, replaced: Option<Chain>) -> Result<ngx_int_t, NoMemory> {
    let r = request.r();
    let loc = LocConf::of(r);
    let mut replaced = replaced;
    request.outbound.known_length.set(u64::try_from(r.content_length()).ok());
    if replaced.is_none()
        && let Begun::Refused(response) = decode::begin(request, loc)
    {
        if intercept::begin(request, &response) {
            return Ok(rc::OK);
        }
        replaced = Some(local_response::replace(request, response)?);
    }
    while let Err(stop) = drive::headers(request, loc, Direction::Response) {
        match stop {
            // That would end the connection, and with it all that the main request does: see `rewrite.rs`.
            Stop::Closed if !request.is_subrequest() => return Ok(rc::ERROR),
            Stop::Answered if !request.answered.get() => {
                let response = request.local_response.take();
                if let Some(response) = response {
                    if intercept::begin(request, &response) {
                        return Ok(rc::OK);
                    }
                    // As in Envoy, the filters behind this one do not see the answer.
                    let body = local_response::replace(request, *response)?;
                    return Ok(send_answer(request, body));
                }
            }
            Stop::Answered => {
                request.local_response.take();
                log_ignored(request);
            }
            // No response leaves that a filter did not look at. The other filters see the one in its place.
            Stop::Failed | Stop::TooLarge | Stop::Closed | Stop::Nginx(_) => {
                request.outbound.pass_headers_by();
                if r.status() != rc::SERVICE_UNAVAILABLE as usize {
                    let unavailable = LocalResponse {
                        status: rc::SERVICE_UNAVAILABLE as u32,
                        details: properties::FAILED_STREAM.to_vec(),
                        ..LocalResponse::default()
                    };
                    if intercept::begin(request, &unavailable) {
                        return Ok(rc::OK);
                    }
                    replaced = Some(local_response::replace(request, unavailable)?);
                }
            }
        }
    }
    match replaced {
        // What a filter holds back of such an answer goes nevertheless: the answer says that something failed.
        Some(body) => Ok(send_answer(request, body)),
        None => Ok(go_on(request, loc)),
    }
}

/// Sends an answer whose headers are in the place of the handler's, past the filters that have not seen them.
fn send_answer(request: &Request, body: Chain) -> ngx_int_t {
    request.outbound.end_headers();
    request.reach(Response::Gone);
    keep_framing(request);
    local_response::send_replaced(request, body)
}

/// The filters have looked at the headers: sends them, or has them wait.
fn go_on(request: &Request, loc: &LocConf) -> ngx_int_t {
    let (r, outbound) = (request.r(), &request.outbound);
    if outbound.known_length.get() == Some(0) && r.content_length() < 0 && !request.is_head {
        // A filter has removed the length of a body that will not come: nothing would end it.
        headers::response::set_length(r, Some(0));
    }
    // What follows a 101 passes no filter, and its end is that of the connection.
    let is_upgrade = upgrade::is_wanted(r) && upgrade::is_announced(r);
    let has_no_body = is_upgrade || headers::response::end_stream(r);
    request.no_response_body.set(has_no_body);
    if outbound.wants_body() {
        // Parts of a body that filters change are not parts of the file. Who asks with HEAD is told the same.
        r.set_allow_ranges(false);
        if !has_no_body {
            // Filters look at the bytes.
            r.set_filter_need_in_memory(true);
        }
    }
    if outbound.headers_passed() {
        return match passed(request) {
            Ok(()) => rc::OK,
            Err(Stop::Nginx(code)) => code,
            Err(_) => rc::ERROR,
        };
    }
    // nginx's filters before this one have seen the headers, those behind have not: no ranges.
    r.set_allow_ranges(false);
    if request.is_head || (has_no_body && !is_upgrade && r.content_length() != 0) {
        // The last header filter tells that to handlers, which go on now, before it runs.
        r.set_header_only(true);
    }
    hold::hold(request, loc)
}

/// All filters have let the headers through: sends them, unless the body may change their length.
pub fn passed(request: &Request) -> Result<(), Stop> {
    let (r, outbound) = (request.r(), &request.outbound);
    let has_no_body = request.no_response_body.get();
    let length = u64::try_from(r.content_length()).ok();
    if length.is_some() && length != outbound.known_length.get() && !has_no_body {
        outbound.told_length.set(length);
        // A part has another length.
        r.set_allow_ranges(false);
    }
    // Whether a body can be decoded shows at its beginning, and filters can answer in its place as long.
    let waits = length.is_some() || request.is_decoding();
    if waits && !has_no_body && outbound.wants_body() {
        return Ok(());
    }
    send(request)
}

/// Hands the headers on.
pub(super) fn send(request: &Request) -> Result<(), Stop> {
    let r = request.r();
    if request.reach(Response::Gone) {
        return Ok(());
    }
    keep_framing(request);
    if upgrade::is_wanted(r) && !upgrade::is_announced(r) {
        return send_without_tunnel(request);
    }
    if !request.no_response_body.get() && headers::response::announces_trailers(r) {
        r.set_expect_trailers(true);
    }
    let code = next(r);
    if code == rc::ERROR || code > rc::OK {
        return Err(Stop::Nginx(code));
    }
    if request.is_head && r.is_header_only() && !r.is_header_sent() {
        return send_no_body(request);
    }
    Ok(())
}

/// A filter of nginx waits for a body before it sends the headers, and the handler has ended without one, since it was told so while
/// the headers were held.
fn send_no_body(request: &Request) -> Result<(), Stop> {
    let r = request.r();
    // Such a filter fails when the headers have gone, so that nothing follows them: they must go at once.
    hold::delay(request, false);
    let end = local_response::body_chain(r, b"").ok_or(Stop::Nginx(rc::ERROR))?;
    match body_filter::hand_on(r, r, end) {
        rc::ERROR => Err(Stop::Nginx(rc::ERROR)),
        _ => Ok(()),
    }
}

/// Sends the headers of an upgrade whose status a filter has changed: without a tunnel there is no body.
fn send_without_tunnel(request: &Request) -> Result<(), Stop> {
    let r = request.r();
    upgrade::give_up(r);
    request.discard_body.set(true);
    headers::response::set_length(r, Some(0));
    let end = local_response::body_chain(r, b"").ok_or(Stop::Nginx(rc::ERROR))?;
    let code = local_response::send_replaced(request, end);
    if code == rc::ERROR || code > rc::OK { Err(Stop::Nginx(code)) } else { Ok(()) }
}

fn log_ignored(request: &Request) {
    request.r().log().error("wasm: a local response after the response has begun is ignored");
}

/// Whether a body follows depends on the method with which the client asked, not on what a filter made of it.
pub(super) fn keep_framing(request: &Request) {
    let r = request.r();
    if request.is_head {
        // The last header filter ends the response by it. Nobody is told before: filters of nginx that send the headers when
        // they have seen a body (`image_filter`, `xslt_stylesheet`) would wait for one.
        r.set_method(NGX_HTTP_HEAD as usize);
    } else if r.is_head() {
        // Nginx will send no body, so none may be announced.
        headers::response::no_body(r);
    }
}
