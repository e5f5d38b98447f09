//! The world of a filter, as `ngx_wasm` wants it: [`RequestHost`] while a callback is about a request, [`RootHost`] while
//! it is about a filter as a whole.

use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use nginx_sys::{ngx_http_request_t, ngx_log_t};
use ngx_wasm::proxy_wasm::{
    BufferType, CallError, ContextId, FilterState, Host, LifeSpan, LocalResponse, LogLevel, MapType, Pairs, Status,
    StreamToken, StreamType, UpstreamHost, splice,
};
use ngx_wasm::shared::Stores;

use crate::config::conf::MainConf;
use crate::config::loc_conf::LocConf;
use crate::filters::requests::RootWorld;
use crate::filters::{calls, queue_ready};
use crate::http::flow::{Chunk, Direction, Flow, Hold};
use crate::http::request::Request;
use crate::http::seat::{Seat, SeatBody};
use crate::http::{body_limit, filter_state, phases, properties, report};
use crate::net::upstreams;
use crate::nginx::headers::{self, Refused};
use crate::nginx::log;
use crate::process::log_rate::LogRate;
use crate::process::shared_memory;
use crate::process::status::{Event, FilterStatus};

/// A request, seen by one of its filters.
pub struct RequestHost<'a> {
    /// The request that host calls are about; another one after `proxy_set_effective_context`, null for a root.
    request: *mut Request,
    /// The request that the callback is about, or null.
    own: *mut Request,
    /// The context that host calls are about. Filters that Lua runs may have several for one request.
    context: ContextId,
    /// The filter whose callback runs, by its place in `MainConf::filters`; [`ELSEWHERE`] is one that has none.
    filter: usize,
    /// That one.
    seat: Option<&'a dyn Seat>,
    log: *mut ngx_log_t,
    name: &'a [u8],
    timeout: Duration,
    /// Other requests that the guest chose during the callback.
    others: Vec<*mut Request>,
    /// Bytes of headers that the guest has written in this callback.
    written: usize,
}

/// A property of Higress, by which a filter keeps a request in its location ("off"). It is kept like others, too.
const KEEPS_ROUTE: &[u8] = b"clear_route_cache";

/// Filters that somebody else runs have no place in the configuration.
const ELSEWHERE: usize = usize::MAX;

impl Drop for RequestHost<'_> {
    /// The callback is over: other requests go on with what it decided for them.
    fn drop(&mut self) {
        for request in &self.others {
            // SAFETY: no request ends during a callback.
            unsafe {
                phases::wake(*request);
                Request::wake_seats(*request);
            }
        }
    }
}

impl<'a> RequestHost<'a> {
    /// # Safety
    /// The request is live, and stays so while the host is used.
    pub unsafe fn new(request: *mut Request, filter: usize, name: &'a [u8], timeout: Duration) -> Self {
        // SAFETY: a request has a connection with a log.
        let log = unsafe { (*(*(*request).r).connection).log };
        Self::with(request, filter, None, log, name, timeout)
    }

    /// A host for a filter that somebody else runs.
    ///
    /// # Safety
    /// As [`RequestHost::new`].
    pub unsafe fn for_seat(request: *mut Request, seat: &'a dyn Seat, timeout: Duration) -> Self {
        // SAFETY: a request has a connection with a log.
        let log = unsafe { (*(*(*request).r).connection).log };
        Self::with(request, ELSEWHERE, Some(seat), log, seat.name(), timeout)
    }

    /// As [`RequestHost::for_root`], for a filter that somebody else runs.
    pub fn for_root_of_seat(seat: &'a dyn Seat, log: *mut ngx_log_t, timeout: Duration) -> Self {
        Self::with(ptr::null_mut(), ELSEWHERE, Some(seat), log, seat.name(), timeout)
    }

