//! The event of the way in: a filter lets the request go on, nothing did for too long, or something has happened that nginx could
//! not be told at once.

use super::pause::{self, CannotWait};
use super::request_body::{end_connection, end_upstream, stop_reading};
use super::{reread, rewrite};
use crate::config::loc_conf::LocConf;
use crate::http::flow::Direction;
use crate::http::flow::drive::{self, Stop};
use crate::http::request::{Progress, Request, Response};
use crate::nginx::after::After;
use crate::nginx::rc;

/// Does what is due.
pub(super) fn on_event(request: &Request, is_timeout: bool) -> After<'_> {
    if is_timeout {
        return time_out(request);
    }
    match request.progress.get() {
        // The rewrite handler looks at what was decided.
        Progress::Waiting => After::RunPhases(request.r()),
        Progress::Reading => go_on(request),
        Progress::Passed if request.streams_body() => go_on(request),
        Progress::Passed | Progress::New => After::Nothing,
    }
}

fn time_out(request: &Request) -> After<'_> {
    let r = request.r();
    let waits = match request.progress.get() {
        Progress::Waiting | Progress::Reading => true,
        Progress::Passed => request.streams_body() && request.inbound.is_held(),
        Progress::New => false,
    };
    if !waits {
        return After::Nothing;
    }
    pause::log_timeout(request, Direction::Request);
    if request.progress.get() == Progress::Reading {
        request.stopped.set(Some(Stop::Failed));
        stop_reading(request);
    }
    request.progress.set(Progress::Passed);
    if request.stop_streaming() {
        end_connection(r);
        end_upstream(r);
    }
    After::Finalize(r, if request.has_reached(Response::Started) { rc::ERROR } else { rc::GATEWAY_TIME_OUT })
}

/// Goes on with a body that waits.
fn go_on(request: &Request) -> After<'_> {
    let r = request.r();
    let loc = LocConf::of(r);
    let mut stop = request.stopped.take().or_else(|| request.decided());
    let was_resumed = request.inbound.is_resumed();
    if stop.is_none() && was_resumed {
        request.inbound.output.borrow_mut().reclaim();
        stop = drive::resume(request, loc, Direction::Request).err();
    }
    if let Some(stop) = stop {
        return give_up(request, stop);
    }
    if request.inbound.waits_for_filter() {
        return match park(request, loc) {
            Ok(()) => After::Nothing,
            Err(CannotWait) => After::Finalize(r, rc::INTERNAL_SERVER_ERROR),
        };
    }
    // What a filter has let go may have gone on with a piece that came before this: nobody waits then, and nginx is to be told so.
    let parked = request.parked.take();
    if !was_resumed && parked.is_none() {
        return After::Nothing;
    }
    pause::end(request, Direction::Request);
    let is_reread = request.reread.borrow().is_some();
    if is_reread {
        if !request.inbound.ended.get() {
            return After::Nothing;
        }
        if let Err(stop) = reread::end(request) {
            return After::Finalize(r, rewrite::finish(request, stop));
        }
        r.block_reading();
        r.run_phases_when_called();
        return After::RunPhases(r);
    }
    if parked.is_some() {
        r.set_read_event_handler(parked);
    }
    // Nginx takes what has passed the filters, and goes on with what comes next.
    After::CallReader(r)
}

/// A filter has stopped the request while its body waited.
fn give_up(request: &Request, stop: Stop) -> After<'_> {
    let r = request.r();
    // Whatever nginx still reads of the body is thrown away.
    request.stopped.set(Some(Stop::Failed));
    stop_reading(request);
    if request.stop_streaming() {
        pause::end(request, Direction::Request);
        end_connection(r);
        end_upstream(r);
    }
    let code = match stop {
        _ if request.has_reached(Response::Started) => rc::ERROR,
        stop => rewrite::finish(request, stop),
    };
    After::Finalize(r, code)
}

/// All of the body has come, and waits for a filter: the client has nothing to send, so its clock stops.
fn park(request: &Request, loc: &LocConf) -> Result<(), CannotWait> {
    let r = request.r();
    r.connection().stop_read_timer();
    if request.streams_body() {
        return pause::begin(request, loc, Direction::Request);
    }
    if request.parked.get().is_none() {
        request.parked.set(r.read_event_handler());
    }
    rewrite::wait(request, loc)
}
