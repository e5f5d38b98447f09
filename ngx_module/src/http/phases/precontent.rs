//! Precontent phase, before all others of it: what comes behind the phases that may refuse a request. Here the body is read
//! that filters look at, and here filters run with `proxy_wasm_phase access`. (In the access phase itself, `satisfy any` would
//! pass a handler by.)

use nginx_sys::{ngx_http_finalize_request, ngx_http_request_t, ngx_int_t};

use super::{request_body, rewrite};
use crate::config::loc_conf::{LocConf, Phase};
use crate::http::request::{Progress, Request};
use crate::nginx::guard::guard;
use crate::nginx::rc;

pub(super) unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a phase handler with a live request. In this phase the values that say how sending went would have
    // the request go on, or wait (src/http/ngx_http_core_module.c, ngx_http_core_generic_phase): a request that a filter has
    // answered ends here, as one does in the rewrite phase.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe {
        let code = run(r);
        if code == rc::OK || code == rc::AGAIN {
            ngx_http_finalize_request(r, code);
            return rc::DONE;
        }
        code
    })
}

unsafe fn run(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: see `handler`.
    unsafe {
        let loc = LocConf::of(r);
        if loc.chain().is_some() && loc.phase() == Phase::Access {
            let code = rewrite::run(r, Phase::Access);
            if code != rc::DECLINED {
                return code;
            }
        }
        let request = Request::of(r);
        if request.is_null() {
            return rc::DECLINED;
        }
        // A body that filters are shown here waits for them. Something else has woken the request up: the body does not go on
        // without them.
        if matches!((*request).progress, Progress::Waiting | Progress::Reading) {
            return rc::DONE;
        }
        let code = request_body::read_due(request, loc, true);
        if code == rc::DECLINED { rewrite::go_on(request, Phase::Access) } else { code }
    }
}
