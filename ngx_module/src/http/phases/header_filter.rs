//! Header filter: on_response_headers of each filter, by default in reverse order of the chain.
//!
//! Headers go on to nginx's filters when all filters have let them through. Where a filter looks at the body and nginx knows
//! its length, they wait for the first piece of the body that leaves the filters: it may have another length then.

use nginx_sys::{
    NGX_LOG_ERR, ngx_chain_t, ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_top_header_filter,
    ngx_int_t,
};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::decode::{self, Begun};
use super::{body_filter, hold, intercept, parts, upgrade};
use crate::config::loc_conf::LocConf;
use crate::http::flow::Direction;
use crate::http::flow::drive::{self, Stop};
use crate::http::local_response::{self, NoMemory};
use crate::http::properties;
use crate::http::request::Request;
use crate::nginx::guard::guard;
use crate::nginx::{headers, log, rc};

static mut NEXT: ngx_http_output_header_filter_pt = None;

/// Puts this filter before those that are there.
///
/// # Safety
/// Nginx reads its configuration.
pub(super) unsafe fn install() {
    // SAFETY: one thread reads the configuration; each reload starts with nginx's own filters again.
    unsafe {
        NEXT = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(filter);
    }
}

/// Hands a response to the filters behind this one.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn next(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: `install` has run, since there are requests.
    unsafe {
        let known = parts::known(r);
        let code = NEXT.map_or(rc::ERROR, |next| next(r));
        parts::note_behind(r, &known);
        code
    }
}

unsafe extern "C" fn filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls filters with a live request.
    guard(rc::ERROR, || unsafe {
        let request = Request::of(r);
        if request.is_null() {
            return next(r);
        }
        // A handler that does not look at what this returned before may try again.
        if (*request).is_dead {
            return rc::ERROR;
        }
        (*request).response_started = true;
        if !(*request).has_filters() || std::mem::replace(&mut (*request).response_shown, true) {
            keep_framing(request);
            return next(r);
        }
        // A filter has answered while the handler was at work.
        let mut body = None;
        if let Some(response) = (*request).local_response.take() {
            if (*request).answered {
                log_ignored(request);
            } else if intercept::begin(request, &response) {
                return rc::OK;
            } else {
                match local_response::replace(request, *response) {
                    Ok(chain) => body = Some(chain),
                    Err(NoMemory) => return rc::ERROR,
                }
            }
        }
        let was_upgrade = upgrade::is_wanted(r);
        let code = run(request, body).unwrap_or(rc::ERROR);
        // Not all handlers look at what this returns: nothing of the body goes out without the headers.
        if code == rc::ERROR {
            (*request).end_with_connection();
        }
        if !(*request).response_gone {
            // Filters of nginx that make subrequests, for which the body of the request is kept, see the headers later than the
            // upstream's module expects (src/http/ngx_http_upstream.c, ngx_http_upstream_send_response).
            (*r).set_preserve_body(1);
        }
        if was_upgrade && (*request).discard_body {
            upgrade::give_up(r);
            // All of the response is there, and nothing of what the upstream sends belongs to it: this value ends the
            // upstream, and is no error (src/http/ngx_http_upstream.c, ngx_http_upstream_send_response).
            return if code == rc::ERROR { code } else { rc::HTTP_OK };
        }
        code
    })
}

