//! How bodies are encoded: what nginx's own modules look at beside the lines of headers.

use super::Refused;
use super::list::Line;
use crate::nginx::request::HttpRequest;

/// `line` is about to get another value: nginx's modules that look at Accept-Encoding go on seeing this one, if it is what they
/// look at.
#[cfg(ngx_feature = "http_gzip")]
pub fn keep_accept_encoding<'r>(r: HttpRequest<'r>, line: Line<'r>) -> Result<(), Refused> {
    // SAFETY: the request is live.
    if unsafe { (*r.as_ptr()).headers_in.accept_encoding } != line.as_ptr() {
        return Ok(());
    }
    // SAFETY: the line is live, and what it leads to stays as long as the copy.
    let kept = r.pool().own(unsafe { *line.as_ptr() }).ok_or(Refused::NoMemory)?;
    // SAFETY: the copy lies in the pool of the request.
    unsafe { (*r.as_ptr()).headers_in.accept_encoding = kept.as_ptr() };
    Ok(())
}

#[cfg(not(ngx_feature = "http_gzip"))]
pub fn keep_accept_encoding<'r>(_: HttpRequest<'r>, _: Line<'r>) -> Result<(), Refused> {
    Ok(())
}

/// The bytes of the response change, and its meaning does not: its entity tag, if any, is a weak one from now on.
pub fn weaken_etag(r: HttpRequest<'_>) {
    // SAFETY: the request is live; nginx allocates what it needs from its pool.
    unsafe { nginx_sys::ngx_http_weak_etag(r.as_ptr()) }
}
