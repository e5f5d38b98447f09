//! The world of a filter, as `ngx_wasm` wants it: [`RequestHost`], while a callback is about a request, or is about none and may
//! choose one. `maps.rs` has headers and trailers, `bodies.rs` bodies, `answers.rs` what becomes of the request.

mod answers;
mod bodies;
mod maps;

use std::rc::Rc;
use std::time::Duration;

use ngx_wasm::proxy_wasm::{
    BufferType, CallError, ContextId, FilterState, Host, LifeSpan, LocalResponse, LogLevel, MapType, Pairs, Status,
    StreamToken, StreamType, UpstreamHost,
};
use ngx_wasm::shared::Stores;
use ngx_wasm::shared::latency::Kind;

use crate::config::conf::MainConf;
use crate::config::direction::Direction;
use crate::config::filter_conf::FilterConf;
use crate::config::rules::Trace;
use crate::filters::requests::RootWorld;
use crate::filters::{calls, queue_ready};
use crate::http::request::Request;
use crate::http::seat::Seat;
use crate::http::{body_limit, filter_state, phases, properties, report, tokens};
use crate::net::upstreams;
use crate::nginx::cycle;
use crate::nginx::log::{self, Log};
use crate::nginx::pool::Kept;
use crate::process::guest_log::{GuestLog, TRACE_LEVEL};
use crate::process::shared_memory;
use crate::process::status::{Event, FilterStatus};

/// A request, seen by one of its filters.
pub struct RequestHost<'a> {
    /// The request that host calls are about; another one after `proxy_set_effective_context`, none for a root.
    request: Option<Kept<Request>>,
    /// The request that the callback is about, if it is about one.
    own: Option<&'a Request>,
    /// The context that host calls are about. Filters that Lua runs may have several for one request.
    context: ContextId,
    /// The filter whose callback runs, by its place in `MainConf::filters`; [`ELSEWHERE`] is one that has none.
    filter: usize,
    /// That one.
    seat: Option<&'a dyn Seat>,
    log: Log<'a>,
    name: &'a [u8],
    timeout: Duration,
    /// Other requests that the guest chose during the callback. None of them ends meanwhile.
    others: Vec<Kept<Request>>,
    /// Bytes of headers that the guest has written in this callback.
    written: usize,
    /// What the callback does is written to the log, line by line.
    is_traced: bool,
}

/// How a line is written: as one of the guest, or as one about it.
type WriteLine = fn(&Rc<GuestLog>, Log<'_>, LogLevel, &[u8]) -> bool;

/// A property of Higress, by which a filter keeps a request in its location ("off"). It is kept like others, too.
const KEEPS_ROUTE: &[u8] = b"clear_route_cache";

/// Filters that somebody else runs have no place in the configuration.
const ELSEWHERE: usize = usize::MAX;

impl Drop for RequestHost<'_> {
    /// The callback is over: other requests go on with what it decided for them.
    fn drop(&mut self) {
        for request in &self.others {
            phases::wake(request);
            request.wake_seats();
        }
    }
}

impl<'a> RequestHost<'a> {
    /// A host for a callback about a request.
    pub fn new(request: &'a Request, filter: usize, timeout: Duration, is_traced: bool) -> Self {
        let name = request.filter_name(filter);
        Self::with(Some(request), filter, None, request.r().log(), name, timeout, is_traced)
    }

    /// A host for a filter that somebody else runs.
    pub fn for_seat(request: &'a Request, seat: &'a dyn Seat, timeout: Duration) -> Self {
        let is_traced = seat.policy().trace.is_on_in(request.r());
        Self::with(Some(request), ELSEWHERE, Some(seat), request.r().log(), seat.name(), timeout, is_traced)
    }

    /// As [`RequestHost::for_root`], for a filter that somebody else runs; about a call that was made for these, if any.
    pub fn for_root_of_seat(seat: &'a dyn Seat, log: Log<'a>, timeout: Duration, streams: &[StreamToken]) -> Self {
        let trace = seat.policy().trace;
        let of_stream = |stream: &StreamToken| tokens::find(*stream).is_some_and(|request| trace.is_on_in(request.r()));
        let is_traced = trace == Trace::On || streams.iter().any(of_stream);
        Self::with(None, ELSEWHERE, Some(seat), log, seat.name(), timeout, is_traced)
    }

