//! `response.*`.

use std::cell::RefCell;

use ngx_wasm::grpc::code;

use super::upstream::{self, UpstreamOutcome};
use super::{joined, milliseconds, number, pairs, size_of_map, text};
use crate::http::request::Request;
use crate::nginx::headers;
use crate::nginx::pool::Kept;
use crate::nginx::request::HttpRequest;

/// The status of nginx for a client that has gone.
const CLIENT_CLOSED_REQUEST: usize = 499;

/// `response.code_details` of a response that stands in for a filter that failed; Envoy's word.
pub const FAILED_STREAM: &[u8] = b"wasm_fail_stream";

/// Appends `response.<path>`. Before there is a response, sizes are 0, maps empty, and all else is not there.
pub fn get(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
    let is_there = r.status() != 0;
    match path {
        b"code" => is_there && number(value, r.status()),
        b"code_details" => is_there && text(value, &details(r)),
        b"flags" => number(value, if is_there { flags(r) } else { 0 }),
        b"grpc_status" => is_there && number(value, grpc_status(r)),
        b"size" => number(value, body_size(r)),
        b"headers_bytes" => number(value, size_of_map(|visit| visit_headers(r, visit))),
        b"total_size" => {
            let headers = size_of_map(|visit| visit_headers(r, visit));
            number(value, body_size(r) + headers + size_of_map(|visit| headers::trailers::visit(r, visit)))
        }
        b"backend_latency" => upstream::latency(r).is_some_and(|span| milliseconds(value, span)),
        b"headers" => pairs(value, |visit| visit_headers(r, visit)),
        b"trailers" => pairs(value, |visit| headers::trailers::visit(r, visit)),
        _ => {
            if let Some(name) = path.strip_prefix(b"headers\0") {
                return joined(value, name, |visit| visit_headers(r, visit));
            }
            path.strip_prefix(b"trailers\0")
                .is_some_and(|name| joined(value, name, |visit| headers::trailers::visit(r, visit)))
        }
    }
}

fn visit_headers(r: HttpRequest<'_>, visit: &mut dyn FnMut(&[u8], &[u8])) {
    if r.status() != 0 {
        headers::response::visit(r, visit);
    }
}

/// What of the body has been sent: nginx counts all bytes, and apart from them those of the header (for HTTP/2, of all
/// frames but for what they carry).
fn body_size(r: HttpRequest<'_>) -> i64 {
    (r.connection().sent() - r.header_size() as i64).max(0)
}

/// In the trailers, in the headers, or what the status means to gRPC.
fn grpc_status(r: HttpRequest<'_>) -> i64 {
    let mut shown = Vec::new();
    let name = b"grpc-status";
    let is_said = joined(&mut shown, name, |visit| headers::trailers::visit(r, visit))
        || joined(&mut shown, name, |visit| visit_headers(r, visit));
    if is_said {
        // Envoy's word for what is no number.
        return std::str::from_utf8(&shown).ok().and_then(|shown| shown.parse().ok()).unwrap_or(-1);
    }
    i64::from(code::of_http_status(u16::try_from(r.status()).unwrap_or(0)))
}

/// Envoy's bits for what went wrong (envoy/stream_info/stream_info.h there), for what nginx knows.
fn flags(r: HttpRequest<'_>) -> i64 {
    const NO_HEALTHY_UPSTREAM: i64 = 0x2;
    const UPSTREAM_REQUEST_TIMEOUT: i64 = 0x4;
    const UPSTREAM_CONNECTION_FAILURE: i64 = 0x20;
    const UPSTREAM_CONNECTION_TERMINATION: i64 = 0x40;
    const DOWNSTREAM_CONNECTION_TERMINATION: i64 = 0x4000;
    const RESPONSE_FROM_CACHE: i64 = 0x10_0000;
    const UPSTREAM_PROTOCOL_ERROR: i64 = 0x80_0000;
    const DNS_RESOLUTION_FAILED: i64 = 0x400_0000;
    if r.status() == CLIENT_CLOSED_REQUEST {
        return DOWNSTREAM_CONNECTION_TERMINATION;
    }
    if is_own(r) {
        return 0;
    }
    match upstream::outcome(r) {
        UpstreamOutcome::NotAsked | UpstreamOutcome::Answered => 0,
        UpstreamOutcome::Cached => RESPONSE_FROM_CACHE,
        UpstreamOutcome::Unresolved => DNS_RESOLUTION_FAILED,
        UpstreamOutcome::NoPeer => NO_HEALTHY_UPSTREAM,
        UpstreamOutcome::NoConnection => UPSTREAM_CONNECTION_FAILURE,
        UpstreamOutcome::TimedOut => UPSTREAM_REQUEST_TIMEOUT,
        UpstreamOutcome::Reset => UPSTREAM_CONNECTION_TERMINATION,
        UpstreamOutcome::Malformed => UPSTREAM_PROTOCOL_ERROR,
    }
}

/// Where the response comes from, in Envoy's words.
fn details(r: HttpRequest<'_>) -> Vec<u8> {
    if r.status() == CLIENT_CLOSED_REQUEST {
        return b"downstream_remote_disconnect".to_vec();
    }
    if let Some(local) = local(r) {
        return local.0.borrow().clone();
    }
    if has_failed(r) {
        return FAILED_STREAM.to_vec();
    }
    let details: &[u8] = match upstream::outcome(r) {
        UpstreamOutcome::NotAsked => b"direct_response",
        UpstreamOutcome::Answered => b"via_upstream",
        UpstreamOutcome::Cached => b"cache.response_from_cache_filter",
        UpstreamOutcome::Unresolved => b"dns_resolution_failure",
        UpstreamOutcome::NoPeer => b"no_healthy_upstream",
        UpstreamOutcome::NoConnection => b"upstream_reset_before_response_started{remote_connection_failure}",
        UpstreamOutcome::TimedOut => b"response_timeout",
        UpstreamOutcome::Reset => b"upstream_reset_before_response_started{connection_termination}",
        UpstreamOutcome::Malformed => b"upstream_reset_before_response_started{protocol_error}",
    };
    details.to_vec()
}

/// Whether a filter made the response, or the lack of one did.
fn is_own(r: HttpRequest<'_>) -> bool {
    local(r).is_some() || has_failed(r)
}

fn has_failed(r: HttpRequest<'_>) -> bool {
    Request::of(r).is_some_and(|request| request.failed.get())
}

/// Why the filter that made the response made it; in the pool of its request.
struct LocalDetails(RefCell<Vec<u8>>);

fn local(r: HttpRequest<'_>) -> Option<Kept<LocalDetails>> {
    r.pool().find::<LocalDetails>(|_| true)
}

/// Keeps the reason that a filter gave for its response. Without memory it is lost, and the response goes all the same.
pub fn note_details(r: HttpRequest<'_>, details: &[u8]) {
    match local(r) {
        Some(local) => drop(local.0.replace(details.to_vec())),
        None => {
            let _ = r.pool().own(LocalDetails(RefCell::new(details.to_vec())));
        }
    }
}
