//! Headers of a request. Beside the list, nginx has a field for each header that it knows; both change together.

use nginx_sys::{
    ngx_hash_find, ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_header_t, ngx_http_request_t, ngx_list_t,
    ngx_table_elt_t, ngx_uint_t,
};
use ngx_wasm::proxy_wasm::Pairs;

use super::list::{self, nginx_hash};
use super::{Ignored, Refused, check_name, check_pairs, check_value, is_token, unknown_pseudo_header};
use super::{path, variables};
use crate::nginx::pool;

/// Appends the first value of `name` to `value`.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn get(r: *mut ngx_http_request_t, name: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above.
    unsafe {
        match name {
            b":path" => value.extend_from_slice(&path::current(r)),
            b":method" => value.extend_from_slice((*r).method_name.as_bytes()),
            b":scheme" => value.extend_from_slice(scheme(r)),
            _ => {
                let is_host = name == b":authority" || name.eq_ignore_ascii_case(b"host");
                if is_host && let Some(authority) = absolute_authority(r) {
                    value.extend_from_slice(authority);
                    return true;
                }
                let name = if is_host { b"host".as_slice() } else { name };
                let Some(line) = list::lines(&raw mut (*r).headers_in.headers).find(|line| list::is(*line, name))
                else {
                    // HTTP/2 and absolute URIs name the host without a line; HTTP/1.0 and 0.9 need not name any.
                    if is_host {
                        value.extend_from_slice((*r).headers_in.server.as_bytes());
                    }
                    return is_host;
                };
                value.extend_from_slice((*line).value.as_bytes());
            }
        }
        true
    }
}

/// The authority of an absolute URI in the request line, by which nginx chooses the server whatever the Host line says
/// (RFC 9112, section 3.2.2). A subrequest has no request line of its own, but the server that this one chose.
unsafe fn absolute_authority<'a>(r: *mut ngx_http_request_t) -> Option<&'a [u8]> {
    // SAFETY: the parser's pointers lead into the request line, which stays in memory with the request; `request_end` is
    // there once the parser has come to its end, which it does not for a line that is too long.
    unsafe {
        let server = |r: *mut ngx_http_request_t| ((*r).headers_in.server.data, (*r).headers_in.server.len);
        if server(r) != server((*r).main) {
            // A filter has given one of both another host since.
            return None;
        }
        let r = (*r).main;
        let (start, end, limit) = ((*r).host_start, (*r).host_end, (*r).request_end);
        let is_line = (*r).http_version < nginx_sys::NGX_HTTP_VERSION_20 as usize;
        if !is_line || (*r).schema_start.is_null() || start.is_null() || end.is_null() || limit < end {
            return None;
        }
        let text: &[u8] = std::slice::from_raw_parts(start, limit.offset_from(start) as usize);
        let (host, rest) = text.split_at(end.offset_from(start) as usize);
        let port = match rest {
            [b':', digits @ ..] => 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        Some(&text[..host.len() + port])
    }
}

/// Shows all pairs to `visit`, pseudo-headers first; `host` is `:authority`.
pub unsafe fn visit(r: *mut ngx_http_request_t, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: see `get`.
    unsafe {
        let mut authority = Vec::new();
        get(r, b":authority", &mut authority);
        visit(b":authority", &authority);
        visit(b":path", &path::current(r));
        visit(b":method", (*r).method_name.as_bytes());
        visit(b":scheme", scheme(r));
        for line in list::lines(&raw mut (*r).headers_in.headers) {
            if !list::is(line, b"host") {
                list::show(line, visit);
            }
        }
    }
}

/// How many pairs [`visit`] shows.
pub unsafe fn count(r: *mut ngx_http_request_t) -> u32 {
    // SAFETY: see `get`.
    unsafe {
        const PSEUDO: u32 = 4;
        let others = list::lines(&raw mut (*r).headers_in.headers).filter(|line| !list::is(*line, b"host"));
        PSEUDO + others.count() as u32
    }
}

/// Whether nothing follows the headers.
pub unsafe fn end_stream(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `get`.
    unsafe {
        if r != (*r).main {
            // A subrequest has what has been read before it was made, and cannot read anything.
            return (*r).request_body.is_null() || (*(*r).request_body).bufs.is_null();
        }
        if (*r).headers_in.content_length_n > 0 || (*r).headers_in.chunked() != 0 {
            return false;
        }
        // Without a length, only the stream of HTTP/2 knows.
        #[cfg(ngx_feature = "http_v2")]
        if !(*r).stream.is_null() {
            return (*(*r).stream).in_closed() != 0;
        }
        true
    }
}

/// Adds one more value. Pseudo-headers and the host have one only, so it becomes that.
pub unsafe fn add(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        if is_single(name) {
            return replace(r, name, value);
        }
        check_name(name)?;
        check_value(name, value)?;
        list::push(own_list(r)?, (*r).pool, name, value)?;
        sync(r, name)
    }
}

