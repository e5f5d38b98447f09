//! Log phase: on_done, on_log and on_delete of each filter, in order; those of chains that a redirect has left come first.

use nginx_sys::{ngx_http_request_t, ngx_int_t};

use super::pause;
use crate::http::chain;
use crate::http::request::Request;
use crate::nginx::guard::guard;
use crate::nginx::rc;
use crate::nginx::timer;

pub(super) unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a phase handler with a live request.
    guard(rc::OK, || unsafe {
        let request = Request::of(r);
        if request.is_null() {
            return rc::OK;
        }
        if pause::is_shut_out(r) {
            pause::log_shut_out(request);
            timer::leave();
        }
        // Subrequests end with the main request, if not before.
        for subrequest in std::mem::take(&mut (*request).subrequests) {
            if !(*subrequest).logging {
                chain::end_all(subrequest);
            }
        }
        chain::end_all(request);
        rc::OK
    })
}
