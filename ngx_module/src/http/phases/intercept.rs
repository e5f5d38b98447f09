//! `proxy_wasm_intercept_errors`: nginx's `error_page` in the place of what a filter answers.
//!
//! Before the response has begun that is one more status for nginx ([`in_phase`]). Afterwards a handler is at work, whose
//! response must come to nothing first: [`begin`] has it thrown away, and [`go_on`], in an event of its own, asks nginx for the
//! page. Filters of the location that has the page run as after any internal redirect.

use nginx_sys::{
    ngx_http_clean_header, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_err_page_t,
    ngx_http_finalize_request, ngx_http_state_e_NGX_HTTP_PROCESS_REQUEST_STATE,
    ngx_http_state_e_NGX_HTTP_WRITING_REQUEST_STATE, ngx_int_t,
};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::body_filter;
use super::hold::{self, BUFFERED};
use super::{header_filter, pause, request_body};
use crate::config::loc_conf::LocConf;
use crate::http::flow::{Direction, Hold};
use crate::http::request::Request;
use crate::http::{local_response, properties};
use crate::nginx::modules::{self, Known};
use crate::nginx::{headers, rc};

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

/// Whether `error_page` holds for an answer. That of an error page itself is sent, as nginx has it for its own errors.
unsafe fn is_wanted(request: *mut Request, response: &LocalResponse) -> bool {
    // Those with which nginx ends a connection without a page (src/http/ngx_http_request.c, ngx_http_finalize_request).
    const WITHOUT_PAGE: [u32; 3] =
        [nginx_sys::NGX_HTTP_REQUEST_TIME_OUT, nginx_sys::NGX_HTTP_CLOSE, nginx_sys::NGX_HTTP_CLIENT_CLOSED_REQUEST];
    // SAFETY: the request is live, and nginx has a configuration of the core module for its location. The conditions are
    // those of src/http/ngx_http_special_response.c, ngx_http_special_response_handler.
    unsafe {
        let r = (*request).r;
        let status = response.status;
        if status < rc::SPECIAL_RESPONSE as u32
            || WITHOUT_PAGE.contains(&status)
            || !LocConf::of(r).intercept_errors()
            || (*r).error_page() != 0
            || (*r).uri_changes() == 0
            || (*r).post_action() != 0
            || headers::request::is_grpc(r)
        {
            return false;
        }
        let core: *mut ngx_http_core_loc_conf_t = (*(*r).loc_conf.add(ngx_http_core_module.ctx_index)).cast();
        let Some(pages) = (*core).error_pages.as_ref() else { return false };
        pages.as_slice::<ngx_http_err_page_t>().iter().any(|page| page.status == status as ngx_int_t)
    }
}

/// Has nginx answer in a filter's place, if it is to. The result is what a phase handler returns.
///
/// # Safety
/// `request` belongs to a live request whose response has not begun.
pub unsafe fn in_phase(request: *mut Request, response: &LocalResponse) -> Option<ngx_int_t> {
    // SAFETY: see above.
    unsafe {
        if !is_wanted(request, response) {
            return None;
        }
        (*request).answered = true;
        (*request).intercepted = Intercepted::Gone;
        keep(request, response);
        Some(response.status as ngx_int_t)
    }
}

/// What remains of an answer: how to log in, as `proxy_intercept_errors` keeps it, and what the filter gave as its reason.
unsafe fn keep(request: *mut Request, response: &LocalResponse) {
    // SAFETY: see the callers.
    unsafe {
        let r = (*request).r;
        properties::note_details(r, &response.details);
        if response.status != nginx_sys::NGX_HTTP_UNAUTHORIZED {
            return;
        }
        for (name, value) in response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"www-authenticate"))
        {
            local_response::complain(r, headers::response::add(r, name, value));
        }
    }
}

/// Begins to put nginx's page in the place of a response whose headers nginx has not sent, if it is to answer in the filter's
/// place.
///
/// # Safety
/// `request` belongs to a live request, which is in its header filter or body filter, or in an event of the module.
pub(super) unsafe fn begin(request: *mut Request, response: &LocalResponse) -> bool {
    // SAFETY: see above.
    unsafe {
        // The connection is the main request's.
        let is_possible = !(*request).is_subrequest() && is_wanted(request, response);
        if !is_possible || pause::post(request, Direction::Response).is_err() {
            return false;
        }
        let r = (*request).r;
        let c = (*r).connection;
        if (*request).is_head || headers::response::end_stream(r) {
            // The last header filter would have told that to the handler.
            (*r).set_header_only(1);
        }
        (*r).set_allow_ranges(0);
        (*request).answered = true;
        (*request).intercepted = Intercepted::Pending(Box::new(response.clone()));
        (*request).discard_body = true;
        (*request).decoding = None;
        // The filters have seen what they are shown of this response.
        (*request).response_shown = true;
        (*request).response_gone = true;
        let outbound = &mut (*request).outbound;
        outbound.headers = outbound.stages.len();
        outbound.ended = true;
        for stage in &mut outbound.stages {
            stage.hold = Hold::Open;
            stage.held = Vec::new();
        }
        body_filter::drop_input(request);
        pause::end(request, Direction::Response);
        hold::delay(request, false);
        // No other part of the old response is asked for.
        modules::forget(r, Known::Slice);
        // Keeps the request when its handler ends.
        (*c).set_buffered((*c).buffered() | BUFFERED);
        true
    }
}

/// Asks nginx for its page, when it is done with what it did when the filter answered.
///
/// # Safety
/// `request` belongs to a live request, in the event of the module for its response.
pub(super) unsafe fn go_on(request: *mut Request) {
    // SAFETY: see above. A handler has ended when nginx only waits for what is to be sent, and an upstream can be ended;
    // another one might go on with what is not there any more after a redirect.
    unsafe {
        let r = (*request).r;
        let c = (*r).connection;
        let Intercepted::Pending(response) = std::mem::replace(&mut (*request).intercepted, Intercepted::Gone) else {
            return;
        };
        (*c).set_buffered((*c).buffered() & !BUFFERED);
        let has_upstream = !(*r).upstream.is_null() && !(*(*r).upstream).cleanup.is_null();
        let has_ended = (*r).http_state() == ngx_http_state_e_NGX_HTTP_WRITING_REQUEST_STATE;
        let is_alone = (*c).data == r.cast() && (*r).postponed.is_null() && (*r).blocked() == 0;
        if !is_alone || !(has_ended || has_upstream) {
            return answer(request, *response);
        }
        if has_upstream {
            request_body::end_upstream(r);
        }
        (*r).set_http_state(ngx_http_state_e_NGX_HTTP_PROCESS_REQUEST_STATE);
        (*request).discard_body = false;
        ngx_http_clean_header(r);
        (*r).set_header_only(0);
        (*r).set_expect_trailers(0);
        keep(request, &response);
        ngx_http_finalize_request(r, response.status as ngx_int_t);
    }
}

/// Sends the filter's own answer, since the handler cannot be stopped.
unsafe fn answer(request: *mut Request, response: LocalResponse) {
    // SAFETY: see `go_on`.
    unsafe {
        let r = (*request).r;
        let code = match local_response::replace(request, response) {
            Ok(body) => {
                header_filter::keep_framing(request);
                local_response::send_replaced(request, body)
            }
            Err(_) => rc::ERROR,
        };
        if code == rc::ERROR {
            request_body::end_upstream(r);
            ngx_http_finalize_request(r, rc::ERROR);
        } else if let Some(handler) = (*r).write_event_handler {
            handler(r);
        }
    }
}
