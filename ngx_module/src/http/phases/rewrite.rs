//! Where a request meets its filters on the way in: on_request_headers of each filter, in order, and then the body, when a
//! filter looks at it. When a filter has changed the path, nginx matches the location again after that.
//!
//! That is in the rewrite phase. Nginx runs handlers of a phase from the last registered to the first, so this one comes
//! before the rewrite module: filters see a request before `return`, `rewrite` and `set` of their location do. With
//! `proxy_wasm_phase access` it is behind the access phase (`precontent.rs`).

use nginx_sys::{
    NGX_LOG_ERR, ngx_handle_read_event, ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_core_srv_conf_t,
    ngx_http_request_t, ngx_http_test_reading, ngx_int_t, ngx_post_event, ngx_posted_events,
};

use super::pause::{self, CannotWait};
use super::{decode, parts, realip, request_body, route};
use crate::config::chains;
use crate::config::loc_conf::{LocConf, NO_CHAIN, Phase};
use crate::http::chain;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Direction, Hold};
use crate::http::local_response;
use crate::http::request::{Progress, Request};
use crate::nginx::guard::guard;
use crate::nginx::modules::{self, Known};
use crate::nginx::{headers, log, rc};

pub(super) unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a phase handler with a live request.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe {
        let loc = LocConf::of(r);
        let request = Request::of(r);
        if !request.is_null() && std::mem::take(&mut (*request).is_redirected) {
            request_body::give_up_reading(request);
        }
        let code = request_body::read_before_leaving(request, loc);
        if code != rc::DECLINED {
            return code;
        }
        if loc.chain().is_some() && loc.phase() == Phase::Access {
            // Filters of another location have nothing to do with what comes before those of this one.
            if !request.is_null() && !(*request).is_rerouted && (*request).chain != loc.chain {
                (*request).enter_chain(NO_CHAIN);
            }
            return rc::DECLINED;
        }
        if loc.chain().is_some() && loc.phase() == Phase::Unsaid {
            let code = realip::run_early(r);
            if code != rc::DECLINED {
                return code;
            }
        }
        run(r, Phase::Rewrite)
    })
}

/// Runs the filters of a location. The result is what the handler of `phase` returns.
///
/// # Safety
/// `r` is a live request in that phase, here and below.
pub(super) unsafe fn run(r: *mut ngx_http_request_t, phase: Phase) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
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
        if r != (*r).main && request.is_null() && is_run_by_main(r, chain) {
            return rc::DECLINED;
        }
        if request.is_null() {
            chain::end_done_subrequests(r);
            request = Request::create(r, loc);
            if request.is_null() {
                return rc::INTERNAL_SERVER_ERROR;
            }
        }
        // A location that inherits the chain of the one before goes on with the contexts that there are.
        if (*request).chain != chain {
            if r != (*r).main && (*request).runs.is_empty() && headers::request::own(r).is_err() {
                return rc::INTERNAL_SERVER_ERROR;
            }
            let created = if is_rerouted {
                let added = chains::added(loc.main(), (*request).chain, filters);
                (*request).add_chain(chain);
                chain::create_contexts(request, loc, &added)
            } else {
                (*request).enter_chain(chain);
                chain::create_contexts(request, loc, filters)
            };
            if created.is_err() {
                return finish(request, Stop::Failed);
            }
            parts::forget_range(request);
        }
        if matches!((*request).progress, Progress::New | Progress::Passed) {
            decode::ask(request, loc);
        }
        let code = match (*request).progress {
            Progress::New | Progress::Waiting => proceed(request, loc, phase),
            // `request_body.rs` goes on.
            Progress::Reading => rc::DONE,
            Progress::Passed => rc::DECLINED,
        };
        if code == rc::DECLINED { go_on(request, phase) } else { code }
    }
}

/// Whether the main request has gone through the filters that this subrequest would go through: the rule of internal
/// redirects.
unsafe fn is_run_by_main(r: *mut ngx_http_request_t, chain: usize) -> bool {
    // SAFETY: see `run`; the main request lives as long as its subrequests.
    unsafe {
        let main = Request::of((*r).main);
        !main.is_null() && (*main).chain == chain && (*main).inbound.headers_passed()
    }
}

