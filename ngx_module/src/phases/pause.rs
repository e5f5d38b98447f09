//! A paused request: it waits without holding up the worker, notices when its client leaves, and does not wait for ever.

use nginx_sys::{
    NGX_LOG_ERR, ngx_add_timer, ngx_event_t, ngx_http_finalize_request, ngx_http_run_posted_requests,
    ngx_http_test_reading,
};

use crate::conf::LocConf;
use crate::guard::guard;
use crate::request::{Progress, Request};
use crate::{log, rc};

/// Lets a request wait.
///
/// # Safety
/// `request` belongs to a live request in a phase handler, which returns NGX_DONE next.
pub(super) unsafe fn begin(request: *mut Request, loc: &LocConf) {
    // SAFETY: the event lives in the request's pool; `Request::drop` takes the timer out before that goes. The read handler
    // ends the request when the client closes (src/http/ngx_http_request.c, ngx_http_test_reading).
    unsafe {
        let r = (*request).r;
        (*r).read_event_handler = Some(ngx_http_test_reading);
        let timer = &raw mut (*request).pause_timer;
        (*timer).handler = Some(timed_out);
        (*timer).data = request.cast();
        (*timer).log = (*(*r).connection).log;
        ngx_add_timer(timer, loc.pause_timeout());
    }
}

unsafe extern "C" fn timed_out(timer: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an armed timer, whose request is live then.
    guard((), || unsafe {
        let request = (*timer).data.cast::<Request>();
        let r = (*request).r;
        let c = (*r).connection;
        if let Progress::Paused(n) = (*request).progress {
            let filter = (*request).run(n).map_or(usize::MAX, |run| run.filter);
            let name = String::from_utf8_lossy((*request).filter_name(filter));
            let waited = LocConf::of(r).pause_timeout();
            let line = format!(
                "wasm filter \"{name}\" paused the request, and nothing resumed it within {waited} ms \
                 (wasm_pause_timeout)"
            );
            log::write(NGX_LOG_ERR, (*c).log, line);
            (*request).progress = Progress::Passed;
            ngx_http_finalize_request(r, rc::GATEWAY_TIME_OUT);
            ngx_http_run_posted_requests(c);
        }
    });
}