    /// A host for a callback about no request, from which the guest can choose one: a tick, the result of a call. `log` must
    /// outlive it.
    pub fn for_root(filter: usize, log: *mut ngx_log_t, name: &'a [u8], timeout: Duration) -> Self {
        Self::with(ptr::null_mut(), filter, None, log, name, timeout)
    }

    fn with(
        request: *mut Request,
        filter: usize,
        seat: Option<&'a dyn Seat>,
        log: *mut ngx_log_t,
        name: &'a [u8],
        timeout: Duration,
    ) -> Self {
        RequestHost {
            request,
            own: request,
            context: ContextId(0),
            filter,
            seat,
            log,
            name,
            timeout,
            others: Vec::new(),
            written: 0,
        }
    }

    /// The name by which a VM knows the request.
    pub fn token(&self) -> StreamToken {
        StreamToken(self.own as usize)
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
        // SAFETY: the request is live, and nginx always has a cycle.
        unsafe {
            match self.own.as_ref() {
                Some(request) => Some(request.main),
                None => MainConf::of(nginx_sys::ngx_cycle).as_ref(),
            }
        }
    }

    fn lines(&self) -> Option<&Rc<LogRate>> {
        match self.seat {
            Some(seat) => Some(seat.lines()),
            None => self.main()?.filters.get(self.filter).map(|filter| &filter.lines),
        }
    }

    /// Notes that something about the request that the callback is about went wrong.
    fn note(&self, request: *mut Request, why: &str) {
        if !request.is_null() {
            // SAFETY: the request is live.
            unsafe { report::note(request, self.name, why) };
        }
    }

    fn request(&self) -> Option<*mut Request> {
        (!self.request.is_null()).then_some(self.request)
    }

    /// A request that has ended, or was never there, is no failure of the guest's; see [`Host::send_local_response`].
    fn request_or_say(&mut self, what: &str) -> Option<*mut Request> {
        if self.request.is_null() {
            self.log(LogLevel::Info, format!("{what} has no effect: there is no request, or it has ended").as_bytes());
        }
        self.request()
    }

    fn r(&self) -> Option<*mut ngx_http_request_t> {
        // SAFETY: `select` accepts only live requests.
        self.request().map(|request| unsafe { (*request).r })
    }

    /// Requests and responses have their headers, each while it makes sense to read them.
    fn readable(&self, map: MapType) -> Option<*mut ngx_http_request_t> {
        let request = self.request()?;
        // SAFETY: the request is live.
        unsafe {
            let r = (*request).r;
            match map {
                MapType::RequestHeaders => Some(r),
                MapType::ResponseHeaders => ((*request).response_started || (*request).logging).then_some(r),
                MapType::ResponseTrailers => {
                    ((*request).response_started && headers::trailers::count(r) > 0).then_some(r)
                }
                _ => None,
            }
        }
    }

    fn writable(&self, map: MapType) -> Option<*mut ngx_http_request_t> {
        let request = self.request()?;
        // SAFETY: the request is live.
        unsafe {
            let r = (*request).r;
            let possible = match map {
                _ if (*request).logging => false,
                MapType::RequestHeaders => true,
                MapType::ResponseHeaders => (*request).response_started,
                MapType::ResponseTrailers => {
                    (*request).response_started && !(*request).outbound.ended && headers::trailers::can_be_sent(r)
                }
                _ => false,
            };
            possible.then_some(r)
        }
    }

    /// Headers that have gone cannot be changed. In Envoy this has no effect either, and any status but Ok would end Rust
    /// guests.
    fn is_too_late(&mut self, map: MapType) -> bool {
        // SAFETY: `writable` found the request live. The header filter of Lua may come behind ours.
        let is_late = map == MapType::ResponseHeaders
            && unsafe {
                match self.filter {
                    ELSEWHERE => (*(*self.request).r).header_sent() != 0,
                    _ => (*self.request).response_gone,
                }
            };
        if is_late {
            self.log(LogLevel::Warn, b"the response headers have been sent: a change of them has no effect");
        }
        is_late
    }

