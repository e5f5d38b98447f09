//! Headers and trailers, as a filter reads and writes them.

use ngx_wasm::proxy_wasm::{Host, LogLevel, MapType, Pairs, Status};

use super::{ELSEWHERE, RequestHost};
use crate::http::report;
use crate::http::request::{Request, Response};
use crate::nginx::headers::{self, Refused};
use crate::nginx::pool::Kept;
use crate::nginx::request::HttpRequest;

type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]);
/// Changes the values of a name, or brings one.
type Put = fn(HttpRequest<'_>, &[u8], &[u8]) -> Result<(), Refused>;

/// The functions of one kind of map.
pub(super) struct Map {
    get: fn(HttpRequest<'_>, &[u8], &mut Vec<u8>) -> bool,
    visit: fn(HttpRequest<'_>, Visit<'_>),
    pub add: Put,
    pub replace: Put,
    pub remove: fn(HttpRequest<'_>, &[u8]) -> Result<(), Refused>,
    pub set: fn(HttpRequest<'_>, &Pairs) -> Result<(), Refused>,
}

/// Those of a module of nginx's headers.
macro_rules! functions {
    ($map:ident) => {
        Map {
            get: headers::$map::get,
            visit: headers::$map::visit,
            add: headers::$map::add,
            replace: headers::$map::replace,
            remove: headers::$map::remove,
            set: headers::$map::set,
        }
    };
}

static REQUEST_HEADERS: Map = functions!(request);
static RESPONSE_HEADERS: Map = functions!(response);
static RESPONSE_TRAILERS: Map = functions!(trailers);

/// The functions for a map; `None` for one that nginx has nothing for: it keeps no trailers of requests.
fn functions_of(map: MapType) -> Option<&'static Map> {
    match map {
        MapType::RequestHeaders => Some(&REQUEST_HEADERS),
        MapType::ResponseHeaders => Some(&RESPONSE_HEADERS),
        MapType::ResponseTrailers => Some(&RESPONSE_TRAILERS),
        _ => None,
    }
}

impl RequestHost<'_> {
    /// Requests and responses have their headers, each while it makes sense to read them.
    fn readable(&self, map: MapType) -> Option<(&'static Map, Kept<Request>)> {
        let request = self.request?;
        let has_response = request.has_reached(Response::Started);
        let is_there = match map {
            MapType::ResponseHeaders => has_response || request.logging.get(),
            MapType::ResponseTrailers => has_response && headers::trailers::count(request.r()) > 0,
            _ => true,
        };
        Some((functions_of(map).filter(|_| is_there)?, request))
    }

    fn writable(&self, map: MapType) -> Option<(&'static Map, Kept<Request>)> {
        let request = self.request?;
        let has_response = request.has_reached(Response::Started);
        let is_possible = match map {
            _ if request.logging.get() => false,
            MapType::ResponseHeaders => has_response,
            MapType::ResponseTrailers => {
                has_response && !request.outbound.ended.get() && headers::trailers::can_be_sent(request.r())
            }
            _ => true,
        };
        Some((functions_of(map).filter(|_| is_possible)?, request))
    }

    pub(super) fn get_from_map(&self, map: MapType, name: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let (map, request) = self.readable(map).ok_or(Status::NotFound)?;
        if (map.get)(request.r(), name, value) { Ok(()) } else { Err(Status::NotFound) }
    }

    pub(super) fn visit_map(&self, map: MapType, visit: Visit<'_>) -> Result<(), Status> {
        let (map, request) = self.readable(map).ok_or(Status::NotFound)?;
        (map.visit)(request.r(), visit);
        Ok(())
    }

    /// Changes a map, where it can be changed. The change brings so many `bytes`.
    pub(super) fn change_map(
        &mut self,
        map: MapType,
        bytes: usize,
        change: impl FnOnce(&Map, HttpRequest<'_>) -> Result<(), Refused>,
    ) -> Result<(), Status> {
        let (functions, request) = self.writable(map).ok_or(Status::BadArgument)?;
        if self.is_too_late(map, &request) || self.is_too_much(bytes, &request) {
            return Ok(());
        }
        let result = change(functions, request.r());
        self.finish(result, &request)
    }

    /// Headers that have gone cannot be changed. In Envoy this has no effect either, and any status but Ok would end Rust
    /// guests.
    fn is_too_late(&mut self, map: MapType, request: &Request) -> bool {
        let is_late = map == MapType::ResponseHeaders
            && match self.filter {
                // The header filter of Lua may come behind ours.
                ELSEWHERE => request.r().is_header_sent(),
                _ => request.has_reached(Response::Gone),
            };
        if is_late {
            self.log(LogLevel::Warn, b"the response headers have been sent: a change of them has no effect");
        }
        is_late
    }

    /// nginx frees what it keeps for a request when that ends, and not before: a guest that writes headers for as long as its
    /// callback may run, or in every tick of a request that waits, would use up the worker's memory.
    fn is_too_much(&mut self, bytes: usize, request: &Request) -> bool {
        const MOST: usize = 1 << 20;
        const MOST_OF_REQUEST: usize = 16 << 20;
        const LINE: usize = 128;
        let bytes = bytes.saturating_add(LINE);
        let of_request = &request.headers_written;
        let before = (self.written, of_request.get());
        self.written = self.written.saturating_add(bytes);
        if self.written <= MOST {
            of_request.set(of_request.get().saturating_add(bytes));
        }
        let message: &[u8] = match (self.written > MOST, of_request.get() > MOST_OF_REQUEST) {
            (false, false) => return false,
            (true, _) if before.0 > MOST => return true,
            (true, _) => b"more than 1 MiB of headers written in one callback; the request is refused",
            (false, true) if before.1 > MOST_OF_REQUEST => return true,
            (false, true) => b"more than 16 MiB of headers written for one request; the request is refused",
        };
        self.refuse(request, message);
        true
    }

    /// What headers refuse is not the guest's to learn by a status that ends Rust guests: the request fails instead.
    fn finish(&mut self, result: Result<(), Refused>, request: &Request) -> Result<(), Status> {
        match result {
            Ok(()) => Ok(()),
            Err(Refused::NoMemory) => Err(Status::InternalFailure),
            Err(Refused::Malformed(what)) => {
                self.refuse(request, format!("{what}; the request is refused").as_bytes());
                Ok(())
            }
            Err(Refused::Ignored(what)) => {
                self.log(LogLevel::Warn, what.as_bytes());
                Ok(())
            }
        }
    }

    fn refuse(&mut self, request: &Request, message: &[u8]) {
        request.refused.set(true);
        report::keep_error(request, self.name, "refused");
        self.log(LogLevel::Error, message);
    }
}
