//! `proxy_wasm_intercept_errors`: nginx's `error_page` in the place of what a filter answers.
//!
//! Before the response has begun that is one more status for nginx ([`in_phase`]). Afterwards a handler is at work, whose
//! response must come to nothing first: [`begin`] has it thrown away, and [`go_on`], in an event of its own, asks nginx for the
//! page. Filters of the location that has the page run as after any internal redirect.

use nginx_sys::{
    NGX_HTTP_CLIENT_CLOSED_REQUEST, NGX_HTTP_CLOSE, NGX_HTTP_REQUEST_TIME_OUT, NGX_HTTP_UNAUTHORIZED, ngx_int_t,
};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::hold::{self, BUFFERED};
use super::{body_filter, header_filter, pause, request_body};
use crate::config::loc_conf::LocConf;
use crate::http::flow::Direction;
use crate::http::request::{Request, Response};
use crate::http::{local_response, properties};
use crate::nginx::after::After;
use crate::nginx::modules::{self, OtherModule};
use crate::nginx::upstream::Upstream;
use crate::nginx::{headers, location, rc};

/// What has become of a filter's answer.
#[derive(Default)]
pub enum Intercepted {
    /// Nothing out of the ordinary.
    #[default]
    No,
    /// nginx will be asked for its page.
    Pending(Box<LocalResponse>),
    /// nginx has been asked.
    Gone,
}

impl Intercepted {
    /// Whether nginx is still to be asked.
    pub fn is_pending(&self) -> bool {
        matches!(self, Intercepted::Pending(_))
    }

    /// The request goes on with other filters. Answers whether an answer of those before was replaced.
    pub fn leave(&mut self) -> bool {
        !matches!(std::mem::take(self), Intercepted::No)
    }
}

/// Whether `error_page` holds for an answer. That of an error page itself is sent, as nginx has it for its own errors: the
/// conditions are those of src/http/ngx_http_special_response.c, ngx_http_special_response_handler.
fn is_wanted(request: &Request, response: &LocalResponse) -> bool {
    // Those with which nginx ends a connection without a page (src/http/ngx_http_request.c, ngx_http_finalize_request).
    const WITHOUT_PAGE: [u32; 3] = [NGX_HTTP_REQUEST_TIME_OUT, NGX_HTTP_CLOSE, NGX_HTTP_CLIENT_CLOSED_REQUEST];
    let r = request.r();
    let status = response.status;
    if status < rc::SPECIAL_RESPONSE as u32
        || WITHOUT_PAGE.contains(&status)
        || !LocConf::of(r).intercept_errors()
        || r.has_error_page()
        || r.uri_changes() == 0
        || r.is_post_action()
        || headers::request::is_grpc(r)
    {
        return false;
    }
    location::has_page_for(r, status)
}

/// Has nginx answer in a filter's place, if it is to; the response has not begun. The result is what a phase handler returns.
pub fn in_phase(request: &Request, response: &LocalResponse) -> Option<ngx_int_t> {
    if !is_wanted(request, response) {
        return None;
    }
    request.answered.set(true);
    request.intercepted.replace(Intercepted::Gone);
    keep(request, response);
    Some(response.status as ngx_int_t)
}

/// What remains of an answer: how to log in, as `proxy_intercept_errors` keeps it, and what the filter gave as its reason.
fn keep(request: &Request, response: &LocalResponse) {
    let r = request.r();
    properties::note_details(r, &response.details);
    if response.status != NGX_HTTP_UNAUTHORIZED {
        return;
    }
    for (name, value) in response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"www-authenticate")) {
        local_response::log_refused(r, headers::response::add(r, name, value));
    }
}

/// Begins to put nginx's page in the place of a response whose headers nginx has not sent, if it is to answer in the filter's
/// place. The request is in its header filter or body filter, or in an event of the module.
pub(super) fn begin(request: &Request, response: &LocalResponse) -> bool {
    // The connection is the main request's.
    let is_possible = !request.is_subrequest() && is_wanted(request, response);
    if !is_possible || pause::post(request, Direction::Response).is_err() {
        return false;
    }
    let r = request.r();
    let c = r.connection();
    if request.is_head || headers::response::end_stream(r) {
        // The last header filter would have told that to the handler.
        r.set_header_only(true);
    }
    r.set_allow_ranges(false);
    request.answered.set(true);
    request.intercepted.replace(Intercepted::Pending(Box::new(response.clone())));
    request.discard_body.set(true);
    request.decoding.take();
    // The filters have seen what they are shown of this response.
    request.reach(Response::Gone);
    let outbound = &request.outbound;
    outbound.end_headers();
    outbound.ended.set(true);
    outbound.drop_held();
    body_filter::drop_input(request);
    pause::end(request, Direction::Response);
    hold::delay(request, false);
    // No other part of the old response is asked for.
    modules::forget(r, OtherModule::Slice);
    // Keeps the request when its handler ends.
    c.set_buffered(c.buffered() | BUFFERED);
    true
}

/// Asks nginx for its page, when it is done with what it did when the filter answered: in the event of the module for the
/// response.
///
/// A handler has ended when nginx only waits for what is to be sent, and an upstream can be ended; another one might go on with
/// what is not there any more after a redirect.
pub(super) fn go_on(request: &Request) -> After<'_> {
    let r = request.r();
    let c = r.connection();
    let Intercepted::Pending(response) = request.intercepted.replace(Intercepted::Gone) else {
        return After::Nothing;
    };
    c.set_buffered(c.buffered() & !BUFFERED);
    let has_upstream = r.upstream().is_some_and(Upstream::is_at_work);
    let has_ended = r.is_writing();
    let is_alone = r.active() == r && !r.has_postponed() && !r.is_blocked();
    if !is_alone || !(has_ended || has_upstream) {
        return answer(request, *response);
    }
    if has_upstream {
        request_body::end_upstream(r);
    }
    r.go_back_to_handler();
    request.discard_body.set(false);
    r.clean_header();
    r.set_header_only(false);
    r.set_expect_trailers(false);
    keep(request, &response);
    After::Finalize(r, response.status as ngx_int_t)
}

/// Sends the filter's own answer, since the handler cannot be stopped.
fn answer(request: &Request, response: LocalResponse) -> After<'_> {
    let r = request.r();
    let code = match local_response::replace(request, response) {
        Ok(body) => {
            header_filter::keep_framing(request);
            local_response::send_replaced(request, body)
        }
        Err(_) => rc::ERROR,
    };
    if code != rc::ERROR {
        return After::CallWriter(r);
    }
    request_body::end_upstream(r);
    After::Finalize(r, rc::ERROR)
}
