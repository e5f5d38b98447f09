//! Paused requests and responses: they wait without holding up the worker, notice when the client leaves, go on when a
//! filter says so in another callback, and do not wait for ever.
//!
//! Each direction has one event: a timer while it waits, posted when there is something to do.

use nginx_sys::{
    NGX_LOG_ERR, ngx_add_timer, ngx_del_timer, ngx_event_t, ngx_exiting, ngx_http_request_t, ngx_post_event,
    ngx_posted_events,
};

use crate::config::loc_conf::LocConf;
use crate::config::rules::Without;
use crate::http::flow::{Direction, Hold};
use crate::http::report;
use crate::http::request::{Progress, Request, event};
use crate::nginx::log;

/// The request could not be made to wait.
pub(super) struct CannotWait;

/// Lets a direction wait for a filter, for as long as the location allows.
///
/// # Safety
/// `request` belongs to a live request, here and below.
pub(super) unsafe fn begin(request: *mut Request, loc: &LocConf, direction: Direction) -> Result<(), CannotWait> {
    // SAFETY: see above.
    unsafe {
        let event = event(request, direction, handler(direction)).ok_or(CannotWait)?;
        if (*event).timer_set() == 0 {
            ngx_add_timer(event, loc.pause_timeout());
        }
    }
    Ok(())
}

/// Ends the wait.
pub(super) unsafe fn end(request: *mut Request, direction: Direction) {
    // SAFETY: see `begin`.
    unsafe {
        let event = (*(*request).flow(direction)).event;
        if !event.is_null() && (*event).timer_set() != 0 {
            ngx_del_timer(event);
        }
    }
}

/// Has the event's handler called when nginx is done with what it does now.
pub(super) unsafe fn post(request: *mut Request, direction: Direction) -> Result<(), CannotWait> {
    // SAFETY: see `begin`.
    unsafe {
        let event = event(request, direction, handler(direction)).ok_or(CannotWait)?;
        if (*event).posted() == 0 {
            ngx_post_event(event, &raw mut ngx_posted_events);
        }
    }
    Ok(())
}

/// Wakes a request up if a filter, in a callback about another one, has decided something for it.
pub unsafe fn wake(request: *mut Request) {
    // SAFETY: see `begin`. What cannot be posted has no event, and so does not wait.
    unsafe {
        let is_decided = (*request).is_decided();
        let waits = match (*request).progress {
            Progress::Waiting | Progress::Reading => true,
            Progress::Passed => (*request).streams_body && (*request).inbound.is_held(),
            Progress::New => false,
        };
        if (*request).inbound.is_resumed() || (is_decided && waits) {
            let _ = post(request, Direction::Request);
        }
        if (*request).outbound.is_resumed() || (is_decided && !waits && (*request).outbound.is_held()) {
            let _ = post(request, Direction::Response);
        }
    }
}

/// The instance of a filter has gone: a request that it holds fails, or goes on without it. Answers whether it holds it.
///
/// # Safety
/// As [`begin`].
pub unsafe fn release_waiting(request: *mut Request, filter: usize, without: Without) -> bool {
    // SAFETY: see `begin`.
    unsafe {
        let Some(run) = (*request).run_of(filter) else { return false };
        let holds = [Direction::Request, Direction::Response].into_iter().any(|direction| {
            let flow = &*(*request).flow(direction);
            flow.stage_of(run).is_some_and(|n| flow.stages[n].hold != Hold::Open)
        });
        if holds {
            report::note(request, (*request).filter_name(filter), "gone");
            match without {
                Without::Closed => (*request).refused = true,
                Without::Open => (*request).skip(run),
            }
            wake(request);
        }
        holds
    }
}

/// Says in the log that nothing made the direction go on.
pub(super) unsafe fn log_timeout(request: *mut Request, direction: Direction) {
    // SAFETY: see `begin`.
    unsafe {
        let r = (*request).r;
        let holder = (*(*request).flow(direction)).holder();
        let filter = holder.and_then(|run| (*request).run(run)).map_or(usize::MAX, |run| run.filter);
        report::note(request, (*request).filter_name(filter), "pause timeout");
        let name = String::from_utf8_lossy((*request).filter_name(filter));
        let waited = LocConf::of(r).pause_timeout();
        let what = match direction {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        let line = format!(
            "wasm filter \"{name}\" paused the {what}, and nothing resumed it within {waited} ms (wasm_pause_timeout)"
        );
        log::write(NGX_LOG_ERR, (*(*r).connection).log, line);
    }
}

/// Whether the request ends because the worker has waited for it as long as it may.
///
/// # Safety
/// `r` is a request that ends.
pub(super) unsafe fn is_shut_out(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above. Nginx marks the client's connection (src/core/ngx_cycle.c, ngx_shutdown_timer_handler); that of a
    // stream of HTTP/2 has its mark removed, and an error that did not come from the client.
    unsafe {
        if ngx_exiting == 0 {
            return false;
        }
        #[cfg(ngx_feature = "http_v2")]
        if !(*r).stream.is_null() {
            let c = (*(*(*r).stream).connection).connection;
            let read = (*c).read;
            return (*c).error() != 0 && (*c).timedout() == 0 && (*read).eof() == 0 && (*read).error() == 0;
        }
        let c = (*r).connection;
        (*c).close() != 0 && (*c).error() != 0
    }
}

/// Says in the log that nothing made a request go on as long as the worker could wait.
pub(super) unsafe fn log_shut_out(request: *mut Request) {
    // SAFETY: see `begin`.
    unsafe {
        for (direction, what) in [(Direction::Request, "request"), (Direction::Response, "response")] {
            let Some(run) = (*(*request).flow(direction)).holder() else { continue };
            let filter = (*request).run(run).map_or(usize::MAX, |run| run.filter);
            let name = String::from_utf8_lossy((*request).filter_name(filter));
            let line = format!(
                "wasm filter \"{name}\" paused the {what}, and nothing resumed it before the worker had to end \
                 (worker_shutdown_timeout)"
            );
            log::write(NGX_LOG_ERR, (*(*(*request).r).connection).log, line);
        }
    }
}

fn handler(direction: Direction) -> Option<unsafe extern "C" fn(*mut ngx_event_t)> {
    match direction {
        Direction::Request => Some(super::request_body::on_event),
        Direction::Response => Some(super::body_filter::on_event),
    }
}