    /// A host for a callback about no request, from which the guest can choose one: a tick, the result of a call.
    pub fn for_root(filter: usize, log: Log<'a>, conf: &'a FilterConf, is_traced: bool) -> Self {
        Self::with(None, filter, None, log, &conf.name, conf.timeout, is_traced)
    }

    fn with(
        own: Option<&'a Request>,
        filter: usize,
        seat: Option<&'a dyn Seat>,
        log: Log<'a>,
        name: &'a [u8],
        timeout: Duration,
        is_traced: bool,
    ) -> Self {
        RequestHost {
            request: own.and_then(Request::kept),
            own,
            context: ContextId(0),
            filter,
            seat,
            log,
            name,
            timeout,
            others: Vec::new(),
            written: 0,
            is_traced,
        }
    }

    /// The name by which a VM knows the request; 0 without one.
    pub fn token(&self) -> StreamToken {
        self.own.map_or(StreamToken(0), Request::token)
    }

    /// What counts for the filter.
    fn status(&self) -> FilterStatus {
        match self.seat {
            Some(seat) => seat.status(),
            None => self.main().map(|main| main.status.filter(self.filter)).unwrap_or_default(),
        }
    }

    /// The configuration that the filter belongs to.
    fn main(&self) -> Option<&'static MainConf> {
        self.own.map_or_else(MainConf::current, |request| Some(request.main))
    }

    fn lines(&self) -> Option<&Rc<GuestLog>> {
        match self.seat {
            Some(seat) => Some(seat.lines()),
            None => self.main()?.filters.get(self.filter).map(|filter| &filter.lines),
        }
    }

    /// Writes a line. There is a log for each filter of a configuration, and callbacks run by one.
    fn line(&self, write: WriteLine, level: LogLevel, message: &[u8]) {
        if self.lines().is_some_and(|lines| !write(lines, self.log, level, message)) {
            self.status().count(Event::DroppedLine);
        }
    }

    /// A request that has ended, or was never there, is no failure of the guest's; see [`Host::send_local_response`].
    fn request_or_say(&mut self, what: &str) -> Option<Kept<Request>> {
        if self.request.is_none() {
            self.log(LogLevel::Info, format!("{what} has no effect: there is no request, or it has ended").as_bytes());
        }
        self.request
    }
}

impl RootWorld for RequestHost<'_> {
    fn log_failure(&self, err: &CallError, policy: &str) {
        if let Some(own) = self.own {
            report::note_failure(own, self.name, err);
        }
        // Nginx names the request behind the message, if the log is a connection's.
        let about = if self.log == cycle::log() { "; no request" } else { "" };
        let begin = format!("wasm filter \"{}\": failed to call function: ", String::from_utf8_lossy(self.name));
        let room = log::LONGEST.saturating_sub(begin.len());
        let message = begin + &err.report(&format!("{about}; {policy}"), room);
        self.log.write(log::nginx_level(err.level()), log::printable(&message));
    }
}