/// Runs the filters. `replaced` is the body of an answer that is in the place of the handler's already.
unsafe fn run(request: *mut Request, replaced: Option<*mut ngx_chain_t>) -> Result<ngx_int_t, NoMemory> {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let loc = LocConf::of(r);
        let mut replaced = replaced;
        (*request).outbound.known_length = (*r).headers_out.content_length_n;
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
                Stop::Closed if !(*request).is_subrequest() => return Ok(rc::ERROR),
                Stop::Answered if !(*request).answered => {
                    if let Some(response) = (*request).local_response.take() {
                        if intercept::begin(request, &response) {
                            return Ok(rc::OK);
                        }
                        // As in Envoy, the filters behind this one do not see the answer.
                        let body = local_response::replace(request, *response)?;
                        (*request).outbound.headers = (*request).outbound.stages.len();
                        (*request).response_gone = true;
                        keep_framing(request);
                        return Ok(local_response::send_replaced(request, body));
                    }
                }
                Stop::Answered => {
                    (*request).local_response = None;
                    log_ignored(request);
                }
                // No response leaves that a filter did not look at. The other filters see the one in its place.
                Stop::Failed | Stop::TooLarge | Stop::Closed | Stop::Nginx(_) => {
                    (*request).outbound.headers += 1;
                    if (*r).headers_out.status != rc::SERVICE_UNAVAILABLE as usize {
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
        if let Some(body) = replaced {
            // What a filter holds back of such an answer goes nevertheless: the answer says that something failed.
            (*request).outbound.headers = (*request).outbound.stages.len();
            (*request).response_gone = true;
            keep_framing(request);
            return Ok(local_response::send_replaced(request, body));
        }
        if (*request).outbound.known_length == 0 && (*r).headers_out.content_length_n < 0 && !(*request).is_head {
            // A filter has removed the length of a body that will not come: nothing would end it.
            headers::response::set_length(r, Some(0));
        }
        // What follows a 101 passes no filter, and its end is that of the connection.
        let is_upgrade = upgrade::is_wanted(r) && upgrade::is_announced(r);
        (*request).no_response_body = is_upgrade || headers::response::end_stream(r);
        let outbound = &(*request).outbound;
        if outbound.wants_body() {
            // Parts of a body that filters change are not parts of the file. Who asks with HEAD is told the same.
            (*r).set_allow_ranges(0);
            if !(*request).no_response_body {
                // Filters look at the bytes.
                (*r).set_filter_need_in_memory(1);
            }
        }
        if outbound.headers_passed() {
            return Ok(match passed(request) {
                Ok(()) => rc::OK,
                Err(Stop::Nginx(code)) => code,
                Err(_) => rc::ERROR,
            });
        }
        // nginx's filters before this one have seen the headers, those behind have not: no ranges.
        (*r).set_allow_ranges(0);
        if (*request).is_head || ((*request).no_response_body && !is_upgrade && (*r).headers_out.content_length_n != 0)
        {
            // The last header filter tells that to handlers, which go on now, before it runs.
            (*r).set_header_only(1);
        }
        Ok(hold::hold(request, loc))
    }
}

/// All filters have let the headers through: sends them, unless the body may change their length.
///
/// # Safety
/// `request` belongs to a live request whose response has begun.
pub unsafe fn passed(request: *mut Request) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let length = (*r).headers_out.content_length_n;
        let is_known = length >= 0;
        if is_known && length != (*request).outbound.known_length && !(*request).no_response_body {
            (*request).outbound.told_length = u64::try_from(length).ok();
            // A part has another length.
            (*r).set_allow_ranges(0);
        }
        // Whether a body can be decoded shows at its beginning, and filters can answer in its place as long.
        let waits = is_known || (*request).decoding.is_some();
        if waits && !(*request).no_response_body && (*request).outbound.wants_body() {
            return Ok(());
        }
        send(request)
    }
}

/// Hands the headers on.
///
/// # Safety
/// As [`passed`].
pub(super) unsafe fn send(request: *mut Request) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        if std::mem::replace(&mut (*request).response_gone, true) {
            return Ok(());
        }
        keep_framing(request);
        if upgrade::is_wanted(r) && !upgrade::is_announced(r) {
            return send_without_tunnel(request);
        }
        if !(*request).no_response_body && headers::response::announces_trailers(r) {
            (*r).set_expect_trailers(1);
        }
        let code = next(r);
        if code == rc::ERROR || code > rc::OK {
            return Err(Stop::Nginx(code));
        }
        if (*request).is_head && (*r).header_only() != 0 && (*r).header_sent() == 0 {
            return send_no_body(request);
        }
        Ok(())
    }
}

/// A filter of nginx waits for a body before it sends the headers, and the handler has ended without one, since it was told so while
/// the headers were held.
unsafe fn send_no_body(request: *mut Request) -> Result<(), Stop> {
    // SAFETY: see `send`.
    unsafe {
        let r = (*request).r;
        // Such a filter fails when the headers have gone, so that nothing follows them: they must go at once.
        hold::delay(request, false);
        let Some(end) = local_response::body_chain(r, b"") else { return Err(Stop::Nginx(rc::ERROR)) };
        match body_filter::hand_on(r, r, end) {
            rc::ERROR => Err(Stop::Nginx(rc::ERROR)),
            _ => Ok(()),
        }
    }
}

/// Sends the headers of an upgrade whose status a filter has changed: without a tunnel there is no body.
unsafe fn send_without_tunnel(request: *mut Request) -> Result<(), Stop> {
    // SAFETY: see `send`.
    unsafe {
        let r = (*request).r;
        upgrade::give_up(r);
        (*request).discard_body = true;
        headers::response::set_length(r, Some(0));
        let Some(end) = local_response::body_chain(r, b"") else { return Err(Stop::Nginx(rc::ERROR)) };
        let code = local_response::send_replaced(request, end);
        if code == rc::ERROR || code > rc::OK { Err(Stop::Nginx(code)) } else { Ok(()) }
    }
}

unsafe fn log_ignored(request: *mut Request) {
    // SAFETY: see `filter`.
    unsafe {
        let line = "wasm: a local response after the response has begun is ignored";
        log::write(NGX_LOG_ERR, (*(*(*request).r).connection).log, line);
    }
}

/// Whether a body follows depends on the method with which the client asked, not on what a filter made of it.
pub(super) unsafe fn keep_framing(request: *mut Request) {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let is_head = (*r).method == nginx_sys::NGX_HTTP_HEAD as usize;
        if (*request).is_head {
            // The last header filter ends the response by it. Nobody is told before: filters of nginx that send the headers when
            // they have seen a body (`image_filter`, `xslt_stylesheet`) would wait for one.
            (*r).method = nginx_sys::NGX_HTTP_HEAD as usize;
        } else if is_head {
            // Nginx will send no body, so none may be announced.
            headers::response::no_body(r);
        }
    }
}
