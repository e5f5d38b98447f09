//! The world of a filter, as `ngx_wasm` wants it: [`RequestHost`] while a callback is about a request, [`RootHost`] while
//! it is about a filter as a whole.

use std::ptr;
use std::time::Duration;

use nginx_sys::{ngx_http_request_t, ngx_log_t};
use ngx_wasm::proxy_wasm::{
    BufferType, CallError, Host, LocalResponse, LogLevel, MapType, Pairs, Status, StreamToken, StreamType,
};

use crate::headers::{self, Refused};
use crate::request::Request;
use crate::{log, phases, properties};

/// A request, seen by one of its filters.
pub struct RequestHost<'a> {
    /// The request that host calls are about; another one after `proxy_set_effective_context`, null for a root.
    request: *mut Request,
    /// The request that the callback is about, or null.
    own: *mut Request,
    log: *mut ngx_log_t,
    name: &'a [u8],
    timeout: Duration,
    /// Other requests that the guest chose during the callback.
    others: Vec<*mut Request>,
}

impl Drop for RequestHost<'_> {
    /// The callback is over: other requests go on with what it decided for them.
    fn drop(&mut self) {
        for request in &self.others {
            // SAFETY: no request ends during a callback.
            unsafe { phases::wake(*request) };
        }
    }
}

impl<'a> RequestHost<'a> {
    /// # Safety
    /// The request is live, and stays so while the host is used.
    pub unsafe fn new(request: *mut Request, name: &'a [u8], timeout: Duration) -> Self {
        // SAFETY: a request has a connection with a log.
        let log = unsafe { (*(*(*request).r).connection).log };
        RequestHost { request, own: request, log, name, timeout, others: Vec::new() }
    }

    /// A host for a callback about no request, from which the guest can choose one: a tick. `log` must outlive it.
    pub fn for_root(log: *mut ngx_log_t, name: &'a [u8], timeout: Duration) -> Self {
        RequestHost { request: ptr::null_mut(), own: ptr::null_mut(), log, name, timeout, others: Vec::new() }
    }

    /// The name by which a VM knows the request.
    pub fn token(&self) -> StreamToken {
        StreamToken(self.own as usize)
    }

    /// Logs a callback that failed.
    pub fn complain(&self, err: &CallError) {
        // SAFETY: the request is live.
        unsafe {
            let message =
                format!("wasm filter \"{}\": failed to call function: {err}", String::from_utf8_lossy(self.name));
            log::write(log::nginx_level(err.level()), self.log, log::printable(&message));
        }
    }

    fn request(&self) -> Option<*mut Request> {
        (!self.request.is_null()).then_some(self.request)
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
                MapType::ResponseHeaders => ((*request).response_headers_done || (*request).logging).then_some(r),
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
                MapType::ResponseHeaders => (*request).response_headers_done && (*r).header_sent() == 0,
                _ => false,
            };
            possible.then_some(r)
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

impl Host for RequestHost<'_> {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        // SAFETY: the request is live.
        unsafe { log::guest(level, self.log, self.name, message) }
    }

    fn log_level(&self) -> LogLevel {
        // SAFETY: the log is a live connection's.
        unsafe { log::lowest(self.log) }
    }

    fn select(&mut self, stream: Option<StreamToken>) -> bool {
        // A VM keeps the token of a context only until the stream ends, so it leads to a live request.
        self.request = stream.map_or(ptr::null_mut(), |token| token.0 as *mut Request);
        if !self.request.is_null() && self.request != self.own && !self.others.contains(&self.request) {
            self.others.push(self.request);
        }
        true
    }

    fn map_get(&mut self, map: MapType, name: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let r = self.readable(map).ok_or(Status::NotFound)?;
        // SAFETY: the request is live.
        let found = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::get(r, name, value),
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
                _ => headers::response::visit(r, visit),
            }
        }
        Ok(())
    }

    fn map_add(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::add(r, name, value),
                _ => headers::response::add(r, name, value),
            }
        };
        self.finish(result)
    }

    fn map_replace(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::replace(r, name, value),
                _ => headers::response::replace(r, name, value),
            }
        };
        self.finish(result)
    }

    fn map_remove(&mut self, map: MapType, name: &[u8]) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::remove(r, name),
                _ => headers::response::remove(r, name),
            }
        };
        self.finish(result)
    }

    fn map_set(&mut self, map: MapType, pairs: &Pairs) -> Result<(), Status> {
        let r = self.writable(map).ok_or(Status::BadArgument)?;
        // SAFETY: the request is live.
        let result = unsafe {
            match map {
                MapType::RequestHeaders => headers::request::set(r, pairs),
                _ => headers::response::set(r, pairs),
            }
        };
        self.finish(result)
    }

    fn buffer(&mut self, _: BufferType) -> Result<&[u8], Status> {
        Err(Status::NotFound)
    }

    fn property(&mut self, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let r = self.r().ok_or(Status::NotFound)?;
        // SAFETY: the request is live.
        unsafe { properties::get(r, path, value) }
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let r = self.r().ok_or(Status::NotFound)?;
        // SAFETY: the request is live.
        unsafe { properties::set(r, path, value) }
    }

    fn send_local_response(&mut self, response: LocalResponse) -> Result<(), Status> {
        let request = self.request().ok_or(Status::BadArgument)?;
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
        let request = self.request().ok_or(Status::BadArgument)?;
        match stream {
            // SAFETY: the request is live.
            StreamType::Request | StreamType::Response => unsafe { (*request).resumed = Some(stream) },
            StreamType::Downstream | StreamType::Upstream => return Err(Status::BadArgument),
        }
        Ok(())
    }

    fn close_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        let request = self.request().ok_or(Status::BadArgument)?;
        match stream {
            // SAFETY: the request is live.
            StreamType::Request | StreamType::Response => unsafe { (*request).refused = true },
            StreamType::Downstream | StreamType::Upstream => return Err(Status::BadArgument),
        }
        Ok(())
    }
}

/// A filter without a request: start-up, and whatever a root context does.
pub struct RootHost {
    log: *mut ngx_log_t,
    filter: Vec<u8>,
    timeout: Duration,
}

impl RootHost {
    /// `log` must outlive the host.
    pub fn new(log: *mut ngx_log_t, filter: Vec<u8>, timeout: Duration) -> Self {
        RootHost { log, filter, timeout }
    }
}

impl Host for RootHost {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        // SAFETY: `new` asks for a log that lives.
        unsafe { log::guest(level, self.log, &self.filter, message) }
    }

    fn log_level(&self) -> LogLevel {
        // SAFETY: as above.
        unsafe { log::lowest(self.log) }
    }
}
