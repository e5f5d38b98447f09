//! `request.*`.

use nginx_sys::{ngx_http_request_t, ngx_timeofday};

use super::{joined, number, pairs, size_of_map, text, variables};
use crate::http::request::Request;
use crate::nginx::headers;

/// Appends `request.<path>`.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn get(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above.
    unsafe {
        let header = |name: &[u8], value: &mut Vec<u8>| headers::request::get(r, name, value);
        match path {
            b"path" => header(b":path", value),
            b"url_path" => {
                let path = headers::path::current(r);
                text(value, path.split(|byte| *byte == b'?').next().unwrap_or_default())
            }
            b"query" => {
                let path = headers::path::current(r);
                let query = path.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
                text(value, query.split(|byte| *byte == b'#').next().unwrap_or_default())
            }
            b"host" => header(b":authority", value),
            b"scheme" => text(value, headers::request::scheme(r)),
            b"method" => header(b":method", value),
            b"referer" => header(b"referer", value),
            b"useragent" => header(b"user-agent", value),
            b"id" => header(b"x-request-id", value) || variables::get(r, b"request_id", value),
            b"protocol" => match protocol(r) {
                Some(protocol) => text(value, protocol),
                // A version that came up since, as the client wrote it.
                None => variables::get(r, b"server_protocol", value) || text(value, b""),
            },
            b"time" => number(value, nanoseconds((*r).start_sec, (*r).start_msec as i64)),
            b"duration" => is_over(r) && number(value, duration(r)),
            b"size" => number(value, announced_size(r)),
            b"headers_bytes" => number(value, headers_size(r)),
            b"total_size" => number(value, headers_size(r) + received(r)),
            b"headers" => pairs(value, |visit| headers::request::visit(r, visit)),
            _ => match path.strip_prefix(b"headers\0") {
                Some(name) if name.starts_with(b":") || name.eq_ignore_ascii_case(b"host") => header(name, value),
                Some(name) => joined(value, name, |visit| headers::request::visit(r, visit)),
                None => false,
            },
        }
    }
}

/// Envoy's spelling: later versions have no minor number.
unsafe fn protocol(r: *mut ngx_http_request_t) -> Option<&'static [u8]> {
    // SAFETY: see `get`. Nginx's numbers are 1000 times the major version, and the minor one.
    match unsafe { (*r).http_version } {
        9 => Some(b"HTTP/0.9"),
        1000 => Some(b"HTTP/1.0"),
        1001 => Some(b"HTTP/1.1"),
        2000 => Some(b"HTTP/2"),
        3000 => Some(b"HTTP/3"),
        _ => None,
    }
}

/// Whether the request has come to its end: the log phase.
unsafe fn is_over(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `get`.
    unsafe {
        let request = Request::of(r);
        !request.is_null() && (*request).logging
    }
}

fn nanoseconds(seconds: i64, milliseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(milliseconds.saturating_mul(1_000_000))
}

/// Time since the first byte of the request.
unsafe fn duration(r: *mut ngx_http_request_t) -> i64 {
    // SAFETY: see `get`; nginx keeps its time up to date.
    unsafe {
        let now = ngx_timeofday();
        nanoseconds(now.sec - (*r).start_sec, now.msec as i64 - (*r).start_msec as i64).max(0)
    }
}

unsafe fn headers_size(r: *mut ngx_http_request_t) -> i64 {
    // SAFETY: see `get`.
    size_of_map(|visit| unsafe { headers::request::visit(r, visit) })
}

/// The length of the body that the client announced, or else what has come of it.
unsafe fn announced_size(r: *mut ngx_http_request_t) -> i64 {
    // SAFETY: see `get`.
    unsafe { announced(r).unwrap_or_else(|| received(r)) }
}

/// What the header says. Nginx's own field for it changes while a body is read or thrown away.
unsafe fn announced(r: *mut ngx_http_request_t) -> Option<i64> {
    // SAFETY: see `get`.
    unsafe {
        let line = (*r).headers_in.content_length.as_ref()?;
        std::str::from_utf8(line.value.as_bytes()).ok()?.parse().ok()
    }
}

/// How much of the body has come, without what parts it on the wire.
unsafe fn received(r: *mut ngx_http_request_t) -> i64 {
    // SAFETY: see `get`. `rest` is what nginx still waits for, less than 0 before it begins; of a body that it throws away,
    // that is in the field for the announced length. For chunks this field has the sum of their lengths
    // (src/http/ngx_http_request_body.c). HTTP/2 and later count in the body (src/http/v2/ngx_http_v2.c).
    unsafe {
        let body = (*r).request_body;
        let length = (*r).headers_in.content_length_n.max(0);
        if (*r).http_version >= nginx_sys::NGX_HTTP_VERSION_20 as usize {
            return body.as_ref().map_or(0, |body| body.received.max(0));
        }
        if (*r).headers_in.chunked() != 0 {
            return if body.is_null() { 0 } else { length };
        }
        let announced = announced(r).unwrap_or(length);
        let rest = match body.as_ref() {
            None => length,
            Some(body) if body.rest < 0 => announced,
            Some(body) => body.rest,
        };
        (announced - rest).max(0)
    }
}
