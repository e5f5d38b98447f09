//! Responses that filters make: instead of passing the request on ([`send`]), or in the place of a response that is on its
//! way ([`replace`]).

use nginx_sys::{
    ngx_buf_t, ngx_chain_t, ngx_http_clean_header, ngx_http_discard_request_body, ngx_http_output_filter,
    ngx_http_request_t, ngx_http_send_header, ngx_int_t, ngx_pcalloc,
};
use ngx_wasm::proxy_wasm::LocalResponse;

use crate::http::request::Request;
use crate::http::{phases, properties};
use crate::nginx::headers::{self, Refused};
use crate::nginx::modules::{self, Known};
use crate::nginx::{log, pool, rc};

/// Answers a request in a phase handler. The result is what the handler returns.
///
/// # Safety
/// `request` belongs to a live request whose response has not begun.
pub unsafe fn send(request: *mut Request, response: LocalResponse) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        if let Some(status) = phases::intercept(request, &response) {
            return status;
        }
        (*request).answered = true;
        // A client that waits for "100 Continue" gets the answer instead, as with nginx's own refusals
        // (src/http/ngx_http_special_response.c, ngx_http_special_response_handler).
        (*r).set_expect_tested(1);
        let result = ngx_http_discard_request_body(r);
        if result != rc::OK {
            return result;
        }
        let Some(body) = prepare(request, response) else { return rc::INTERNAL_SERVER_ERROR };
        let result = ngx_http_send_header(r);
        if result == rc::ERROR || result > rc::OK || (*r).header_only() != 0 {
            return result;
        }
        ngx_http_output_filter(r, body)
    }
}

/// The pool has no memory.
pub struct NoMemory;

/// Puts `response` in the place of the one whose headers are passing the header filter, and gives back its body. The
/// handler that makes the old response goes on; `body_filter.rs` takes what it sends.
///
/// # Safety
/// `request` belongs to a live request, in its header filter.
pub unsafe fn replace(request: *mut Request, response: LocalResponse) -> Result<*mut ngx_chain_t, NoMemory> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        (*request).answered = true;
        (*request).discard_body = true;
        // No other part of the old response is asked for.
        if !(*request).is_subrequest() {
            modules::forget(r, Known::Slice);
        }
        let body = prepare(request, response).ok_or(NoMemory)?;
        // Neither belongs to the new body.
        (*r).set_allow_ranges(0);
        (*r).set_disable_not_modified(1);
        // The old response may have had none. Of a subrequest that is to have none, as that of `auth_request`, nobody wants one.
        if !(*request).is_subrequest() {
            (*r).set_header_only(0);
        }
        Ok(body)
    }
}

/// Sends the response that [`replace`] began. The result is what the header filter returns.
///
/// # Safety
/// As [`replace`].
pub unsafe fn send_replaced(request: *mut Request, body: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let result = phases::next_header_filter(r);
        if result == rc::ERROR || result > rc::OK || (*r).header_only() != 0 {
            return result;
        }
        phases::hand_on(r, r, body)
    }
}

/// Fills in the headers of an answer that Lua sends, and gives back the body.
///
/// # Safety
/// `request` belongs to a live request whose response has not begun.
pub unsafe fn fill_in(request: *mut Request, response: LocalResponse) -> Vec<u8> {
    // SAFETY: see above.
    unsafe {
        (*request).answered = true;
        set_headers((*request).r, response)
    }
}

/// Changes the response whose headers Lua looks at into `response`; the body filter sends its body.
///
/// # Safety
/// `request` belongs to a live request, in Lua's header filter.
pub unsafe fn replace_later(request: *mut Request, response: LocalResponse) -> Result<(), NoMemory> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        // When the handler sends no body, there is no moment to send another.
        let no_body = (*r).header_only() != 0;
        (*request).other_body = replace(request, response)?;
        (*request).is_replaced = true;
        if no_body {
            (*r).set_header_only(1);
            headers::response::no_body(r);
        }
    }
    Ok(())
}

