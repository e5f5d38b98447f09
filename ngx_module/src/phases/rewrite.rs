//! Rewrite phase: on_request_headers of each filter, in order, and then the body, when a filter looks at it. When a filter
//! has changed the path, nginx matches the location again after that.
//!
//! Nginx runs handlers of a phase from the last registered to the first, so this one comes before the rewrite module:
//! filters see a request before `return`, `rewrite` and `set` of their location do.

use nginx_sys::{
    ngx_handle_read_event, ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_request_t, ngx_http_test_reading,
    ngx_int_t, ngx_post_event, ngx_posted_events,
};

use super::pause::{self, CannotWait};
use super::request_body;
use crate::conf::{LocConf, NO_CHAIN};
use crate::flow::drive::{self, Stop};
use crate::flow::{Direction, Hold};
use crate::guard::guard;
use crate::request::{self, Progress, Request};
use crate::{local_response, rc};

pub(super) unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a phase handler with a live request.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe { run(r) })
}

unsafe fn run(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: see `handler`. Subrequests belong to the main request, whose filters have seen it.
    unsafe {
        if r != (*r).main {
            return rc::DECLINED;
        }
        let loc = LocConf::of(r);
        let mut request = Request::of(r);
        let is_rerouted = !request.is_null() && std::mem::take(&mut (*request).is_rerouted);
        let Some((chain, filters)) = loc.chain() else {
            // Filters that sent the request here stay with it.
            if !request.is_null() && !is_rerouted {
                (*request).enter_chain(NO_CHAIN);
            }
            return rc::DECLINED;
        };
        if request.is_null() {
            request = Request::create(r, loc);
            if request.is_null() {
                return rc::INTERNAL_SERVER_ERROR;
            }
        }
        // A location that inherits the chain of the one before goes on with the contexts that there are.
        if (*request).chain != chain {
            if is_rerouted {
                (*request).add_chain(chain);
            } else {
                (*request).enter_chain(chain);
            }
            if request::create_contexts(request, loc, filters).is_err() {
                return finish(request, Stop::Failed);
            }
        }
        let code = match (*request).progress {
            Progress::New | Progress::Waiting => proceed(request, loc),
            // `request_body.rs` goes on.
            Progress::Reading => rc::DONE,
            Progress::Passed => rc::DECLINED,
        };
        if code == rc::DECLINED { go_on(request) } else { code }
    }
}

/// The filters are done with the request: nginx goes on with the location, or looks for another one, as it does after
/// `rewrite ... last` (src/http/ngx_http_core_module.c, ngx_http_core_post_rewrite_phase).
unsafe fn go_on(request: *mut Request) -> ngx_int_t {
    // SAFETY: see `handler`. Each handler of a phase knows the number of the first one behind the phase.
    unsafe {
        let r = (*request).r;
        if std::mem::take(&mut (*request).reroute) {
            (*request).is_rerouted = true;
            (*r).set_uri_changed(1);
            let cmcf: *mut ngx_http_core_main_conf_t = (*(*r).main_conf.add(ngx_http_core_module.ctx_index)).cast();
            let handlers = (*cmcf).phase_engine.handlers;
            // nginx adds one to it. The other handlers of the phase, those of the location that is left, do not run.
            (*r).phase_handler = (*handlers.add((*r).phase_handler as usize)).next as ngx_int_t - 1;
        }
    }
    rc::DECLINED
}

/// Shows the headers to the filters that have not seen them, and has the body read.
unsafe fn proceed(request: *mut Request, loc: &LocConf) -> ngx_int_t {
    // SAFETY: see `handler`.
    unsafe {
        if (*request).progress == Progress::Waiting {
            if let Some(stop) = (*request).decided() {
                return finish(request, stop);
            }
            if !(*request).inbound.is_resumed() {
                // Something else woke the request up.
                return rc::DONE;
            }
        }
        let result = match (*request).progress {
            Progress::Waiting => drive::resume(request, loc, Direction::Request),
            _ => drive::headers(request, loc, Direction::Request),
        };
        if let Err(stop) = result {
            return finish(request, stop);
        }
        let inbound = &(*request).inbound;
        if inbound.stages.iter().any(|stage| stage.hold == Hold::Headers) {
            (*request).progress = Progress::Waiting;
            return match wait(request, loc) {
                Ok(()) => rc::DONE,
                Err(CannotWait) => finish(request, Stop::Nginx(rc::INTERNAL_SERVER_ERROR)),
            };
        }
        if (*request).progress == Progress::Waiting {
            pause::end(request, Direction::Request);
            (*(*request).r).read_event_handler = Some(nginx_sys::ngx_http_block_reading);
        }
        request_body::read(request, loc)
    }
}

/// Lets a request wait whose body nobody reads. The read handler ends it when the client closes
/// (src/http/ngx_http_request.c, ngx_http_test_reading).
pub(super) unsafe fn wait(request: *mut Request, loc: &LocConf) -> Result<(), CannotWait> {
    // SAFETY: see `handler`.
    unsafe {
        let r = (*request).r;
        (*r).read_event_handler = Some(ngx_http_test_reading);
        let read = (*(*r).connection).read;
        if (*read).ready() != 0 {
            // What there is to read, or the end, has been reported already and will not be again.
            ngx_post_event(read, &raw mut ngx_posted_events);
        } else if ngx_handle_read_event(read, 0) != rc::OK {
            return Err(CannotWait);
        }
        pause::begin(request, loc, Direction::Request)
    }
}

/// Ends the way of a request through its filters early. The result is what a phase handler returns.
///
/// # Safety
/// `request` belongs to a live request whose response has not begun.
pub(super) unsafe fn finish(request: *mut Request, stop: Stop) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        pause::end(request, Direction::Request);
        (*request).progress = Progress::Passed;
        match stop {
            Stop::Answered => match (*request).local_response.take() {
                Some(response) => {
                    (*request).skip_unseen();
                    local_response::send(request, *response)
                }
                None => rc::INTERNAL_SERVER_ERROR,
            },
            // A request whose filter cannot do its work is not served. Nginx makes the page, by `error_page` or its own.
            Stop::Failed => {
                (*request).failed = true;
                rc::SERVICE_UNAVAILABLE
            }
            Stop::Closed => rc::CLOSE,
            Stop::TooLarge => {
                request_body::log_too_large(request);
                rc::REQUEST_ENTITY_TOO_LARGE
            }
            Stop::Nginx(code) => code,
        }
    }
}
