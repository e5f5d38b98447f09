//! Paused requests and responses: they wait without holding up the worker, notice when the client leaves, go on when a
//! filter says so in another callback, and do not wait for ever.
//!
//! Each direction has one event: a timer while it waits, posted when there is something to do.

use crate::config::loc_conf::LocConf;
use crate::config::rules::Without;
use crate::http::flow::{Direction, Hold};
use crate::http::report;
use crate::http::request::{Progress, Request};
use crate::nginx::cycle;
use crate::nginx::event::Deed;
use crate::nginx::request::HttpRequest;

/// The request could not be made to wait.
pub(super) struct CannotWait;

/// Lets a direction wait for a filter, for as long as the location allows.
pub(super) fn begin(request: &Request, loc: &LocConf, direction: Direction) -> Result<(), CannotWait> {
    request.event(direction, deed(direction)).ok_or(CannotWait)?.arm(loc.pause_timeout());
    request.count_wait(direction, holder(request, direction));
    Ok(())
}

/// Ends the wait.
pub(super) fn end(request: &Request, direction: Direction) {
    if let Some(event) = request.flow(direction).event.get() {
        event.disarm();
    }
    request.count_wait(direction, None);
}

/// Has the event's deed done when nginx is done with what it does now.
pub(super) fn post(request: &Request, direction: Direction) -> Result<(), CannotWait> {
    request.event(direction, deed(direction)).ok_or(CannotWait)?.post();
    Ok(())
}

/// Wakes a request up if a filter, in a callback about another one, has decided something for it.
pub fn wake(request: &Request) {
    let is_decided = request.is_decided();
    let waits = match request.progress.get() {
        Progress::Waiting | Progress::Reading => true,
        Progress::Passed => request.streams_body() && request.inbound.is_held(),
        Progress::New => false,
    };
    // What cannot be posted has no event, and so does not wait.
    if request.inbound.is_resumed() || (is_decided && waits) {
        let _ = post(request, Direction::Request);
    }
    if request.outbound.is_resumed() || (is_decided && !waits && request.outbound.is_held()) {
        let _ = post(request, Direction::Response);
    }
}

/// The instance of a filter has gone: a request that it holds fails, or goes on without it. Answers whether it holds it.
pub fn release_waiting(request: &Request, filter: usize, without: Without) -> bool {
    let Some(run) = request.run_of(filter) else { return false };
    let holds = [Direction::Request, Direction::Response]
        .into_iter()
        .any(|direction| request.flow(direction).hold_of(run) != Hold::Open);
    if holds {
        report::keep_error(request, request.filter_name(filter), "gone");
        match without {
            Without::Closed => request.refused.set(true),
            Without::Open => request.skip(run),
        }
        wake(request);
    }
    holds
}

/// The filter that a direction waits for, by its place in the configuration. `None`: it waits for none.
fn holder(request: &Request, direction: Direction) -> Option<usize> {
    let run = request.flow(direction).holder()?;
    Some(request.run(run).map_or(usize::MAX, |run| run.filter))
}

/// Says in the log that nothing made the direction go on.
pub(super) fn log_timeout(request: &Request, direction: Direction) {
    let r = request.r();
    let filter = request.filter_name(holder(request, direction).unwrap_or(usize::MAX));
    request.count_wait(direction, None);
    report::keep_error(request, filter, "pause timeout");
    let name = String::from_utf8_lossy(filter);
    let waited = LocConf::of(r).pause_timeout();
    let what = match direction {
        Direction::Request => "request",
        Direction::Response => "response",
    };
    r.log().error(format!(
        "wasm filter \"{name}\" paused the {what}, and nothing resumed it within {waited} ms (wasm_pause_timeout)"
    ));
}

/// Whether the request, which ends, does so because the worker has waited for it as long as it may. Nginx marks the client's
/// connection (src/core/ngx_cycle.c, ngx_shutdown_timer_handler); that of a stream of HTTP/2 has its mark removed, and an error
/// that did not come from the client.
pub(super) fn is_shut_out(r: HttpRequest<'_>) -> bool {
    if !cycle::is_exiting() {
        return false;
    }
    if let Some(c) = r.shared_connection() {
        return c.has_error() && !c.is_broken();
    }
    let c = r.connection();
    c.is_closing() && c.has_error()
}

/// Says in the log that nothing made a request go on as long as the worker could wait.
pub(super) fn log_shut_out(request: &Request) {
    for (direction, what) in [(Direction::Request, "request"), (Direction::Response, "response")] {
        let Some(filter) = holder(request, direction) else { continue };
        let name = String::from_utf8_lossy(request.filter_name(filter));
        request.r().log().error(format!(
            "wasm filter \"{name}\" paused the {what}, and nothing resumed it before the worker had to end \
             (worker_shutdown_timeout)"
        ));
    }
}

fn deed(direction: Direction) -> Deed<Request> {
    match direction {
        Direction::Request => super::request_event::on_event,
        Direction::Response => super::response_event::on_event,
    }
}