/// Makes `value` the only one.
pub unsafe fn replace(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check_value(name, value)?;
    // SAFETY: see `get`.
    unsafe {
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
        let list = own_list(r)?;
        list::remove(list, (*r).pool, name)?;
        list::push(list, (*r).pool, name, value)?;
        if is_host {
            set_server(r, value)?;
        }
        sync(r, name)
    }
}

/// Drops all values.
pub unsafe fn remove(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // A request has always these.
    if matches!(name, b":path" | b":method" | b":scheme" | b":authority") {
        return Ok(());
    }
    // SAFETY: see `get`.
    unsafe {
        list::remove(own_list(r)?, (*r).pool, name)?;
        sync(r, name)
    }
}

/// Makes the headers consist of `pairs` alone. Pseudo-headers that are not among them stay.
pub unsafe fn set(r: *mut ngx_http_request_t, pairs: &Pairs) -> Result<(), Refused> {
    // Everything is looked at before anything changes.
    check_pairs(pairs)?;
    // SAFETY: see `get`.
    unsafe {
        let mut old: Vec<Vec<u8>> = Vec::new();
        for line in list::lines(&raw mut (*r).headers_in.headers) {
            let name = (*line).key.as_bytes().to_ascii_lowercase();
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
        ignored.tell()
    }
}

/// Gives a subrequest headers of its own: nginx lets it share those of the request that made it, of which it has copied only
/// the first structure (src/http/ngx_http_core_module.c, ngx_http_subrequest).
pub unsafe fn own(r: *mut ngx_http_request_t) -> Result<(), Refused> {
    // SAFETY: see `get`; the list is in the request itself, and nobody looks at it meanwhile.
    unsafe {
        let headers_in = &raw mut (*r).headers_in;
        let old: Vec<*mut ngx_table_elt_t> = list::lines(&raw mut (*headers_in).headers).collect();
        let pool = (*r).pool;
        let size = size_of::<ngx_table_elt_t>();
        let fresh = nginx_sys::ngx_list_create(pool, old.len().max(4), size);
        if fresh.is_null() {
            return Err(Refused::NoMemory);
        }
        (*headers_in).headers = fresh.read();
        // A list of one part leads to itself.
        (*headers_in).headers.last = &raw mut (*headers_in).headers.part;
        #[cfg(not(linked_headers))]
        super::list::forget_arrays(headers_in);
        let mut names: Vec<&[u8]> = Vec::new();
        for line in old {
            let copy = nginx_sys::ngx_list_push(&raw mut (*headers_in).headers).cast::<ngx_table_elt_t>();
            if copy.is_null() {
                return Err(Refused::NoMemory);
            }
            copy.write(line.read());
            let name = (*line).key.as_bytes();
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
        for name in names {
            set_field(r, name)?;
        }
    }
    Ok(())
}

/// Tells nginx that the body has another length than the client said.
pub unsafe fn set_length(r: *mut ngx_http_request_t, length: u64) {
    let text = length.to_string();
    // SAFETY: see `get`.
    unsafe {
        let in_ = &raw mut (*r).headers_in;
        (*in_).content_length_n = i64::try_from(length).unwrap_or(i64::MAX);
        // A body in chunks had no such line, and what reads the length without it looks at the number.
        let line = (*in_).content_length;
        if line.is_null() {
            return;
        }
        match pool::copy((*r).pool, text.as_bytes()) {
            Some(value) => (*line).value = value,
            // Better no line than one that says something else than the number.
            None => (*in_).content_length = std::ptr::null_mut(),
        }
    }
}

/// Whether this is a call of gRPC.
pub unsafe fn is_grpc(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `get`.
    unsafe {
        let line = (*r).headers_in.content_type;
        if line.is_null() {
            return false;
        }
        let rest = (*line).value.as_bytes().strip_prefix(b"application/grpc");
        matches!(rest, Some([] | [b'+' | b';', ..]))
    }
}

/// The list of the request, to write to. A request without header lines has none yet: HTTP/0.9, and one that nginx refused
/// before it came to them.
unsafe fn own_list(r: *mut ngx_http_request_t) -> Result<*mut ngx_list_t, Refused> {
    // SAFETY: see `get`. A list that nobody has made is of zeros (src/http/ngx_http_request.c, ngx_http_alloc_request).
    unsafe {
        let list = &raw mut (*r).headers_in.headers;
        if (*list).last.is_null() {
            list::begin(list, (*r).pool)?;
        }
        Ok(list)
    }
}

fn is_single(name: &[u8]) -> bool {
    name.starts_with(b":") || name.eq_ignore_ascii_case(b"host")
}

/// Brings what nginx knows of a header in line with the list: its variables, and the field that it has.
unsafe fn sync(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        set_field(r, name)?;
        variables::follow(r);
    }
    Ok(())
}

unsafe fn set_field(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: nginx's table gives the offset of a pointer (or, before 1.23, of an array for the headers that may come more
    // than once) in headers_in.
    unsafe {
        let lower = name.to_ascii_lowercase();
        let hash = lower.iter().fold(0, |key, byte| nginx_hash(key, *byte));
        let cmcf = core_main_conf(r);
        let known =
            ngx_hash_find(&raw mut (*cmcf).headers_in_hash, hash as ngx_uint_t, lower.as_ptr().cast_mut(), lower.len())
                .cast::<ngx_http_header_t>();
        if known.is_null() || ((*known).offset == 0 && lower != b"host") {
            return Ok(());
        }
        let lines = list::lines(&raw mut (*r).headers_in.headers).filter(|line| list::is(*line, &lower));
        let field = (&raw mut (*r).headers_in).cast::<u8>().add((*known).offset);
        link(r, field, &lower, lines)
    }
}

/// Since nginx 1.23 a field leads to the first line of its name, and each line to the next.
#[cfg(linked_headers)]
unsafe fn link(
    _: *mut ngx_http_request_t,
    field: *mut u8,
    _: &[u8],
    lines: impl Iterator<Item = *mut ngx_table_elt_t>,
) -> Result<(), Refused> {
    // SAFETY: `sync` found the field; nginx aligns it for a pointer.
    unsafe {
        let mut place = field.cast::<*mut ngx_table_elt_t>();
        for line in lines {
            *place = line;
            place = &raw mut (*line).next;
        }
        *place = std::ptr::null_mut();
    }
    Ok(())
}

/// Before, two headers had an array, and the others a pointer to one line.
#[cfg(not(linked_headers))]
unsafe fn link(
    r: *mut ngx_http_request_t,
    field: *mut u8,
    name: &[u8],
    mut lines: impl Iterator<Item = *mut ngx_table_elt_t>,
) -> Result<(), Refused> {
    // SAFETY: `sync` found the field; which type it has is nginx's (src/http/ngx_http_request.h).
    unsafe {
        if !matches!(name, b"cookie" | b"x-forwarded-for") {
            *field.cast::<*mut ngx_table_elt_t>() = lines.next().unwrap_or(std::ptr::null_mut());
            return Ok(());
        }
        let array = field.cast::<nginx_sys::ngx_array_t>();
        super::list::refill((*r).pool, array, lines)
    }
}

unsafe fn core_main_conf(r: *mut ngx_http_request_t) -> *mut ngx_http_core_main_conf_t {
    // SAFETY: the core HTTP module has a main configuration in every request.
    unsafe { (*(*r).main_conf.add(ngx_http_core_module.ctx_index)).cast() }
}

unsafe fn set_method(r: *mut ngx_http_request_t, method: &[u8]) -> Result<(), Refused> {
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
    // SAFETY: see `get`.
    unsafe {
        (*r).method_name = pool::copy((*r).pool, method).ok_or(Refused::NoMemory)?;
        (*r).method = number as ngx_uint_t;
        variables::follow(r);
    }
    Ok(())
}

/// The scheme is that of the client's connection; nginx has no place for another.
unsafe fn set_scheme(r: *mut ngx_http_request_t, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    if unsafe { scheme(r) } == value {
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
unsafe fn set_server(r: *mut ngx_http_request_t, value: &[u8]) -> Result<(), Refused> {
    let end = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value[colon..].contains(&b']') => colon,
        _ => value.len(),
    };
    let host = value[..end].to_ascii_lowercase();
    // SAFETY: see `get`.
    unsafe {
        (*r).headers_in.server = pool::copy((*r).pool, &host).ok_or(Refused::NoMemory)?;
        // What the request line said is over.
        (*r).host_start = std::ptr::null_mut();
    }
    Ok(())
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
