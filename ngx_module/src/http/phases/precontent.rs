//! Precontent phase, before all others of it: what comes behind the phases that may refuse a request. Here the body is read
//! that filters look at, and here filters run with `proxy_wasm_phase access`. (In the access phase itself, `satisfy any` would
//! pass a handler by.)

use nginx_sys::{ngx_http_request_t, ngx_int_t};

use super::{request_body, rewrite};
use crate::config::loc_conf::{LocConf, Phase};
use crate::http::request::{Progress, Request};
use crate::nginx::after::After;
use crate::nginx::callback::callback;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

callback! {
    pub(super) fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => enter
}

/// In this phase the values that say how sending went would have the request go on, or wait
/// (src/http/ngx_http_core_module.c, ngx_http_core_generic_phase): a request that a filter has answered ends here, as one does in the
/// rewrite phase.
fn enter(r: HttpRequest<'_>) -> (After<'_>, ngx_int_t) {
    match run(r) {
        code @ (rc::OK | rc::AGAIN) => (After::Finalize(r, code), rc::DONE),
        code => (After::Nothing, code),
    }
}

fn run(r: HttpRequest<'_>) -> ngx_int_t {
    let loc = LocConf::of(r);
    if loc.chain.is_some() && loc.phase() == Phase::Access {
        let code = rewrite::run(r, Phase::Access);
        if code != rc::DECLINED {
            return code;
        }
    }
    let Some(request) = Request::of(r) else { return rc::DECLINED };
    // A body that filters are shown here waits for them. Something else has woken the request up: the body does not go on
    // without them.
    if matches!(request.progress.get(), Progress::Waiting | Progress::Reading) {
        return rc::DONE;
    }
    let code = request_body::read_due(request, loc, true);
    if code == rc::DECLINED { rewrite::go_on(request, Phase::Access) } else { code }
}
