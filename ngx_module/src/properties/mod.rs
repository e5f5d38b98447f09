//! Properties: values that a filter asks for by path. Numbers are 8 bytes little endian, timestamps and durations
//! nanoseconds, the rest text. A file for each family; `host.rs` is the caller.

mod connection;
mod request;
mod response;
mod variables;

use nginx_sys::ngx_http_request_t;
use ngx_wasm::proxy_wasm::Status;

pub use request::scheme;

/// Appends the value of the property at `path`, whose segments are separated by NUL.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn get(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
    let mut segments = path.splitn(2, |byte| *byte == 0);
    let first = segments.next().unwrap_or_default();
    // SAFETY: see above.
    let found = unsafe {
        match (first, segments.next()) {
            (b"request", Some(rest)) => request::get(r, rest, value),
            (b"response", Some(rest)) => response::get(r, rest, value),
            (b"source", Some(rest)) => connection::source(r, rest, value),
            (b"destination", Some(rest)) => connection::destination(r, rest, value),
            (b"connection", Some(rest)) => connection::get(r, rest, value),
            (b"ngx", Some(name)) => variables::get(r, name, value),
            // A path of one segment is a variable of nginx, with or without "ngx." before it: filters for the two other
            // Wasm modules for nginx use these forms.
            (name, None) => match name.strip_prefix(b"ngx.") {
                Some(name) => variables::get(r, name, value),
                None => variables::get(r, name, value),
            },
            _ => false,
        }
    };
    if found { Ok(()) } else { Err(Status::NotFound) }
}

/// Sets a property: variables of nginx that can be set.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn set(r: *mut ngx_http_request_t, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let name = path.strip_prefix(b"ngx\0").or_else(|| path.strip_prefix(b"ngx.")).unwrap_or(path);
    // SAFETY: see above.
    unsafe { variables::set(r, name, value) }
}

fn number(value: &mut Vec<u8>, number: impl TryInto<i64>) -> bool {
    match number.try_into() {
        Ok(number) => {
            value.extend_from_slice(&number.to_le_bytes());
            true
        }
        Err(_) => false,
    }
}

fn boolean(value: &mut Vec<u8>, boolean: bool) -> bool {
    value.push(u8::from(boolean));
    true
}

fn text(value: &mut Vec<u8>, text: &[u8]) -> bool {
    value.extend_from_slice(text);
    true
}
