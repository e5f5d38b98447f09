//! Trailers of a response: a list of lines that nginx sends behind the body, when the protocol of the client has room for
//! them. Those of requests nginx throws away while it reads the body (src/http/ngx_http_parse.c, ngx_http_parse_chunked).

use ngx_wasm::proxy_wasm::Pairs;

use super::list;
use super::{Ignored, Refused, check_name, check_pairs, check_value, unknown_pseudo_header};
use crate::nginx::request::HttpRequest;

/// Whether trailers can reach the client: HTTP/2 and later, or a body in chunks. Nginx chunks a body whose length it does not
/// know, or when trailers are expected (src/http/modules/ngx_http_chunked_filter_module.c).
pub fn can_be_sent(r: HttpRequest<'_>) -> bool {
    let version = r.http_version();
    version >= nginx_sys::NGX_HTTP_VERSION_20 as usize
        || r.is_chunked()
        || (version >= nginx_sys::NGX_HTTP_VERSION_11 as usize
            && (r.content_length() < 0 || r.expects_trailers() || super::response::announces_trailers(r)))
}

/// How many trailers there are.
pub fn count(r: HttpRequest<'_>) -> u32 {
    list::of_trailers(r).lines().count() as u32
}

/// Appends the first value of `name` to `value`.
pub fn get(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    let line = list::of_trailers(r).named(name).next();
    if let Some(line) = line {
        value.extend_from_slice(line.value());
    }
    line.is_some()
}

/// Shows all pairs to `visit`.
pub fn visit(r: HttpRequest<'_>, visit: &mut dyn FnMut(&[u8], &[u8])) {
    list::of_trailers(r).lines().for_each(|line| line.show(visit));
}

/// Adds one more value.
pub fn add(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check(name, value)?;
    list::of_trailers(r).push(name, value).map(|_| ())
}

/// Makes `value` the only one.
pub fn replace(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check(name, value)?;
    remove(r, name)?;
    add(r, name, value)
}

/// Drops all values.
pub fn remove(r: HttpRequest<'_>, name: &[u8]) -> Result<(), Refused> {
    list::of_trailers(r).hide(name);
    Ok(())
}

/// Makes the trailers consist of `pairs` alone.
pub fn set(r: HttpRequest<'_>, pairs: &Pairs) -> Result<(), Refused> {
    check_pairs(pairs)?;
    // Everything is looked at before anything changes.
    for (name, value) in pairs.iter() {
        Ignored::default().pass(check(name, value))?;
    }
    for line in list::of_trailers(r).lines() {
        line.hide();
    }
    let mut ignored = Ignored::default();
    for (name, value) in pairs.iter() {
        ignored.pass(add(r, name, value))?;
    }
    ignored.into_result()
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
