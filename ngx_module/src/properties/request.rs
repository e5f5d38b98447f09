//! `request.*`.

use nginx_sys::{ngx_http_request_t, ngx_timeofday};
use ngx_wasm::proxy_wasm::Pairs;

use super::{number, text, variables};
use crate::headers;

/// Appends `request.<path>`.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn get(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above.
    unsafe {
        let header = |name: &[u8], value: &mut Vec<u8>| headers::request::get(r, name, value);
        match path {
            b"path" => header(b":path", value),
            b"url_path" => {
                let path = (*r).unparsed_uri.as_bytes();
                text(value, path.split(|byte| *byte == b'?').next().unwrap_or_default())
            }
            b"query" => {
                let path = (*r).unparsed_uri.as_bytes();
                text(value, path.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default())
            }
            b"host" => header(b":authority", value),
            b"scheme" => text(value, scheme(r)),
            b"method" => header(b":method", value),
            b"referer" => header(b"referer", value),
            b"useragent" => header(b"user-agent", value),
            b"id" => header(b"x-request-id", value) || variables::get(r, b"request_id", value),
            b"protocol" => variables::get(r, b"server_protocol", value),
            b"time" => number(value, nanoseconds((*r).start_sec, (*r).start_msec as i64)),
            b"duration" => number(value, duration(r)),
            b"size" => number(value, body_size(r)),
            b"total_size" => number(value, (*r).request_length),
            b"headers" => {
                let mut pairs = Pairs::default();
                headers::request::visit(r, &mut |name, text| pairs.push(name, text));
                Pairs::encode(pairs.iter(), value).is_ok()
            }
            _ => match path.strip_prefix(b"headers\0") {
                Some(name) => header(name, value),
                None => false,
            },
        }
    }
}

/// `https` when the client's connection has TLS.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn scheme(r: *mut ngx_http_request_t) -> &'static [u8] {
    // SAFETY: see above. The pointer is there in builds with TLS and in all with --with-compat.
    #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
    unsafe {
        if !(*(*r).connection).ssl.is_null() {
            return b"https";
        }
    }
    let _ = r;
    b"http"
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

/// What of the body has come, or is said to come.
unsafe fn body_size(r: *mut ngx_http_request_t) -> i64 {
    // SAFETY: see `get`.
    unsafe {
        if (*r).headers_in.content_length_n > 0 {
            return (*r).headers_in.content_length_n;
        }
        let body = (*r).request_body;
        if body.is_null() { 0 } else { (*body).received.max(0) }
    }
}
