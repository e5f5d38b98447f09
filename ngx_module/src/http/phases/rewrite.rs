//! Where a request meets its filters on the way in: on_request_headers of each filter, in order, and then the body, when a
//! filter looks at it. When a filter has changed the path, nginx matches the location again after that.
//!
//! That is in the rewrite phase. Nginx runs handlers of a phase from the last registered to the first, so this one comes
//! before the rewrite module: filters see a request before `return`, `rewrite` and `set` of their location do. With
//! `proxy_wasm_phase access` it is behind the access phase (`precontent.rs`).

use nginx_sys::{ngx_http_request_t, ngx_int_t};

use super::pause::{self, CannotWait};
use super::{decode, parts, realip, request_body, route};
use crate::config::chains;
use crate::config::conf::MainConf;
use crate::config::loc_conf::{LocConf, Phase};
use crate::http::chain;
use crate::http::flow::Direction;
use crate::http::flow::drive::{self, Stop};
use crate::http::local_response;
use crate::http::request::{Progress, Request};
use crate::nginx::callback::callback;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, phases, rc};

callback! {
    pub(super) fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => enter
}

fn enter(r: HttpRequest<'_>) -> ngx_int_t {
    let loc = LocConf::of(r);
    let request = Request::of(r);
    if let Some(request) = request {
        if request.is_redirected.take() {
            request_body::give_up_reading(request);
        }
        let code = request_body::read_before_leaving(request, loc);
        if code != rc::DECLINED {
            return code;
        }
    }
    if loc.chain.is_some() && loc.phase() == Phase::Access {
        // Filters of another location have nothing to do with what comes before those of this one.
        if let Some(request) = request
            && !request.is_rerouted.get()
            && request.chain.get() != loc.chain
        {
            request.enter_chain(None);
        }
        return rc::DECLINED;
    }
    if loc.chain.is_some() && loc.phase() == Phase::Unsaid {
        let code = realip::run_early(r);
        if code != rc::DECLINED {
            return code;
        }
    }
    run(r, Phase::Rewrite)
}

/// Runs the filters of a location. The result is what the handler of `phase` returns.
pub(super) fn run(r: HttpRequest<'_>, phase: Phase) -> ngx_int_t {
    let loc = LocConf::of(r);
    let request = Request::of(r);
    let is_rerouted = request.is_some_and(|request| request.is_rerouted.take());
    let main = MainConf::of_request(r);
    let Some((chain, filters)) = main.chain(loc) else {
        // Filters that sent the request here stay with it.
        if let Some(request) = request
            && !is_rerouted
        {
            request.enter_chain(None);
        }
        return rc::DECLINED;
    };
    let (request, is_new) = match request {
        Some(request) => (request, false),
        None if !r.is_main() && is_run_by_main(r, chain) => return rc::DECLINED,
        None => {
            chain::end_done_subrequests(r);
            let Some(made) = Request::create(r) else { return rc::INTERNAL_SERVER_ERROR };
            (made, true)
        }
    };
    // A location that inherits the chain of the one before goes on with the contexts that there are.
    if request.chain.get() != Some(chain) {
        if !r.is_main() && !request.has_filters() && headers::request::own(r).is_err() {
            return rc::INTERNAL_SERVER_ERROR;
        }
        let created = if is_new {
            // Nothing is to be left.
            request.chain.set(Some(chain));
            chain::create_contexts(request, loc, filters)
        } else if is_rerouted {
            let added = chains::added(main, request.chain.get(), filters);
            request.add_chain(chain);
            chain::create_contexts(request, loc, &added)
        } else {
            request.enter_chain(Some(chain));
            chain::create_contexts(request, loc, filters)
        };
        if created.is_err() {
            return finish(request, Stop::Failed);
        }
        parts::forget_range(request);
    }
    if matches!(request.progress.get(), Progress::New | Progress::Passed) {
        decode::ask(request, loc);
    }
    let code = match request.progress.get() {
        Progress::New | Progress::Waiting => proceed(request, loc, phase),
        // `request_body.rs` goes on.
        Progress::Reading => rc::DONE,
        Progress::Passed => rc::DECLINED,
    };
    if code == rc::DECLINED { go_on(request, phase) } else { code }
}

