//! What a request is for: its method, path and host, as nginx has them. `headers/` is the caller; nginx's own parser decides what
//! a valid path is.

use nginx_sys::{
    NGX_ESCAPE_URI, ngx_escape_uri, ngx_http_parse_complex_uri, ngx_http_parse_uri, ngx_str_t, ngx_uint_t,
};

use super::chain::NoMemory;
use super::request::HttpRequest;
use super::{location, rc};

/// Why a request has not got another path.
pub enum Unset {
    /// The pool has no memory.
    NoMemory,
    /// Nginx's parser does not take it.
    Malformed,
}

/// Gives the request another method; `number` is nginx's bit for it.
pub fn set_method(r: HttpRequest<'_>, name: &[u8], number: ngx_uint_t) -> Result<(), NoMemory> {
    let name = r.pool().copy(name).ok_or(NoMemory)?;
    // SAFETY: the request is live, and the text as long as it.
    unsafe { (*r.as_ptr()).method_name = name };
    r.set_method(number);
    Ok(())
}

/// Gives the request another host, without its port. What the request line said is over.
pub fn set_server(r: HttpRequest<'_>, host: &[u8]) -> Result<(), NoMemory> {
    let host = r.pool().copy(host).ok_or(NoMemory)?;
    // SAFETY: the request is live, and the text as long as it.
    unsafe { (*r.as_ptr()).headers_in.server = host };
    // SAFETY: the parser has done its work.
    unsafe { (*r.as_ptr()).host_start = std::ptr::null_mut() };
    Ok(())
}

