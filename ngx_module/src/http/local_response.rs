//! Responses that filters make: instead of passing the request on ([`send`]), or in the place of a response that is on its
//! way ([`replace`]).

use nginx_sys::ngx_int_t;
use ngx_wasm::grpc::{code, encode_message};
use ngx_wasm::proxy_wasm::LocalResponse;

use crate::http::request::Request;
use crate::http::{phases, properties};
use crate::nginx::chain::{Buf, Chain};
use crate::nginx::headers::{self, Refused};
use crate::nginx::modules::{self, OtherModule};
use crate::nginx::request::HttpRequest;
use crate::nginx::{filters, rc, request_body};

pub use crate::nginx::chain::NoMemory;

/// Answers a request in a phase handler, whose response has not begun. The result is what the handler returns.
pub fn send(request: &Request, response: LocalResponse) -> ngx_int_t {
    let r = request.r();
    if let Some(status) = phases::intercept(request, &response) {
        return status;
    }
    request.answered.set(true);
    // A client that waits for "100 Continue" gets the answer instead, as with nginx's own refusals
    // (src/http/ngx_http_special_response.c, ngx_http_special_response_handler).
    r.set_expect_tested(true);
    let result = request_body::discard(r);
    if result != rc::OK {
        return result;
    }
    let Some(body) = prepare(r, response) else { return rc::INTERNAL_SERVER_ERROR };
    let result = filters::send_header(r);
    if result == rc::ERROR || result > rc::OK || r.is_header_only() {
        return result;
    }
    filters::output(r, body)
}

/// Puts `response` in the place of the one whose headers are passing the header filter, and gives back its body. The
/// handler that makes the old response goes on; `body_filter.rs` takes what it sends.
pub fn replace(request: &Request, response: LocalResponse) -> Result<Chain, NoMemory> {
    let r = request.r();
    request.answered.set(true);
    request.discard_body.set(true);
    // No other part of the old response is asked for.
    if !request.is_subrequest() {
        modules::forget(r, OtherModule::Slice);
    }
    let body = prepare(r, response).ok_or(NoMemory)?;
    // Neither belongs to the new body.
    r.set_allow_ranges(false);
    r.set_disable_not_modified(true);
    // The old response may have had none. Of a subrequest that is to have none, as that of `auth_request`, nobody wants one.
    if !request.is_subrequest() {
        r.set_header_only(false);
    }
    Ok(body)
}

/// Sends the response that [`replace`] began. The result is what the header filter returns.
pub fn send_replaced(request: &Request, body: Chain) -> ngx_int_t {
    let r = request.r();
    let result = phases::next_header_filter(r);
    if result == rc::ERROR || result > rc::OK || r.is_header_only() {
        return result;
    }
    phases::hand_on(r, r, body)
}

/// Fills in the headers of an answer that Lua sends, before the response has begun, and gives back the body.
pub fn fill_in(request: &Request, response: LocalResponse) -> Vec<u8> {
    request.answered.set(true);
    set_headers(request.r(), response)
}

/// Changes the response whose headers Lua looks at, in its header filter, into `response`; the body filter sends its body.
pub fn replace_later(request: &Request, response: LocalResponse) -> Result<(), NoMemory> {
    let r = request.r();
    // When the handler sends no body, there is no moment to send another.
    let no_body = r.is_header_only();
    request.other_body.set(replace(request, response)?);
    request.is_replaced.set(true);
    if no_body {
        r.set_header_only(true);
        headers::response::no_body(r);
    }
    Ok(())
}

/// Fills in the headers, and makes a chain of the body.
fn prepare(r: HttpRequest<'_>, response: LocalResponse) -> Option<Chain> {
    let body = set_headers(r, response);
    body_chain(r, &body)
}

/// Puts the response's headers in the place of those that there are. The result is its body.
fn set_headers(r: HttpRequest<'_>, response: LocalResponse) -> Vec<u8> {
    properties::note_details(r, &response.details);
    let response = if headers::request::is_grpc(r) { as_grpc(response) } else { response };
    r.clean_header();
    r.set_status(response.status as usize);
    headers::fields::clear_status_line(r);
    let is_bodiless = headers::response::is_bodiless(r.status());
    let body = if is_bodiless { Vec::new() } else { response.body };
    r.set_content_length(if is_bodiless { -1 } else { body.len() as i64 });
    if !body.is_empty() {
        // Envoy's default; a guest's own comes after it and wins.
        log_refused(r, headers::response::replace(r, b"content-type", b"text/plain"));
    }
    for (name, value) in response.headers.iter() {
        // The length is that of the body, whatever the guest says, and the status is the argument.
        if name.starts_with(b":") || name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        log_refused(r, headers::response::add(r, name, value));
    }
    body
}

/// A header that cannot be sent is left out; the response goes, since it may be what refuses the request.
pub fn log_refused(r: HttpRequest<'_>, result: Result<(), Refused>) {
    let what = match result {
        Ok(()) => return,
        Err(Refused::NoMemory) => "no memory".to_owned(),
        Err(Refused::Malformed(what) | Refused::Ignored(what)) => what,
    };
    r.log().error(format!("wasm: a header of a local response is left out: {what}"));
}

/// A chain of one buffer, the last of a response. Nginx does not send a buffer without content unless it is the last one.
pub fn body_chain(r: HttpRequest<'_>, body: &[u8]) -> Option<Chain> {
    let buf = Buf::with_copy(r.pool(), body)?;
    // A subrequest ends a part of the response; see `nginx/output.rs`.
    buf.set_last(r.is_main());
    buf.set_sync(!r.is_main() && body.is_empty());
    buf.set_last_in_chain(true);
    Chain::of_buf(r.pool(), buf)
}

/// gRPC clients look for their status in headers, and take any HTTP status but 200 for a broken proxy. Without a body the
/// headers are the whole answer ("Trailers-Only" in the gRPC protocol over HTTP/2).
fn as_grpc(response: LocalResponse) -> LocalResponse {
    let of_http = || code::of_http_status(u16::try_from(response.status).unwrap_or(0));
    let status = response.grpc_status.unwrap_or_else(of_http);
    let mut headers = response.headers;
    headers.push(b"content-type", b"application/grpc");
    headers.push(b"grpc-status", status.to_string().as_bytes());
    if !response.body.is_empty() {
        headers.push(b"grpc-message", encode_message(&response.body).as_bytes());
    }
    LocalResponse { status: 200, body: Vec::new(), headers, ..response }
}