    /// nginx frees what it keeps for a request when that ends, and not before: a guest that writes headers for as long as its
    /// callback may run, or in every tick of a request that waits, would use up the worker's memory.
    fn is_too_much(&mut self, bytes: usize) -> bool {
        const MOST: usize = 1 << 20;
        const MOST_OF_REQUEST: usize = 16 << 20;
        const LINE: usize = 128;
        let bytes = bytes.saturating_add(LINE);
        // SAFETY: `writable` found the request live.
        let of_request = unsafe { &mut (*self.request).headers_written };
        let before = (self.written, *of_request);
        self.written = self.written.saturating_add(bytes);
        if self.written <= MOST {
            *of_request = of_request.saturating_add(bytes);
        }
        let message: &[u8] = match (self.written > MOST, *of_request > MOST_OF_REQUEST) {
            (false, false) => return false,
            (true, _) if before.0 > MOST => return true,
            (true, _) => b"more than 1 MiB of headers written in one callback; the request is refused",
            (false, true) if before.1 > MOST_OF_REQUEST => return true,
            (false, true) => b"more than 16 MiB of headers written for one request; the request is refused",
        };
        // SAFETY: as above.
        unsafe { (*self.request).refused = true };
        self.note(self.request, "refused");
        self.log(LogLevel::Error, message);
        true
    }

    /// The direction that a buffer belongs to, and the stage of this filter in it.
    unsafe fn stage(&self, buffer: BufferType) -> Option<(Direction, *mut Flow, usize)> {
        let request = self.request()?;
        let direction = match buffer {
            BufferType::RequestBody => Direction::Request,
            BufferType::ResponseBody => Direction::Response,
            _ => return None,
        };
        // SAFETY: the request is live.
        unsafe {
            let run = (*request).run_of(self.filter)?;
            let flow = (*request).flow(direction);
            Some((direction, flow, (*flow).stage_of(run)?))
        }
    }

    /// What is shown to a filter that somebody else runs.
    #[allow(clippy::mut_from_ref)]
    unsafe fn seat_body(&self, buffer: BufferType) -> Option<&mut SeatBody> {
        let request = self.request()?;
        // SAFETY: the request is live, and one borrow at a time is short.
        let body = unsafe { self.seat?.body(request, self.context) }?;
        (body.buffer == buffer).then_some(body)
    }

    /// The body that this filter can look at: what its callback is about, or what it holds.
    unsafe fn body(&self, buffer: BufferType) -> Result<Body<'_>, Status> {
        // SAFETY: the request is live, and nothing changes it while the body is looked at.
        unsafe {
            if self.filter == ELSEWHERE {
                return Ok(Body::Held(&self.seat_body(buffer).ok_or(Status::NotFound)?.bytes));
            }
            let (_, flow, n) = self.stage(buffer).ok_or(Status::NotFound)?;
            if let Some((shown, chunk)) = &(*flow).current
                && *shown == n
            {
                return Ok(Body::Shown(chunk));
            }
            let stage = &(&(*flow).stages)[n];
            match stage.hold {
                Hold::HeadersOnly | Hold::Body | Hold::Trailers => Ok(Body::Held(&stage.held)),
                Hold::Open | Hold::Headers => Err(Status::NotFound),
            }
        }
    }

    /// What headers refuse is not the guest's to learn by a status that ends Rust guests: the request fails instead.
    fn finish(&mut self, result: Result<(), Refused>) -> Result<(), Status> {
        match result {
            Ok(()) => Ok(()),
            Err(Refused::NoMemory) => Err(Status::InternalFailure),
            Err(Refused::Malformed(what)) => {
                // SAFETY: `writable` found the request live.
                unsafe { (*self.request).refused = true };
                self.note(self.request, "refused");
                let message = format!("{what}; the request is refused");
                self.log(LogLevel::Error, message.as_bytes());
                Ok(())
            }
            Err(Refused::Ignored(what)) => {
                self.log(LogLevel::Warn, what.as_bytes());
                Ok(())
            }
        }
    }
}

