//! Headers of a request. Beside the list, nginx has a field for each header that it knows; both change together.

use nginx_sys::ngx_uint_t;
use ngx_wasm::proxy_wasm::Pairs;

use super::{Ignored, Refused, check_name, check_pairs, check_value, is_token, unknown_pseudo_header};
use super::{fields, list, path, variables};
use crate::nginx::request::HttpRequest;
use crate::nginx::target;

/// Appends the first value of `name` to `value`.
pub fn get(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    match name {
        b":path" => value.extend_from_slice(&path::current(r)),
        b":method" => value.extend_from_slice(r.method_name()),
        b":scheme" => value.extend_from_slice(scheme(r)),
        _ => {
            let is_host = name == b":authority" || name.eq_ignore_ascii_case(b"host");
            // By that of the request line nginx chooses the server whatever the Host line says (RFC 9112, section 3.2.2).
            if is_host && let Some(authority) = target::authority_of_line(r) {
                value.extend_from_slice(authority);
                return true;
            }
            let name = if is_host { b"host".as_slice() } else { name };
            let Some(line) = list::of_request(r).named(name).next() else {
                // HTTP/2 and absolute URIs name the host without a line; HTTP/1.0 and 0.9 need not name any.
                if is_host {
                    value.extend_from_slice(r.server());
                }
                return is_host;
            };
            value.extend_from_slice(line.value());
        }
    }
    true
}

/// Shows all pairs to `visit`, pseudo-headers first; `host` is `:authority`.
pub fn visit(r: HttpRequest<'_>, visit: &mut dyn FnMut(&[u8], &[u8])) {
    let mut authority = Vec::new();
    get(r, b":authority", &mut authority);
    visit(b":authority", &authority);
    visit(b":path", &path::current(r));
    visit(b":method", r.method_name());
    visit(b":scheme", scheme(r));
    for line in list::of_request(r).lines() {
        if !line.is(b"host") {
            line.show(visit);
        }
    }
}

/// How many pairs [`visit`] shows.
pub fn count(r: HttpRequest<'_>) -> u32 {
    const PSEUDO: u32 = 4;
    let others = list::of_request(r).lines().filter(|line| !line.is(b"host"));
    PSEUDO + others.count() as u32
}

/// Whether nothing follows the headers.
pub fn end_stream(r: HttpRequest<'_>) -> bool {
    if !r.is_main() {
        // A subrequest has what has been read before it was made, and cannot read anything.
        return r.request_body().is_none_or(|body| body.bufs().is_empty());
    }
    if r.body_length() > 0 || r.is_body_chunked() {
        return false;
    }
    // Without a length, only the stream of HTTP/2 knows.
    r.is_stream_closed().unwrap_or(true)
}

/// Adds one more value. Pseudo-headers and the host have one only, so it becomes that.
pub fn add(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    if is_single(name) {
        return replace(r, name, value);
    }
    check_name(name)?;
    check_value(name, value)?;
    list::of_request(r).push(name, value)?;
    sync(r, name)
}

/// Makes `value` the only one.
pub fn replace(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check_value(name, value)?;
    // What a filter writes back as it was read is left as nginx has it: an empty host, a path that nginx has made.
    let mut now = Vec::new();
    if is_single(name) && get(r, name, &mut now) && now == value {
        return Ok(());
    }
    match name {
        b":path" => return path::set(r, value),
        b":method" => return set_method(r, value),
        b":scheme" => return set_scheme(r, value),
        b":authority" => {}
        _ if name.starts_with(b":") => return Err(unknown_pseudo_header(name)),
        _ => {}
    }
    let is_host = name == b":authority" || name.eq_ignore_ascii_case(b"host");
    let name = if is_host { b"Host".as_slice() } else { name };
    check_name(name)?;
    if is_host {
        check_host(value)?;
    }
    list::of_request(r).remove(name)?;
    list::of_request(r).push(name, value)?;
    if is_host {
        set_server(r, value)?;
    }
    sync(r, name)
}

/// Drops all values.
pub fn remove(r: HttpRequest<'_>, name: &[u8]) -> Result<(), Refused> {
    // A request has always these.
    if matches!(name, b":path" | b":method" | b":scheme" | b":authority") {
        return Ok(());
    }
    list::of_request(r).remove(name)?;
    sync(r, name)
}

/// Makes the headers consist of `pairs` alone. Pseudo-headers that are not among them stay.
pub fn set(r: HttpRequest<'_>, pairs: &Pairs) -> Result<(), Refused> {
    // Everything is looked at before anything changes.
    check_pairs(pairs)?;
    let mut old: Vec<Vec<u8>> = Vec::new();
    for line in list::of_request(r).lines() {
        let name = line.name().to_ascii_lowercase();
        if name != b"host" && !old.contains(&name) {
            old.push(name);
        }
    }
    for name in &old {
        remove(r, name)?;
    }
    let mut ignored = Ignored::default();
    for (name, value) in pairs.iter() {
        ignored.pass(add(r, name, value))?;
    }
    ignored.into_result()
}

