//! What a filter decides for the whole request: an answer of its own, the upstream's server, to go on, to close.

use ngx_wasm::proxy_wasm::{Host, LocalResponse, LogLevel, Status};

use super::RequestHost;
use crate::config::direction::Direction;
use crate::http::request::Response;
use crate::http::{properties, report};
use crate::process::status::Event;

/// Longer than any address of a server.
const LONGEST: usize = 512;

impl RequestHost<'_> {
    /// The filter answers the request.
    pub(super) fn answer(&mut self, response: LocalResponse) {
        let Some(request) = self.request_or_say("a local response") else { return };
        if request.answered.get() || request.local_response.borrow().is_some() || request.logging.get() {
            self.log(LogLevel::Warn, b"a second local response, or one after the response, is ignored");
            return;
        }
        self.status().count(Event::of_answer(response.status));
        request.answer(response);
    }

    /// The filter chooses the server that nginx asks first. The empty address takes the choice back.
    pub(super) fn choose_upstream_host(&mut self, address: &[u8]) -> Result<(), Status> {
        let request = self.request_or_say("an upstream host").ok_or(Status::BadArgument)?;
        if request.has_reached(Response::Started) || request.logging.get() || properties::is_upstream_asked(request.r())
        {
            self.log(
                LogLevel::Warn,
                b"an upstream host is chosen too late: the request has been passed on, or answered",
            );
            return Err(Status::BadArgument);
        }
        if address.len() > LONGEST {
            self.log(LogLevel::Warn, b"an upstream host has no address of more than 512 bytes, and none is chosen");
            return Err(Status::BadArgument);
        }
        request.upstream_host.replace((!address.is_empty()).then(|| address.into()));
        Ok(())
    }

    /// The filter lets a direction go on.
    pub(super) fn go_on(&mut self, direction: Direction) {
        let Some(request) = self.request_or_say("continue_stream") else { return };
        if let Some(seat) = self.seat {
            seat.resume(&request, self.context, direction);
        } else if let Some(run) = request.run_of(self.filter) {
            request.flow(direction).ask_to_go_on(run);
        }
    }

    /// The filter closes the stream.
    pub(super) fn close(&mut self) {
        let Some(request) = self.request_or_say("close_stream") else { return };
        request.closed.set(true);
        report::keep_error(&request, self.name, "closed");
    }
}
