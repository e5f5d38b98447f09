//! `request.*`.

use super::{joined, number, pairs, size_of_map, text, variables};
use crate::http::request::Request;
use crate::nginx::request::HttpRequest;
use crate::nginx::{cycle, headers};

/// Appends `request.<path>`.
pub fn get(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
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
        b"time" => {
            let (sec, msec) = r.start_time();
            number(value, nanoseconds(sec, msec))
        }
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

/// Envoy's spelling: later versions have no minor number.
fn protocol(r: HttpRequest<'_>) -> Option<&'static [u8]> {
    // Nginx's numbers are 1000 times the major version, and the minor one.
    match r.http_version() {
        9 => Some(b"HTTP/0.9"),
        1000 => Some(b"HTTP/1.0"),
        1001 => Some(b"HTTP/1.1"),
        2000 => Some(b"HTTP/2"),
        3000 => Some(b"HTTP/3"),
        _ => None,
    }
}

/// Whether the request has come to its end: the log phase.
fn is_over(r: HttpRequest<'_>) -> bool {
    Request::of(r).is_some_and(|request| request.logging.get())
}

fn nanoseconds(seconds: i64, milliseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(milliseconds.saturating_mul(1_000_000))
}

/// Time since the first byte of the request.
fn duration(r: HttpRequest<'_>) -> i64 {
    let ((sec, msec), (start_sec, start_msec)) = (cycle::time(), r.start_time());
    nanoseconds(sec - start_sec, msec - start_msec).max(0)
}

fn headers_size(r: HttpRequest<'_>) -> i64 {
    size_of_map(|visit| headers::request::visit(r, visit))
}

/// The length of the body that the client announced, or else what has come of it.
fn announced_size(r: HttpRequest<'_>) -> i64 {
    announced(r).unwrap_or_else(|| received(r))
}

/// What the header says. Nginx's own field for it changes while a body is read or thrown away.
fn announced(r: HttpRequest<'_>) -> Option<i64> {
    let line = headers::fields::request_content_length(r).get()?;
    std::str::from_utf8(line.value()).ok()?.parse().ok()
}

/// How much of the body has come, without what parts it on the wire.
fn received(r: HttpRequest<'_>) -> i64 {
    // `rest` is what nginx still waits for, less than 0 before it begins; of a body that it throws away, that is in the field for
    // the announced length. For chunks this field has the sum of their lengths (src/http/ngx_http_request_body.c). HTTP/2 and
    // later count in the body (src/http/v2/ngx_http_v2.c).
    let body = r.request_body();
    let length = r.body_length().max(0);
    if r.http_version() >= nginx_sys::NGX_HTTP_VERSION_20 as usize {
        return body.map_or(0, |body| body.received().max(0));
    }
    if r.is_body_chunked() {
        return if body.is_none() { 0 } else { length };
    }
    let announced = announced(r).unwrap_or(length);
    let rest = match body {
        None => length,
        Some(body) if body.rest() < 0 => announced,
        Some(body) => body.rest(),
    };
    (announced - rest).max(0)
}