/// Gives a subrequest headers of its own: nginx lets it share those of the request that made it, of which it has copied only
/// the first structure (src/http/ngx_http_core_module.c, ngx_http_subrequest).
pub fn own(r: HttpRequest<'_>) -> Result<(), Refused> {
    let list = list::of_request(r);
    let old: Vec<_> = list.lines().collect();
    list.begin(old.len().max(4))?;
    fields::forget_arrays(r);
    let mut names: Vec<&[u8]> = Vec::new();
    for line in old {
        list.push_copy(line)?;
        if !names.iter().any(|known| known.eq_ignore_ascii_case(line.name())) {
            names.push(line.name());
        }
    }
    for name in names {
        set_field(r, name)?;
    }
    Ok(())
}

/// Tells nginx that the body has another length than the client said.
pub fn set_length(r: HttpRequest<'_>, length: u64) {
    r.set_body_length(i64::try_from(length).unwrap_or(i64::MAX));
    // A body in chunks had no such line, and what reads the length without it looks at the number.
    let field = fields::request_content_length(r);
    let Some(line) = field.get() else { return };
    if line.set_value(r.pool(), length.to_string().as_bytes()).is_err() {
        // Better no line than one that says something else than the number.
        field.set(None);
    }
}

/// Whether this is a call of gRPC.
pub fn is_grpc(r: HttpRequest<'_>) -> bool {
    let Some(line) = fields::request_content_type(r).get() else { return false };
    matches!(line.value().strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
}

fn is_single(name: &[u8]) -> bool {
    name.starts_with(b":") || name.eq_ignore_ascii_case(b"host")
}

/// Brings what nginx knows of a header in line with the list: its variables, and the field that it has.
fn sync(r: HttpRequest<'_>, name: &[u8]) -> Result<(), Refused> {
    set_field(r, name)?;
    variables::follow(r);
    Ok(())
}

fn set_field(r: HttpRequest<'_>, name: &[u8]) -> Result<(), Refused> {
    let lower = name.to_ascii_lowercase();
    fields::of_request(r, &lower).map_or(Ok(()), |field| field.set(list::of_request(r).named(&lower)))
}

fn set_method(r: HttpRequest<'_>, method: &[u8]) -> Result<(), Refused> {
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Refused::Malformed(format!("invalid :method \"{}\"", method.escape_ascii())));
    }
    let number = match method {
        b"GET" => nginx_sys::NGX_HTTP_GET,
        b"HEAD" => nginx_sys::NGX_HTTP_HEAD,
        b"POST" => nginx_sys::NGX_HTTP_POST,
        b"PUT" => nginx_sys::NGX_HTTP_PUT,
        b"DELETE" => nginx_sys::NGX_HTTP_DELETE,
        b"MKCOL" => nginx_sys::NGX_HTTP_MKCOL,
        b"COPY" => nginx_sys::NGX_HTTP_COPY,
        b"MOVE" => nginx_sys::NGX_HTTP_MOVE,
        b"OPTIONS" => nginx_sys::NGX_HTTP_OPTIONS,
        b"PROPFIND" => nginx_sys::NGX_HTTP_PROPFIND,
        b"PROPPATCH" => nginx_sys::NGX_HTTP_PROPPATCH,
        b"LOCK" => nginx_sys::NGX_HTTP_LOCK,
        b"UNLOCK" => nginx_sys::NGX_HTTP_UNLOCK,
        b"PATCH" => nginx_sys::NGX_HTTP_PATCH,
        b"TRACE" => nginx_sys::NGX_HTTP_TRACE,
        _ => nginx_sys::NGX_HTTP_UNKNOWN,
    };
    target::set_method(r, method, number as ngx_uint_t)?;
    variables::follow(r);
    Ok(())
}

/// The scheme is that of the client's connection; nginx has no place for another.
fn set_scheme(r: HttpRequest<'_>, value: &[u8]) -> Result<(), Refused> {
    if scheme(r) == value {
        return Ok(());
    }
    Err(Refused::Ignored("a change of :scheme has no effect in nginx; use the scheme of proxy_pass".into()))
}

fn check_host(value: &[u8]) -> Result<(), Refused> {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    if !value.is_empty() && value.iter().all(valid) {
        return Ok(());
    }
    Err(Refused::Malformed(format!("invalid host \"{}\"", value.escape_ascii())))
}

/// `$host` is the host without its port, in lower case.
fn set_server(r: HttpRequest<'_>, value: &[u8]) -> Result<(), Refused> {
    let end = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value[colon..].contains(&b']') => colon,
        _ => value.len(),
    };
    Ok(target::set_server(r, &value[..end].to_ascii_lowercase())?)
}

/// `https` when the client's connection has TLS.
pub fn scheme(r: HttpRequest<'_>) -> &'static [u8] {
    if r.connection().has_tls() { b"https" } else { b"http" }
}
