//! What the state machine of a direction asks of this module: callbacks of the request's filters, and the way out behind the last
//! of them.

use nginx_sys::ngx_int_t;
use ngx_wasm::flow::{Exit, Fault};
use ngx_wasm::proxy_wasm::{Action, CallError, Vm};

use super::{Chunk, Direction, Marks};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::chain::{self, Lost};
use crate::http::host::RequestHost;
use crate::http::phases;
use crate::http::report;
use crate::http::request::{Request, Run};
use crate::nginx::{headers, rc};

/// Why a direction does not go on.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// A filter answered the request itself; [`Request::local_response`] has the answer.
    Answered,
    /// A filter cannot do its work, or did what must not go on the wire.
    Failed,
    /// A filter closed the stream.
    Closed,
    /// More of the body would have to be held than the configuration allows.
    TooLarge,
    /// A filter of nginx answered this; the log has the reason.
    Nginx(ngx_int_t),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        match fault {
            Fault::TooLarge => Stop::TooLarge,
            // Nginx has logged why the file could not be read.
            Fault::Unreadable => Stop::Nginx(rc::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Shows headers to the stages that have not let them through, until one holds them. `loc` is the configuration of the request's
/// location, here and below.
pub fn headers(request: &Request, loc: &LocConf, direction: Direction) -> Result<(), Stop> {
    request.flow(direction).headers(&World { request, loc, direction })
}

/// Sends a piece of the body through the stages from number `first` on.
pub fn data(
    request: &Request,
    loc: &LocConf,
    direction: Direction,
    first: usize,
    chunk: Chunk,
    marks: Marks,
) -> Result<(), Stop> {
    request.flow(direction).data(&World { request, loc, direction }, first, chunk, marks)
}

/// Shows trailers, which end the stream, to the stages from number `first` on.
pub fn trailers(request: &Request, loc: &LocConf, direction: Direction, first: usize) -> Result<(), Stop> {
    request.flow(direction).trailers(&World { request, loc, direction }, first)
}

/// Goes on where filters have asked for it.
pub fn resume(request: &Request, loc: &LocConf, direction: Direction) -> Result<(), Stop> {
    request.flow(direction).resume(&World { request, loc, direction })
}

/// The filters of a request, and nginx behind them.
struct World<'a> {
    request: &'a Request,
    loc: &'a LocConf,
    direction: Direction,
}

impl World<'_> {
    /// Runs a callback, and looks at what it asked for beside its answer.
    fn call(
        &self,
        run: usize,
        callback: impl FnOnce(Run, &mut Vm, &mut RequestHost<'_>) -> Result<Action, CallError>,
    ) -> Result<Action, Stop> {
        let Some(run) = self.request.run(run) else { return Err(Stop::Failed) };
        let result = chain::call(self.request, self.loc, run, |vm, host| callback(run, vm, host));
        if let Some(stop) = self.request.decided() {
            return Err(stop);
        }
        match result {
            Ok(action) => Ok(action),
            Err(Lost::Open) => Ok(Action::Continue),
            // The VM that had the context has trapped meanwhile. When that made this very response, it goes out without the
            // filter.
            Err(Lost::Gone) if self.request.failed.get() => Ok(Action::Continue),
            Err(Lost::Gone | Lost::Closed) => Err(Stop::Failed),
        }
    }
}

impl Exit for World<'_> {
    type Piece = Chunk;
    type Stop = Stop;

    fn ends_with_headers(&self) -> bool {
        match self.direction {
            Direction::Request => headers::request::end_stream(self.request.r()),
            Direction::Response => headers::response::end_stream(self.request.r()),
        }
    }

    fn on_headers(&self, run: usize, end: bool) -> Result<Action, Stop> {
        let r = self.request.r();
        self.call(run, |run, vm, host| match self.direction {
            Direction::Request => vm.on_request_headers(run.context, headers::request::count(r), end, host),
            Direction::Response => vm.on_response_headers(run.context, headers::response::count(r), end, host),
        })
    }

    /// Such a filter is asked nothing, and yet is one of those whose failure the request is not to survive, and that may have answered
    /// when they were made.
    fn headers_go_by(&self, run: usize) -> Result<(), Stop> {
        if self.request.run(run).is_some_and(|run| chain::is_served(&run)) && !self.request.is_decided() {
            return Ok(());
        }
        self.call(run, |_, _, _| Ok(Action::Continue)).map(|_| ())
    }

    fn on_body(&self, run: usize, size: usize, end: bool) -> Result<Action, Stop> {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.call(run, |run, vm, host| match self.direction {
            Direction::Request => vm.on_request_body(run.context, size, end, host),
            Direction::Response => vm.on_response_body(run.context, size, end, host),
        })
    }

    fn on_trailers(&self, run: usize) -> Result<Action, Stop> {
        let r = self.request.r();
        self.call(run, |run, vm, host| match self.direction {
            // Nginx keeps none of requests.
            Direction::Request => vm.on_request_trailers(run.context, 0, host),
            Direction::Response => vm.on_response_trailers(run.context, headers::trailers::count(r), host),
        })
    }

    /// No body follows when the connection changes its protocol.
    fn shows_body(&self, action: Action) -> bool {
        let is_upgrade = self.direction == Direction::Response && phases::is_upgrade(self.request.r());
        self.loc.shows_body(action) && !is_upgrade
    }

    fn may_hold(&self, run: usize, bytes: usize) -> bool {
        let run = self.request.run(run);
        let of_higress = run.is_some_and(|run| run.of_higress);
        let limit = body_limit::of(self.request, self.loc, self.direction, of_higress);
        if bytes <= limit.bytes {
            return true;
        }
        self.request.flow(self.direction).exceeded.set(Some(limit));
        let filter = run.map_or(usize::MAX, |run| run.filter);
        report::keep_error(self.request, self.request.filter_name(filter), "body too large");
        false
    }

    fn headers_passed(&self) -> Result<(), Stop> {
        match self.direction {
            Direction::Request => Ok(()),
            Direction::Response => phases::response_headers_passed(self.request),
        }
    }

    fn pass(&self, chunk: Chunk, marks: Marks) -> Result<(), Stop> {
        match self.direction {
            Direction::Request => phases::pass_request_body(self.request, chunk, marks),
            Direction::Response => phases::pass_response_body(self.request, chunk, marks),
        }
    }
}
