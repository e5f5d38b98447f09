//! Bodies, as a filter looks at them: what its callback is about, or what it holds.

use ngx_wasm::flow::Fault;
use ngx_wasm::proxy_wasm::{BufferType, Status, splice};

use super::{ELSEWHERE, RequestHost};
use crate::config::direction::Direction;
use crate::config::loc_conf::LocConf;
use crate::http::request::{Request, Run};
use crate::http::seat::{Seat, SeatBody};
use crate::http::{body_limit, report};
use crate::nginx::pool::Kept;

/// A filter of the chain in one direction of a request.
struct Looker {
    request: Kept<Request>,
    direction: Direction,
    /// Its number among those of the request.
    number: usize,
    run: Run,
}

fn direction_of(buffer: BufferType) -> Option<Direction> {
    match buffer {
        BufferType::RequestBody => Some(Direction::Request),
        BufferType::ResponseBody => Some(Direction::Response),
        _ => None,
    }
}

impl RequestHost<'_> {
    /// This filter, in the direction that a buffer belongs to.
    fn looker(&self, buffer: BufferType) -> Result<Looker, Status> {
        let look = || {
            let request = self.request?;
            let direction = direction_of(buffer)?;
            let number = request.run_of(self.filter)?;
            let run = request.run(number)?;
            Some(Looker { request, direction, number, run })
        };
        look().ok_or(Status::NotFound)
    }

    /// Looks at what is shown to a filter that somebody else runs.
    fn of_seat<R>(&self, buffer: BufferType, look: impl FnOnce(&mut SeatBody) -> R) -> Result<R, Status> {
        let (Some(request), Some(seat)) = (self.request, self.seat) else { return Err(Status::NotFound) };
        let (mut look, mut found) = (Some(look), None);
        seat.body(&request, self.context, &mut |body| {
            if body.buffer == buffer {
                found = look.take().map(|look| look(body));
            }
        });
        found.ok_or(Status::NotFound)
    }

    pub(super) fn body_len(&self, buffer: BufferType) -> Result<usize, Status> {
        if self.filter == ELSEWHERE {
            return self.of_seat(buffer, |body| body.bytes.len());
        }
        let Looker { request, direction, number, .. } = self.looker(buffer)?;
        request.flow(direction).body_len(number).ok_or(Status::NotFound)
    }

    pub(super) fn read_body(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Status> {
        if self.filter == ELSEWHERE {
            return self.of_seat(buffer, |body| out.extend_from_slice(&body.bytes[start..start + len]));
        }
        let Looker { request, direction, number, .. } = self.looker(buffer)?;
        let read = request.flow(direction).read(number, start, len, out).ok_or(Status::NotFound)?;
        read.map_err(|_| Status::InternalFailure)
    }

    pub(super) fn change_body(&self, buffer: BufferType, start: u32, size: u32, bytes: &[u8]) -> Result<(), Status> {
        if self.filter == ELSEWHERE {
            return self.change_body_of_seat(buffer, start, size, bytes);
        }
        let Looker { request, direction, number, run } = self.looker(buffer)?;
        let flow = request.flow(direction);
        let limit = body_limit::of(&request, LocConf::of(request.r()), direction, run.of_higress);
        match flow.change(number, start, size, bytes, limit.bytes).ok_or(Status::NotFound)? {
            Ok(()) => Ok(()),
            // What is larger than filters may hold ends the request when the callback ends.
            Err(Fault::TooLarge) => {
                flow.exceeded.set(Some(limit));
                report::keep_error(&request, self.name, "body too large");
                Ok(())
            }
            Err(Fault::Unreadable) => Err(Status::InternalFailure),
        }
    }

    fn change_body_of_seat(&self, buffer: BufferType, start: u32, size: u32, bytes: &[u8]) -> Result<(), Status> {
        let len = self.body_len(buffer)?;
        let request = self.request.ok_or(Status::NotFound)?;
        let direction = direction_of(buffer).unwrap_or(Direction::Response);
        let of_higress = self.seat.is_some_and(Seat::of_higress);
        let limit = body_limit::of(&request, LocConf::of(request.r()), direction, of_higress).bytes.max(len);
        let is_too_large = len.saturating_add(bytes.len()) > limit;
        self.of_seat(buffer, |body| {
            body.is_changed = true;
            if is_too_large {
                body.is_too_large = true;
            } else {
                splice(&mut body.bytes, start, size, bytes);
            }
        })?;
        if is_too_large {
            report::keep_error(&request, self.name, "body too large");
        }
        Ok(())
    }
}