/// Fills in the headers, and makes a chain of the body.
unsafe fn prepare(request: *mut Request, response: LocalResponse) -> Option<*mut ngx_chain_t> {
    // SAFETY: see the callers.
    unsafe {
        let r = (*request).r;
        let body = set_headers(r, response);
        body_chain(r, &body)
    }
}

/// Puts the response's headers in the place of those that there are. The result is its body.
unsafe fn set_headers(r: *mut ngx_http_request_t, response: LocalResponse) -> Vec<u8> {
    // SAFETY: see the callers.
    unsafe {
        properties::note_details(r, &response.details);
        let response = if headers::request::is_grpc(r) { as_grpc(response) } else { response };
        ngx_http_clean_header(r);
        (*r).headers_out.status = response.status as usize;
        (*r).headers_out.status_line = nginx_sys::ngx_str_t::empty();
        let is_bodiless = headers::response::is_bodiless((*r).headers_out.status);
        let body = if is_bodiless { Vec::new() } else { response.body };
        (*r).headers_out.content_length_n = if is_bodiless { -1 } else { body.len() as i64 };
        if !body.is_empty() {
            // Envoy's default; a guest's own comes after it and wins.
            complain(r, headers::response::replace(r, b"content-type", b"text/plain"));
        }
        for (name, value) in response.headers.iter() {
            // The length is that of the body, whatever the guest says, and the status is the argument.
            if name.starts_with(b":") || name.eq_ignore_ascii_case(b"content-length") {
                continue;
            }
            complain(r, headers::response::add(r, name, value));
        }
        body
    }
}

/// A header that cannot be sent is left out; the response goes, since it may be what refuses the request.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn complain(r: *mut ngx_http_request_t, result: Result<(), Refused>) {
    let what = match result {
        Ok(()) => return,
        Err(Refused::NoMemory) => "no memory".to_owned(),
        Err(Refused::Malformed(what) | Refused::Ignored(what)) => what,
    };
    // SAFETY: see the callers.
    unsafe {
        let line = format!("wasm: a header of a local response is left out: {what}");
        log::write(nginx_sys::NGX_LOG_ERR, (*(*r).connection).log, line);
    }
}

/// A chain of one buffer, the last of a response.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn body_chain(r: *mut ngx_http_request_t, body: &[u8]) -> Option<*mut ngx_chain_t> {
    // SAFETY: the pool gives cleared memory for both structures; nginx does not send a buffer without content unless it is
    // the last one.
    unsafe {
        let buf = ngx_pcalloc((*r).pool, size_of::<ngx_buf_t>()).cast::<ngx_buf_t>();
        let chain = ngx_pcalloc((*r).pool, size_of::<ngx_chain_t>()).cast::<ngx_chain_t>();
        if buf.is_null() || chain.is_null() {
            return None;
        }
        if !body.is_empty() {
            let text = pool::copy((*r).pool, body)?;
            (*buf).pos = text.data;
            (*buf).last = text.data.add(text.len);
            (*buf).start = (*buf).pos;
            (*buf).end = (*buf).last;
            (*buf).set_memory(1);
        }
        // A subrequest ends a part of the response; see `flow/output.rs`.
        let is_main = r == (*r).main;
        (*buf).set_last_buf(u32::from(is_main));
        (*buf).set_sync(u32::from(!is_main && body.is_empty()));
        (*buf).set_last_in_chain(1);
        (*chain).buf = buf;
        Some(chain)
    }
}

/// gRPC clients look for their status in headers, and take any HTTP status but 200 for a broken proxy. Without a body the
/// headers are the whole answer ("Trailers-Only" in the gRPC protocol over HTTP/2).
fn as_grpc(response: LocalResponse) -> LocalResponse {
    let status = response.grpc_status.unwrap_or(match response.status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    });
    let mut headers = response.headers;
    headers.push(b"content-type", b"application/grpc");
    headers.push(b"grpc-status", status.to_string().as_bytes());
    if !response.body.is_empty() {
        headers.push(b"grpc-message", percent_encoded(&response.body).as_bytes());
    }
    LocalResponse { status: 200, body: Vec::new(), headers, ..response }
}

/// The encoding of grpc-message: everything but printable ASCII, and the percent sign.
fn percent_encoded(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(*byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