/// A body, for a filter to look at.
enum Body<'a> {
    /// The piece that a callback is about.
    Shown(&'a Chunk),
    /// What the filter holds.
    Held(&'a Vec<u8>),
}

impl Body<'_> {
    fn len(&self) -> usize {
        match self {
            Body::Shown(chunk) => chunk.len(),
            Body::Held(held) => held.len(),
        }
    }
}

impl RootWorld for RequestHost<'_> {
    fn complain(&self, err: &CallError, policy: &str) {
        // SAFETY: the request is live.
        unsafe {
            if !self.own.is_null() {
                report::note_failure(self.own, self.name, err);
            }
            // Nginx names the request behind the message, if the log is a connection's.
            let about = if self.log == (*nginx_sys::ngx_cycle).log { "; no request" } else { "" };
            let begin = format!("wasm filter \"{}\": failed to call function: ", String::from_utf8_lossy(self.name));
            let room = log::LONGEST.saturating_sub(begin.len());
            let message = begin + &err.report(&format!("{about}; {policy}"), room);
            log::write(log::nginx_level(err.level()), self.log, log::printable(&message));
        }
    }
}

impl Host for RequestHost<'_> {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        // SAFETY: the request is live.
        unsafe {
            if !log::wants(level, self.log) {
                return;
            }
            if self.lines().is_none_or(|lines| lines.admit(self.log)) {
                log::guest(level, self.log, self.name, message);
            } else {
                self.status().count(Event::DroppedLine);
            }
        }
    }

    fn log_level(&self) -> LogLevel {
        // SAFETY: the log is a live connection's.
        unsafe { log::lowest(self.log) }
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
        // A VM keeps the token of a context only until the stream ends, so it leads to a live request.
        self.request = stream.map_or(ptr::null_mut(), |token| token.0 as *mut Request);
        if !self.request.is_null() && self.request != self.own && !self.others.contains(&self.request) {
            self.others.push(self.request);
        }
        true
    }

    fn about(&mut self, context: ContextId) {
        self.context = context;
    }

    fn map_get(&mut self, map: MapType, name: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let r = self.readable(map).ok_or(Status::NotFound)?;
        // SAFETY: the request is live.
        let found = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::get(r, name, value),
                MapType::ResponseTrailers => headers::trailers::get(r, name, value),
                _ => headers::response::get(r, name, value),
            }
        };
        if found { Ok(()) } else { Err(Status::NotFound) }
    }

    fn map_visit(&mut self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        let r = self.readable(map).ok_or(Status::NotFound)?;
        // SAFETY: the request is live.
        unsafe {
            match map {
                MapType::RequestHeaders => headers::request::visit(r, visit),
                MapType::ResponseTrailers => headers::trailers::visit(r, visit),
                _ => headers::response::visit(r, visit),
            }
        }
        Ok(())
    }

    fn map_add(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        if self.is_too_late(map) || self.is_too_much(name.len() + value.len()) {
            return Ok(());
        }
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::add(r, name, value),
                MapType::ResponseTrailers => headers::trailers::add(r, name, value),
                _ => headers::response::add(r, name, value),
            }
        };
        self.finish(result)
    }

    fn map_replace(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        if self.is_too_late(map) || self.is_too_much(name.len() + value.len()) {
            return Ok(());
        }
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::replace(r, name, value),
                MapType::ResponseTrailers => headers::trailers::replace(r, name, value),
                _ => headers::response::replace(r, name, value),
            }
        };
        self.finish(result)
    }

    fn map_remove(&mut self, map: MapType, name: &[u8]) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        if self.is_too_late(map) || self.is_too_much(name.len()) {
            return Ok(());
        }
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::remove(r, name),
                MapType::ResponseTrailers => headers::trailers::remove(r, name),
                _ => headers::response::remove(r, name),
            }
        };
        self.finish(result)
    }

    fn map_set(&mut self, map: MapType, pairs: &Pairs) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        if self.is_too_late(map) || self.is_too_much(pairs.iter().map(|(name, value)| name.len() + value.len()).sum()) {
            return Ok(());
        }
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::set(r, pairs),
                MapType::ResponseTrailers => headers::trailers::set(r, pairs),
                _ => headers::response::set(r, pairs),
            }
        };
        self.finish(result)
    }

    fn buffer_len(&mut self, buffer: BufferType) -> Result<usize, Status> {
        // SAFETY: the request is live.
        unsafe { self.body(buffer).map(|body| body.len()) }
    }

    fn buffer_read(&mut self, buffer: BufferType, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Status> {
        // SAFETY: the request is live, and so are the buffers of nginx that its filters look at now.
        unsafe {
            match self.body(buffer)? {
                Body::Shown(chunk) => chunk.read(start, len, out).map_err(|_| Status::InternalFailure),
                Body::Held(held) => {
                    out.extend_from_slice(&held[start..start + len]);
                    Ok(())
                }
            }
        }
    }

    fn buffer_write(&mut self, buffer: BufferType, start: u32, size: u32, bytes: &[u8]) -> Result<(), Status> {
        // SAFETY: see `buffer_read`.
        unsafe {
            let len = self.body(buffer)?.len();
            if self.filter == ELSEWHERE {
                let direction = match buffer {
                    BufferType::RequestBody => Direction::Request,
                    _ => Direction::Response,
                };
                let loc = LocConf::of((*self.request).r);
                let of_higress = self.seat.is_some_and(Seat::of_higress);
                let limit = body_limit::of(self.request, loc, direction, of_higress).bytes.max(len);
                let body = self.seat_body(buffer).ok_or(Status::NotFound)?;
                body.is_changed = true;
                if len.saturating_add(bytes.len()) > limit {
                    body.is_too_large = true;
                    self.note(self.request, "body too large");
                } else {
                    splice(&mut body.bytes, start, size, bytes);
                }
                return Ok(());
            }
            let (direction, flow, n) = self.stage(buffer).ok_or(Status::NotFound)?;
            // What is larger than filters may hold ends the request when the callback ends.
            let (loc, of_higress) = (LocConf::of((*self.request).r), (&(*flow).stages)[n].of_higress);
            let limit = body_limit::of(self.request, loc, direction, of_higress);
            let replaced = len.saturating_sub(start as usize).min(size as usize);
            if (len - replaced).saturating_add(bytes.len()) > limit.bytes.max(len) {
                (*flow).too_large = true;
                (*flow).exceeded = Some(limit);
                self.note(self.request, "body too large");
                return Ok(());
            }
            (*flow).changed = true;
            match &mut (*flow).current {
                Some((shown, chunk)) if *shown == n => {
                    let now = std::mem::replace(chunk, Chunk::Bytes(Vec::new()));
                    let mut own = now.into_bytes().map_err(|_| Status::InternalFailure)?;
                    splice(&mut own, start, size, bytes);
                    *chunk = Chunk::Bytes(own);
                }
                _ => splice(&mut (&mut (*flow).stages)[n].held, start, size, bytes),
            }
        }
        Ok(())
    }

    fn property(&mut self, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        if self.request.is_null() {
            return properties::of_process(path, value);
        }
        let r = self.r().ok_or(Status::NotFound)?;
        // SAFETY: the request is live.
        unsafe { properties::get(r, path, value) }
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let request = self.request().ok_or(Status::NotFound)?;
        if let Some(direction) = body_limit::direction_of(path) {
            // SAFETY: the request is live. The filter state keeps the value, as that of any name.
            if !unsafe { body_limit::ask(request, direction, value) } {
                let (name, value) = (String::from_utf8_lossy(path), value.escape_ascii());
                self.log(LogLevel::Warn, format!("{name} \"{value}\" is no number, and has no effect").as_bytes());
            }
        }
        // SAFETY: the request is live.
        unsafe {
            if path == KEEPS_ROUTE {
                (*request).keeps_route = value == b"off";
            }
            properties::set((*request).r, path, value)
        }
    }

    fn upstream_hosts(&mut self) -> Result<Vec<UpstreamHost>, Status> {
        let r = self.r().ok_or(Status::NotFound)?;
        // SAFETY: the request is live, and its cycle runs.
        unsafe { properties::upstream_of_location(r).map(|us| upstreams::hosts(us)).ok_or(Status::NotFound) }
    }

    fn override_upstream_host(&mut self, address: &[u8]) -> Result<(), Status> {
        /// Longer than any address of a server.
        const LONGEST: usize = 512;
        let request = self.request_or_say("an upstream host").ok_or(Status::BadArgument)?;
        // SAFETY: the request is live.
        unsafe {
            if (*request).response_started || (*request).logging || properties::is_upstream_asked((*request).r) {
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
            (*request).upstream_host = (!address.is_empty()).then(|| address.into());
        }
        Ok(())
    }

    fn clear_route_cache(&mut self) -> Result<(), Status> {
        if let Some(request) = self.request() {
            // SAFETY: the request is live. `phases/rewrite.rs` acts on it, as long as a location can be chosen.
            unsafe { (*request).ask_for_route() };
        }
        Ok(())
    }

    fn filter_state(&mut self, span: LifeSpan) -> Option<&mut FilterState> {
        let request = self.request()?;
        // SAFETY: the request is live, and the host call that asks has no other reference to its values.
        unsafe { filter_state::find(request, span).as_mut() }
    }

    fn send_local_response(&mut self, response: LocalResponse) -> Result<(), Status> {
        let Some(request) = self.request_or_say("a local response") else { return Ok(()) };
        // SAFETY: the request is live.
        unsafe {
            if (*request).answered || (*request).local_response.is_some() || (*request).logging {
                self.log(LogLevel::Warn, b"a second local response, or one after the response, is ignored");
                return Ok(());
            }
            (*request).local_response = Some(Box::new(response));
        }
        Ok(())
    }

    fn continue_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        let direction = match stream {
            StreamType::Request => Direction::Request,
            StreamType::Response => Direction::Response,
            StreamType::Downstream | StreamType::Upstream => return Err(Status::BadArgument),
        };
        let Some(request) = self.request_or_say("continue_stream") else { return Ok(()) };
        // SAFETY: the request is live.
        unsafe {
            if let Some(seat) = self.seat {
                seat.resume(request, self.context, direction);
            } else if let Some(run) = (*request).run_of(self.filter) {
                let flow = (*request).flow(direction);
                if let Some(n) = (*flow).stage_of(run) {
                    (&mut (*flow).stages)[n].resumed = true;
                }
            }
        }
        Ok(())
    }

    fn can_call(&mut self, target: &[u8]) -> bool {
        // SAFETY: nginx always has a cycle.
        let main = unsafe { MainConf::of(nginx_sys::ngx_cycle).as_ref() };
        let settings = main.and_then(|main| match self.filter {
            ELSEWHERE => main.lua_calls.as_deref(),
            filter => main.filters.get(filter)?.calls.as_deref(),
        });
        calls::can_call(settings, target)
    }

    fn close_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        if matches!(stream, StreamType::Downstream | StreamType::Upstream) {
            return Err(Status::BadArgument);
        }
        if let Some(request) = self.request_or_say("close_stream") {
            // SAFETY: the request is live.
            unsafe { (*request).closed = true };
            self.note(request, "closed");
        }
        Ok(())
    }
}