/// The authority of an absolute URI in the request line. A subrequest has no request line of its own, but the server that this
/// one chose.
pub fn authority_of_line(r: HttpRequest<'_>) -> Option<&[u8]> {
    if !std::ptr::eq(r.server(), r.main().server()) {
        // A filter has given one of both another host since.
        return None;
    }
    let r = r.main();
    // SAFETY: the request is live, and nobody changes it meanwhile.
    let places = unsafe { &*r.as_ptr() };
    let (schema, start) = (places.schema_start, places.host_start);
    let (end, limit) = (places.host_end, places.request_end);
    let is_line = r.http_version() < nginx_sys::NGX_HTTP_VERSION_20 as usize;
    if !is_line || schema.is_null() || start.is_null() || end < start || limit < end {
        return None;
    }
    // SAFETY: the parser's pointers lead into the request line, which stays in memory with the request; `request_end` is there once
    // the parser has come to its end, which it does not for a line that is too long.
    let text: &[u8] = unsafe { std::slice::from_raw_parts(start, limit as usize - start as usize) };
    let (host, rest) = text.split_at(end as usize - start as usize);
    let port = match rest {
        [b':', digits @ ..] => 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    Some(&text[..host.len() + port])
}

/// A decoded path as nginx encodes it.
pub fn encoded(path: &[u8]) -> Vec<u8> {
    let (data, escape) = (path.as_ptr().cast_mut(), NGX_ESCAPE_URI as ngx_uint_t);
    // SAFETY: the path is only read; without a destination the function counts what it would encode.
    let count = unsafe { ngx_escape_uri(std::ptr::null_mut(), data, path.len(), escape) };
    if count == 0 {
        return path.to_vec();
    }
    let mut text = vec![0; path.len() + 2 * count];
    // SAFETY: what is encoded takes three bytes in the place of one.
    unsafe { ngx_escape_uri(text.as_mut_ptr(), data, path.len(), escape) };
    text
}

/// Gives the request another path with its query, as if the client had sent it.
pub fn set_path(r: HttpRequest<'_>, path: &[u8]) -> Result<(), Unset> {
    let text = r.pool().copy(path).ok_or(Unset::NoMemory)?;
    let Target { uri, args, exten } = parse(r, text).ok_or(Unset::Malformed)?;
    // SAFETY: the request is live, and nobody has a reference to it; the texts are as long as it.
    let fields = unsafe { &mut *r.as_ptr() };
    (fields.uri, fields.args, fields.exten, fields.unparsed_uri) = (uri, args, exten, text);
    r.set_valid_unparsed_uri(true);
    Ok(())
}

/// A path as nginx has it.
struct Target {
    uri: ngx_str_t,
    args: ngx_str_t,
    exten: ngx_str_t,
}

/// Where the parser works (src/http/ngx_http_parse.c, ngx_http_parse_uri and ngx_http_parse_complex_uri).
#[derive(Clone, Copy)]
struct Places {
    uri_start: *mut u8,
    uri_end: *mut u8,
    uri_ext: *mut u8,
    args_start: *mut u8,
    state: ngx_uint_t,
}

impl Places {
    fn of(r: HttpRequest<'_>) -> Places {
        // SAFETY: the request is live, and nobody changes it meanwhile.
        let r = unsafe { &*r.as_ptr() };
        Places {
            uri_start: r.uri_start,
            uri_end: r.uri_end,
            uri_ext: r.uri_ext,
            args_start: r.args_start,
            state: r.state,
        }
    }

    fn put(self, r: HttpRequest<'_>) {
        // SAFETY: the request is live, and nobody has a reference to it.
        let r = unsafe { &mut *r.as_ptr() };
        (r.uri_start, r.uri_end, r.uri_ext) = (self.uri_start, self.uri_end, self.uri_ext);
        (r.args_start, r.state) = (self.args_start, self.state);
    }
}

/// The text between two places of another one.
fn between(start: *mut u8, end: *mut u8) -> ngx_str_t {
    ngx_str_t { data: start, len: (end as usize).saturating_sub(start as usize) }
}

fn replace_exten(r: HttpRequest<'_>, exten: ngx_str_t) -> ngx_str_t {
    // SAFETY: the request is live; the callers pass nothing, or what was there before.
    unsafe { std::mem::replace(&mut (*r.as_ptr()).exten, exten) }
}

fn replace_uri(r: HttpRequest<'_>, uri: ngx_str_t) -> ngx_str_t {
    // SAFETY: the request is live; the callers pass text of its pool.
    unsafe { std::mem::replace(&mut (*r.as_ptr()).uri, uri) }
}

/// Has nginx parse a path. The marks that it leaves in the request (what has to be encoded) are those of the new one when
/// there is a result, and those of the old one otherwise.
fn parse(r: HttpRequest<'_>, text: ngx_str_t) -> Option<Target> {
    // Nginx reuses the memory of these fields later, so they are put back as they were.
    let places = Places::of(r);
    let marks = (r.is_complex_uri(), r.is_quoted_uri(), r.has_plus_in_uri(), r.is_path_empty_in_uri());
    let exten = replace_exten(r, ngx_str_t::empty());
    let (uri_start, uri_end) = (text.data, text.data.wrapping_add(text.len));
    let (uri_ext, args_start) = (std::ptr::null_mut(), std::ptr::null_mut());
    Places { uri_start, uri_end, uri_ext, args_start, state: 0 }.put(r);
    set_marks(r, (false, false, false, false));

    let uri = decode(r);
    let now = Places::of(r);
    places.put(r);
    // Of a path that it decodes, the parser sets the extension itself, and `uri_ext` is null then.
    let decoded_exten = replace_exten(r, exten);
    let Some(uri) = uri else {
        set_marks(r, marks);
        return None;
    };
    Some(Target {
        uri,
        args: if now.args_start.is_null() { ngx_str_t::empty() } else { between(now.args_start, now.uri_end) },
        exten: match now.uri_ext {
            start if start.is_null() => decoded_exten,
            start => between(start, uri.data.wrapping_add(uri.len)),
        },
    })
}

fn set_marks(r: HttpRequest<'_>, marks: (bool, bool, bool, bool)) {
    r.set_complex_uri(marks.0);
    r.set_quoted_uri(marks.1);
    r.set_plus_in_uri(marks.2);
    r.set_empty_path_in_uri(marks.3);
}

/// The decoded path of the text between `uri_start` and `uri_end`.
fn decode(r: HttpRequest<'_>) -> Option<ngx_str_t> {
    // SAFETY: `parse` has put a text of the pool there.
    if unsafe { ngx_http_parse_uri(r.as_ptr()) } != rc::OK {
        return None;
    }
    let places = Places::of(r);
    let end = if places.args_start.is_null() { places.uri_end } else { places.args_start.wrapping_sub(1) };
    let text = between(places.uri_start, end);
    if !r.is_complex_uri() && !r.is_quoted_uri() {
        return Some(text);
    }
    let data = r.pool().bytes(text.len + 1)?.as_mut_ptr().cast();
    // Decoding never makes a path longer. The parser writes to r->uri, whose old value must survive a failure.
    let old = replace_uri(r, ngx_str_t { len: text.len, data });
    // SAFETY: the text is one of the pool, and `uri` leads to room for what is decoded of it.
    let code = unsafe { ngx_http_parse_complex_uri(r.as_ptr(), location::merges_slashes(r).into()) };
    let uri = replace_uri(r, old);
    (code == rc::OK).then_some(uri)
}