/// Whether the main request has gone through the filters that this subrequest would go through: the rule of internal
/// redirects.
fn is_run_by_main(r: HttpRequest<'_>, chain: usize) -> bool {
    Request::of(r.main()).is_some_and(|main| main.chain.get() == Some(chain) && main.inbound.headers_passed())
}

/// The filters are done with the request: nginx goes on with the location, or looks for another one.
pub(super) fn go_on(request: &Request, phase: Phase) -> ngx_int_t {
    if !route::is_wanted(request) {
        return rc::DECLINED;
    }
    request.is_rerouted.set(true);
    let r = request.r();
    if phase == Phase::Rewrite {
        phases::leave_rewrite_phase(r);
        return rc::DECLINED;
    }
    if phases::find_location_again(r).is_err() {
        r.log().error("wasm: rewrite or internal redirection cycle: a filter has changed the path too often");
        return rc::INTERNAL_SERVER_ERROR;
    }
    rc::DECLINED
}

/// Shows the headers to the filters that have not seen them, and has the body read.
fn proceed(request: &Request, loc: &LocConf, phase: Phase) -> ngx_int_t {
    let was_waiting = request.progress.get() == Progress::Waiting;
    if was_waiting {
        if let Some(stop) = request.decided() {
            return finish(request, stop);
        }
        if !request.inbound.is_resumed() {
            // Something else woke the request up.
            return rc::DONE;
        }
    }
    let result = if was_waiting {
        drive::resume(request, loc, Direction::Request)
    } else {
        drive::headers(request, loc, Direction::Request)
    };
    if let Err(stop) = result {
        return finish(request, stop);
    }
    if request.inbound.holds_headers() {
        request.progress.set(Progress::Waiting);
        return match wait(request, loc) {
            Ok(()) => rc::DONE,
            Err(CannotWait) => finish(request, Stop::Nginx(rc::INTERNAL_SERVER_ERROR)),
        };
    }
    if request.progress.get() == Progress::Waiting {
        pause::end(request, Direction::Request);
        request.r().block_reading();
    }
    request_body::read(request, loc, phase)
}

/// Lets a request wait whose body nobody reads. The read handler ends it when the client closes.
pub(super) fn wait(request: &Request, loc: &LocConf) -> Result<(), CannotWait> {
    let r = request.r();
    // nginx tells of the client to the request whose turn it is to send.
    if r.active() == r {
        r.watch_client();
        r.connection().watch().map_err(|_| CannotWait)?;
    }
    pause::begin(request, loc, Direction::Request)
}

/// Ends the way of a request, whose response has not begun, through its filters early. The result is what a phase handler
/// returns.
pub(super) fn finish(request: &Request, stop: Stop) -> ngx_int_t {
    pause::end(request, Direction::Request);
    request.progress.set(Progress::Passed);
    request.put_off_no_longer();
    match stop {
        Stop::Answered => {
            let response = request.local_response.take();
            match response {
                Some(response) => {
                    request.skip_unseen();
                    local_response::send(request, *response)
                }
                None => rc::INTERNAL_SERVER_ERROR,
            }
        }
        // A request whose filter cannot do its work is not served. Nginx makes the page, by `error_page` or its own.
        Stop::Failed => {
            request.failed.set(true);
            rc::SERVICE_UNAVAILABLE
        }
        // That would end the connection, and with it all that the main request does.
        Stop::Closed if request.is_subrequest() => rc::SERVICE_UNAVAILABLE,
        Stop::Closed => rc::CLOSE,
        Stop::TooLarge => {
            request_body::log_too_large(request);
            rc::REQUEST_ENTITY_TOO_LARGE
        }
        Stop::Nginx(code) => code,
    }
}