impl Host for RequestHost<'_> {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn callback_took(&mut self, kind: Kind, time: Duration) {
        self.status().took(kind, time);
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.line(GuestLog::host, level, message);
    }

    fn guest_log(&mut self, level: LogLevel, message: &[u8]) {
        self.line(GuestLog::guest, level, message);
    }

    fn log_level(&self) -> LogLevel {
        self.lines().map_or(LogLevel::Critical, |lines| lines.lowest(self.log))
    }

    fn traces(&self) -> bool {
        self.is_traced && self.log.wants(TRACE_LEVEL)
    }

    fn trace(&mut self, line: &str) {
        if self.lines().is_some_and(|lines| !lines.trace(self.log, line.as_bytes())) {
            self.status().count(Event::DroppedLine);
        }
    }

    fn warn_once(&mut self, subject: &'static str, message: &str) {
        if self.lines().is_none_or(|lines| lines.is_first(subject)) {
            self.log(LogLevel::Warn, message.as_bytes());
        }
    }

    fn stores(&self) -> Option<&Stores> {
        shared_memory::stores()
    }

    fn queue_filled(&mut self, queue: u32) {
        queue_ready::announce(queue);
    }

    fn select(&mut self, stream: Option<StreamToken>) -> bool {
        let request = stream.and_then(tokens::find);
        if request.is_none() && stream.is_some() {
            // It has ended. What the guest does goes on being about the request that it was about.
            return false;
        }
        self.request = request;
        if let Some(request) = request
            && self.own.is_none_or(|own| own.token() != request.token())
            && !self.others.contains(&request)
        {
            self.others.push(request);
        }
        true
    }

    fn about(&mut self, context: ContextId) {
        self.context = context;
    }

    fn map_get(&mut self, map: MapType, name: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        self.get_from_map(map, name, value)
    }

    fn map_visit(&mut self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        self.visit_map(map, visit)
    }

    fn map_add(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.change_map(map, name.len() + value.len(), |map, r| (map.add)(r, name, value))
    }

    fn map_replace(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.change_map(map, name.len() + value.len(), |map, r| (map.replace)(r, name, value))
    }

    fn map_remove(&mut self, map: MapType, name: &[u8]) -> Result<(), Status> {
        self.change_map(map, name.len(), |map, r| (map.remove)(r, name))
    }

    fn map_set(&mut self, map: MapType, pairs: &Pairs) -> Result<(), Status> {
        let bytes = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.change_map(map, bytes, |map, r| (map.set)(r, pairs))
    }

    fn buffer_len(&mut self, buffer: BufferType) -> Result<usize, Status> {
        self.body_len(buffer)
    }

    fn buffer_read(&mut self, buffer: BufferType, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Status> {
        self.read_body(buffer, start, len, out)
    }

    fn buffer_write(&mut self, buffer: BufferType, start: u32, size: u32, bytes: &[u8]) -> Result<(), Status> {
        self.change_body(buffer, start, size, bytes)
    }

    fn property(&mut self, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        match self.request {
            Some(request) => properties::get(request.r(), path, value),
            None => properties::of_process(path, value),
        }
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let request = self.request.ok_or(Status::NotFound)?;
        // The filter state keeps the value, as that of any name.
        if let Some(direction) = body_limit::direction_of(path)
            && !body_limit::ask(&request, direction, value)
        {
            let (name, value) = (String::from_utf8_lossy(path), value.escape_ascii());
            self.log(LogLevel::Warn, format!("{name} \"{value}\" is no number, and has no effect").as_bytes());
        }
        if path == KEEPS_ROUTE {
            request.keeps_route.set(value == b"off");
        }
        properties::set(request.r(), path, value)
    }

    fn upstream_hosts(&mut self) -> Result<Vec<UpstreamHost>, Status> {
        let request = self.request.ok_or(Status::NotFound)?;
        properties::upstream_of_location(request.r()).map(upstreams::hosts).ok_or(Status::NotFound)
    }

    fn override_upstream_host(&mut self, address: &[u8]) -> Result<(), Status> {
        self.choose_upstream_host(address)
    }

    fn clear_route_cache(&mut self) -> Result<(), Status> {
        if let Some(request) = self.request {
            // `phases/rewrite.rs` acts on it, as long as a location can be chosen.
            request.ask_for_route();
        }
        Ok(())
    }

    fn filter_state(&mut self, span: LifeSpan, look: &mut dyn FnMut(&mut FilterState)) {
        if let Some(request) = self.request {
            filter_state::find(&request, span, look);
        }
    }

    fn send_local_response(&mut self, response: LocalResponse) -> Result<(), Status> {
        self.answer(response);
        Ok(())
    }

    fn continue_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        let direction = match stream {
            StreamType::Request => Direction::Request,
            StreamType::Response => Direction::Response,
            StreamType::Downstream | StreamType::Upstream => return Err(Status::BadArgument),
        };
        self.go_on(direction);
        Ok(())
    }

    fn can_call(&mut self, target: &[u8]) -> bool {
        let settings = MainConf::current().and_then(|main| match self.filter {
            ELSEWHERE => main.lua_calls.as_deref(),
            filter => main.filters.get(filter)?.calls.as_deref(),
        });
        calls::can_call(settings, target)
    }

    fn close_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        if matches!(stream, StreamType::Downstream | StreamType::Upstream) {
            return Err(Status::BadArgument);
        }
        self.close();
        Ok(())
    }
}
