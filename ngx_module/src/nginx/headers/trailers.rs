//! Trailers of a response: a list of lines that nginx sends behind the body, when the protocol of the client has room for
//! them. Those of requests nginx throws away while it reads the body (src/http/ngx_http_parse.c, ngx_http_parse_chunked).

use nginx_sys::ngx_http_request_t;
use ngx_wasm::proxy_wasm::Pairs;

use super::list;
use super::{Ignored, Refused, check_name, check_pairs, check_value, unknown_pseudo_header};

/// Whether trailers can reach the client: HTTP/2 and later, or a body in chunks.
///
/// # Safety
/// `r` is a live request with a response, here and below.
pub unsafe fn can_be_sent(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above. Nginx chunks a body whose length it does not know, or when trailers are expected
    // (src/http/modules/ngx_http_chunked_filter_module.c).
    unsafe {
        let version = (*r).http_version;
        version >= nginx_sys::NGX_HTTP_VERSION_20 as usize
            || (*r).chunked() != 0
            || (version >= nginx_sys::NGX_HTTP_VERSION_11 as usize
                && ((*r).headers_out.content_length_n < 0
                    || (*r).expect_trailers() != 0
                    || super::response::announces_trailers(r)))
    }
}

/// How many trailers there are.
pub unsafe fn count(r: *mut ngx_http_request_t) -> u32 {
    // SAFETY: see `can_be_sent`.
    unsafe { list::lines(&raw mut (*r).headers_out.trailers).count() as u32 }
}

/// Appends the first value of `name` to `value`.
pub unsafe fn get(r: *mut ngx_http_request_t, name: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see `can_be_sent`.
    unsafe {
        let line = list::lines(&raw mut (*r).headers_out.trailers).find(|line| list::is(*line, name));
        if let Some(line) = line {
            value.extend_from_slice((*line).value.as_bytes());
        }
        line.is_some()
    }
}

/// Shows all pairs to `visit`.
pub unsafe fn visit(r: *mut ngx_http_request_t, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: see `can_be_sent`.
    unsafe {
        for line in list::lines(&raw mut (*r).headers_out.trailers) {
            list::show(line, visit);
        }
    }
}

/// Adds one more value.
pub unsafe fn add(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check(name, value)?;
    // SAFETY: see `can_be_sent`. Nginx makes the list with the request.
    unsafe { list::push(&raw mut (*r).headers_out.trailers, (*r).pool, name, value).map(|_| ()) }
}

/// Makes `value` the only one.
pub unsafe fn replace(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check(name, value)?;
    // SAFETY: see `can_be_sent`.
    unsafe {
        remove(r, name)?;
        add(r, name, value)
    }
}

/// Drops all values.
pub unsafe fn remove(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `can_be_sent`. Nginx skips lines whose hash is 0.
    unsafe {
        for line in list::lines(&raw mut (*r).headers_out.trailers).filter(|line| list::is(*line, name)) {
            (*line).hash = 0;
        }
    }
    Ok(())
}

/// Makes the trailers consist of `pairs` alone.
pub unsafe fn set(r: *mut ngx_http_request_t, pairs: &Pairs) -> Result<(), Refused> {
    check_pairs(pairs)?;
    // Everything is looked at before anything changes.
    for (name, value) in pairs.iter() {
        Ignored::default().pass(check(name, value))?;
    }
    // SAFETY: see `can_be_sent`.
    unsafe {
        for line in list::lines(&raw mut (*r).headers_out.trailers) {
            (*line).hash = 0;
        }
        let mut ignored = Ignored::default();
        for (name, value) in pairs.iter() {
            ignored.pass(add(r, name, value))?;
        }
        ignored.tell()
    }
}

/// Fields that say how a message is to be read cannot come behind it (RFC 9110, section 6.5.1).
fn check(name: &[u8], value: &[u8]) -> Result<(), Refused> {
    const HEADERS_ONLY: [&[u8]; 4] = [b"content-length", b"host", b"trailer", b"content-encoding"];
    if name.starts_with(b":") {
        return Err(unknown_pseudo_header(name));
    }
    check_name(name)?;
    check_value(name, value)?;
    if super::is_about_connection(name) || HEADERS_ONLY.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Err(Refused::Ignored(format!("\"{}\" cannot be a trailer and was not set", name.escape_ascii())));
    }
    Ok(())
}
