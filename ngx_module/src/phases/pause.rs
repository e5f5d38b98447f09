//! A paused request: it waits without holding up the worker, notices when its client leaves, goes on when a filter says so
//! in another callback, and does not wait for ever.

use nginx_sys::{
    NGX_LOG_ERR, ngx_add_timer, ngx_del_timer, ngx_event_t, ngx_handle_read_event, ngx_http_core_run_phases,
    ngx_http_finalize_request, ngx_http_run_posted_requests, ngx_http_test_reading, ngx_pcalloc, ngx_post_event,
    ngx_posted_events,
};
use ngx_wasm::proxy_wasm::StreamType;

use crate::conf::LocConf;
use crate::guard::guard;
use crate::request::{Progress, Request};
use crate::{log, rc};

/// The request could not be made to wait.
pub(super) struct CannotWait;

/// Lets a request wait.
///
/// # Safety
/// `request` belongs to a live request in a phase handler, which returns NGX_DONE next.
pub(super) unsafe fn begin(request: *mut Request, loc: &LocConf) -> Result<(), CannotWait> {
    // SAFETY: the event lives in the request's pool; `Request::drop` takes it out of nginx's hands before that goes. The
    // read handler ends the request when the client closes (src/http/ngx_http_request.c, ngx_http_test_reading).
    unsafe {
        let r = (*request).r;
        let c = (*r).connection;
        if (*request).pause.is_null() {
            (*request).pause = ngx_pcalloc((*r).pool, size_of::<ngx_event_t>()).cast();
        }
        let event = (*request).pause;
        if event.is_null() {
            return Err(CannotWait);
        }
        (*r).read_event_handler = Some(ngx_http_test_reading);
        let read = (*c).read;
        if (*read).ready() != 0 {
            // What there is to read, or the end, has been reported already and will not be again.
            ngx_post_event(read, &raw mut ngx_posted_events);
        } else if ngx_handle_read_event(read, 0) != rc::OK {
            return Err(CannotWait);
        }
        (*event).handler = Some(on_event);
        (*event).data = request.cast();
        (*event).log = (*c).log;
        ngx_add_timer(event, loc.pause_timeout());
    }
    Ok(())
}

/// Wakes a request up if a filter, in a callback about another one, has decided something for it.
///
/// # Safety
/// `request` belongs to a live request.
pub unsafe fn wake(request: *mut Request) {
    // SAFETY: a paused request has its event.
    unsafe {
        let is_paused = matches!((*request).progress, Progress::Paused(_));
        let is_decided = (*request).resumed == Some(StreamType::Request)
            || (*request).local_response.is_some()
            || (*request).refused;
        if is_paused && is_decided {
            ngx_post_event((*request).pause, &raw mut ngx_posted_events);
        }
    }
}

unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an armed or posted event, whose request is live then.
    guard((), || unsafe {
        let request = (*event).data.cast::<Request>();
        let r = (*request).r;
        let c = (*r).connection;
        let Progress::Paused(n) = (*request).progress else { return };
        if (*event).timedout() == 0 {
            // The rewrite handler looks at what was decided.
            ngx_http_core_run_phases(r);
        } else {
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
        }
        ngx_http_run_posted_requests(c);
    });
}

/// Ends the wait.
///
/// # Safety
/// `request` belongs to a live request that is paused.
pub(super) unsafe fn end(request: *mut Request) {
    // SAFETY: see above.
    unsafe {
        if (*(*request).pause).timer_set() != 0 {
            ngx_del_timer((*request).pause);
        }
        (*(*request).r).read_event_handler = Some(nginx_sys::ngx_http_block_reading);
    }
}
