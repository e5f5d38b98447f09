//! Log phase: on_done, on_log and on_delete of each filter, in order; those of chains that a redirect has left come first.

use nginx_sys::{ngx_http_request_t, ngx_int_t};

use super::pause;
use crate::http::chain;
use crate::http::request::Request;
use crate::nginx::callback::callback;
use crate::nginx::request::HttpRequest;
use crate::nginx::{rc, timer};

callback! {
    pub(super) fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t, otherwise rc::OK => end
}

fn end(r: HttpRequest<'_>) -> ngx_int_t {
    let Some(request) = Request::of(r) else { return rc::OK };
    if pause::is_shut_out(r) {
        pause::log_shut_out(request);
        timer::leave();
    }
    // Subrequests end with the main request, if not before.
    for subrequest in request.subrequests.take() {
        if !subrequest.logging.get() {
            chain::end_all(&subrequest);
        }
    }
    chain::end_all(request);
    rc::OK
}