/// The filters are done with the request: nginx goes on with the location, or looks for another one.
pub(super) unsafe fn go_on(request: *mut Request, phase: Phase) -> ngx_int_t {
    // SAFETY: see `run`.
    unsafe {
        if !route::is_wanted(request) {
            return rc::DECLINED;
        }
        (*request).is_rerouted = true;
        let r = (*request).r;
        let cmcf: *mut ngx_http_core_main_conf_t = (*(*r).main_conf.add(ngx_http_core_module.ctx_index)).cast();
        let engine = &(*cmcf).phase_engine;
        if phase == Phase::Rewrite {
            // As after `rewrite ... last` (src/http/ngx_http_core_module.c, ngx_http_core_post_rewrite_phase). Each handler of
            // a phase knows the number of the first one behind the phase; nginx adds one. The other handlers of the phase,
            // those of the location that is left, do not run.
            (*r).set_uri_changed(1);
            (*r).phase_handler = (*engine.handlers.add((*r).phase_handler as usize)).next as ngx_int_t - 1;
            return rc::DECLINED;
        }
        // What that function does; the search for the location comes right before the rewrite phase of locations
        // (src/http/ngx_http.c, ngx_http_init_phase_handlers).
        (*r).set_uri_changes((*r).uri_changes().saturating_sub(1));
        if (*r).uri_changes() == 0 {
            let line = "wasm: rewrite or internal redirection cycle: a filter has changed the path too often";
            log::write(NGX_LOG_ERR, (*(*r).connection).log, line);
            return rc::INTERNAL_SERVER_ERROR;
        }
        // Modules of the phases between keep there what they have found out for the location that is left: auth_request would
        // let the request into the next one by the answer for this one. The client's address stays what it is.
        modules::forget_all(r, &[Known::Realip]);
        let cscf: *mut ngx_http_core_srv_conf_t = (*(*r).srv_conf.add(ngx_http_core_module.ctx_index)).cast();
        (*r).loc_conf = (*(*cscf).ctx).loc_conf;
        (*r).phase_handler = engine.location_rewrite_index as ngx_int_t - 2;
        rc::DECLINED
    }
}

/// Shows the headers to the filters that have not seen them, and has the body read.
unsafe fn proceed(request: *mut Request, loc: &LocConf, phase: Phase) -> ngx_int_t {
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
            stop_watching((*request).r);
        }
        request_body::read(request, loc, phase)
    }
}

/// Lets a request wait whose body nobody reads. The read handler ends it when the client closes
/// (src/http/ngx_http_request.c, ngx_http_test_reading).
pub(super) unsafe fn wait(request: *mut Request, loc: &LocConf) -> Result<(), CannotWait> {
    // SAFETY: see `handler`.
    unsafe {
        let r = (*request).r;
        // nginx tells of the client to the request whose turn it is to send.
        if parts::active(r) == r {
            (*r).read_event_handler = Some(ngx_http_test_reading);
            let read = (*(*r).connection).read;
            if (*read).ready() != 0 {
                // What there is to read, or the end, has been reported already and will not be again.
                ngx_post_event(read, &raw mut ngx_posted_events);
            } else if ngx_handle_read_event(read, 0) != rc::OK {
                return Err(CannotWait);
            }
        }
        pause::begin(request, loc, Direction::Request)
    }
}

/// The wait is over.
pub(super) unsafe fn stop_watching(r: *mut ngx_http_request_t) {
    // SAFETY: see `handler`; subrequests begin with the second of these (src/http/ngx_http_core_module.c,
    // ngx_http_subrequest).
    unsafe {
        let is_main = r == (*r).main;
        let idle = nginx_sys::ngx_http_request_empty_handler;
        (*r).read_event_handler = Some(if is_main { nginx_sys::ngx_http_block_reading } else { idle });
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
        (*request).body_due = false;
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
            // That would end the connection, and with it all that the main request does.
            Stop::Closed if (*request).is_subrequest() => rc::SERVICE_UNAVAILABLE,
            Stop::Closed => rc::CLOSE,
            Stop::TooLarge => {
                request_body::log_too_large(request);
                rc::REQUEST_ENTITY_TOO_LARGE
            }
            Stop::Nginx(code) => code,
        }
    }
}
