//! Headers of a response. Nginx keeps some of them outside of the list (src/http/ngx_http_request.h,
//! ngx_http_headers_out_t), and writes Server, Date and the framing itself.

use nginx_sys::{ngx_http_headers_out_t, ngx_http_request_t, ngx_http_time, ngx_str_t, ngx_table_elt_t, off_t};
use ngx_wasm::proxy_wasm::Pairs;

use super::list;
use super::{Refused, check_name, check_value};
use crate::pool;

/// Appends the first value of `name` to `value`.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn get(r: *mut ngx_http_request_t, name: &[u8], value: &mut Vec<u8>) -> bool {
    let mut found = false;
    let take = &mut |key: &[u8], text: &[u8]| {
        if !found && key.eq_ignore_ascii_case(name) {
            found = true;
            value.extend_from_slice(text);
        }
    };
    // SAFETY: see above.
    unsafe {
        if name.starts_with(b":") || Own::named(name).is_some() {
            visit(r, take);
            return found;
        }
        let Some(line) = list::lines(&raw mut (*r).headers_out.headers).find(|line| list::is(*line, name)) else {
            return false;
        };
        value.extend_from_slice((*line).value.as_bytes());
        true
    }
}

/// Shows all pairs to `visit`: `:status`, what nginx keeps outside of the list, the list.
pub unsafe fn visit(r: *mut ngx_http_request_t, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: see `get`.
    unsafe {
        let out = &raw mut (*r).headers_out;
        visit(b":status", (*out).status.to_string().as_bytes());
        let content_type = content_type(out);
        if !content_type.is_empty() {
            visit(b"content-type", &content_type);
        }
        if (*out).content_length_n >= 0 && (*out).content_length.is_null() {
            visit(b"content-length", (*out).content_length_n.to_string().as_bytes());
        }
        if (*out).last_modified_time != -1 && (*out).last_modified.is_null() {
            // "Mon, 28 Sep 1970 06:00:00 GMT" and its like.
            let mut text = [0u8; 32];
            let end = ngx_http_time(text.as_mut_ptr(), (*out).last_modified_time);
            let len = end.offset_from(text.as_ptr()) as usize;
            visit(b"last-modified", &text[..len.min(text.len())]);
        }
        for line in list::lines(&raw mut (*out).headers) {
            list::show(line, visit);
        }
    }
}

/// Says that there is no body.
pub unsafe fn no_body(r: *mut ngx_http_request_t) {
    // SAFETY: see `get`.
    unsafe {
        Own::ContentLength.clear(r);
        (*r).headers_out.content_length_n = 0;
    }
}

/// How many pairs [`visit`] shows.
pub unsafe fn count(r: *mut ngx_http_request_t) -> u32 {
    // SAFETY: see `get`.
    unsafe {
        let out = &raw mut (*r).headers_out;
        let own = [
            !(*out).content_type.is_empty(),
            (*out).content_length_n >= 0 && (*out).content_length.is_null(),
            (*out).last_modified_time != -1 && (*out).last_modified.is_null(),
        ];
        let own = own.into_iter().filter(|there| *there).count();
        (1 + own + list::lines(&raw mut (*out).headers).count()) as u32
    }
}

/// Whether nothing follows the headers.
pub unsafe fn end_stream(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `get`.
    unsafe {
        let status = (*r).headers_out.status;
        (*r).header_only() != 0
            || (*r).method == nginx_sys::NGX_HTTP_HEAD as usize
            || (*r).headers_out.content_length_n == 0
            || status == nginx_sys::NGX_HTTP_NO_CONTENT as usize
            || status == nginx_sys::NGX_HTTP_NOT_MODIFIED as usize
    }
}

/// Adds one more value; of those that nginx keeps itself there is one only, so it becomes that.
pub unsafe fn add(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        if name.starts_with(b":") || Own::named(name).is_some() || is_framing(name) || single(r, name).is_some() {
            return replace(r, name, value);
        }
        check_name(name)?;
        check_value(name, value)?;
        list::push(&raw mut (*r).headers_out.headers, (*r).pool, name, value)?;
        sync(r, name)
    }
}

/// Makes `value` the only one.
pub unsafe fn replace(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check_value(name, value)?;
    // SAFETY: see `get`.
    unsafe {
        if name == b":status" {
            return set_status(r, value);
        }
        check_name(name)?;
        if is_framing(name) {
            return framing(r, name, value);
        }
        match Own::named(name) {
            Some(own) => own.set(r, value),
            None => {
                drop_lines(r, name);
                list::push(&raw mut (*r).headers_out.headers, (*r).pool, name, value)?;
                sync(r, name)
            }
        }
    }
}

/// Drops all values. Server and Date are dropped by a line that nginx does not write but takes for its own.
pub unsafe fn remove(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        if name.starts_with(b":") || is_framing(name) {
            return Ok(());
        }
        if let Some(own) = Own::named(name) {
            own.clear(r);
            return Ok(());
        }
        drop_lines(r, name);
        sync(r, name)?;
        if name.eq_ignore_ascii_case(b"server") || name.eq_ignore_ascii_case(b"date") {
            let line = list::push(&raw mut (*r).headers_out.headers, (*r).pool, name, b"")?;
            (*line).hash = 0;
            if let Some(field) = single(r, name) {
                *field = line;
            }
        }
        Ok(())
    }
}

/// Makes the headers consist of `pairs` alone; a status that is not among them stays.
pub unsafe fn set(r: *mut ngx_http_request_t, pairs: &Pairs) -> Result<(), Refused> {
    for (name, value) in pairs.iter() {
        if !name.starts_with(b":") {
            check_name(name)?;
        }
        check_value(name, value)?;
    }
    // SAFETY: see `get`.
    unsafe {
        let mut old: Vec<Vec<u8>> = Vec::new();
        visit(r, &mut |name, _| {
            if !old.iter().any(|known| known == name) {
                old.push(name.to_vec());
            }
        });
        for name in &old {
            // A length that stays must not be lost on the way, and with it the framing.
            if !pairs.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)) || Own::named(name).is_none() {
                remove(r, name)?;
            }
        }
        for (name, value) in pairs.iter() {
            add(r, name, value)?;
        }
    }
    Ok(())
}

/// Headers that have fields of their own instead of lines.
#[derive(Clone, Copy)]
enum Own {
    ContentType,
    ContentLength,
    LastModified,
}

impl Own {
    fn named(name: &[u8]) -> Option<Own> {
        [
            (&b"content-type"[..], Own::ContentType),
            (b"content-length", Own::ContentLength),
            (b"last-modified", Own::LastModified),
        ]
        .into_iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, own)| own)
    }

    unsafe fn clear(self, r: *mut ngx_http_request_t) {
        // SAFETY: see `get`.
        unsafe {
            let out = &raw mut (*r).headers_out;
            match self {
                Own::ContentType => {
                    (*out).content_type = ngx_str_t::empty();
                    (*out).content_type_len = 0;
                    (*out).content_type_lowcase = std::ptr::null_mut();
                    (*out).charset = ngx_str_t::empty();
                }
                Own::ContentLength => {
                    drop_lines(r, b"content-length");
                    (*out).content_length = std::ptr::null_mut();
                    (*out).content_length_n = -1;
                }
                Own::LastModified => {
                    drop_lines(r, b"last-modified");
                    (*out).last_modified = std::ptr::null_mut();
                    (*out).last_modified_time = -1;
                }
            }
        }
    }

    unsafe fn set(self, r: *mut ngx_http_request_t, value: &[u8]) -> Result<(), Refused> {
        // SAFETY: see `get`.
        unsafe {
            let out = &raw mut (*r).headers_out;
            match self {
                Own::ContentType => {
                    self.clear(r);
                    let value = pool::copy((*r).pool, value).ok_or(Refused::NoMemory)?;
                    (*out).content_type = value;
                    (*out).content_type_len = value.len;
                }
                Own::ContentLength => {
                    let length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<off_t>().ok());
                    let Some(length) = length.filter(|length| *length >= 0) else {
                        return Err(Refused::Malformed(format!("invalid content-length \"{}\"", value.escape_ascii())));
                    };
                    if (*out).content_length_n == length {
                        return Ok(());
                    }
                    // Where a body follows, another length than its own would make the next response begin in the wrong place.
                    if !end_stream(r) || (*out).content_length_n == 0 {
                        let what = "a change of content-length has no effect: nginx knows the length of the body";
                        return Err(Refused::Ignored(what.into()));
                    }
                    self.clear(r);
                    (*out).content_length_n = length;
                }
                Own::LastModified => {
                    self.clear(r);
                    let line = list::push(&raw mut (*out).headers, (*r).pool, b"Last-Modified", value)?;
                    (*out).last_modified = line;
                }
            }
        }
        Ok(())
    }
}

/// The content type as nginx will write it, with a charset that it keeps apart.
unsafe fn content_type(out: *mut ngx_http_headers_out_t) -> Vec<u8> {
    // SAFETY: see `get`.
    unsafe {
        let mut value = (*out).content_type.as_bytes().to_vec();
        if !value.is_empty() && (*out).content_type_len == (*out).content_type.len && !(*out).charset.is_empty() {
            value.extend_from_slice(b"; charset=");
            value.extend_from_slice((*out).charset.as_bytes());
        }
        value
    }
}

unsafe fn set_status(r: *mut ngx_http_request_t, value: &[u8]) -> Result<(), Refused> {
    let status = std::str::from_utf8(value).ok().filter(|text| text.len() == 3).and_then(|text| text.parse().ok());
    let Some(status) = status.filter(|status| (200..=999).contains(status)) else {
        return Err(Refused::Malformed(format!("invalid :status \"{}\"", value.escape_ascii())));
    };
    // SAFETY: see `get`.
    unsafe {
        (*r).headers_out.status = status;
        (*r).headers_out.status_line = ngx_str_t::empty();
    }
    Ok(())
}

fn is_framing(name: &[u8]) -> bool {
    [&b"connection"[..], b"keep-alive", b"transfer-encoding"].iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// How a message is delimited is nginx's business: a second opinion on the wire would let responses be smuggled.
unsafe fn framing(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    if name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close") {
        // SAFETY: see `get`.
        unsafe { (*r).set_keepalive(0) };
        return Ok(());
    }
    Err(Refused::Ignored(format!("response header \"{}\" is nginx's own and was not set", name.escape_ascii())))
}

/// Nginx skips response lines whose hash is 0.
unsafe fn drop_lines(r: *mut ngx_http_request_t, name: &[u8]) {
    // SAFETY: see `get`.
    unsafe {
        for line in list::lines(&raw mut (*r).headers_out.headers).filter(|line| list::is(*line, name)) {
            (*line).hash = 0;
        }
    }
}

/// The field in which nginx expects the line of a header that comes once.
unsafe fn single(r: *mut ngx_http_request_t, name: &[u8]) -> Option<*mut *mut ngx_table_elt_t> {
    // SAFETY: see `get`.
    unsafe {
        let out = &raw mut (*r).headers_out;
        [
            (&b"server"[..], &raw mut (*out).server),
            (b"date", &raw mut (*out).date),
            (b"location", &raw mut (*out).location),
            (b"content-range", &raw mut (*out).content_range),
            (b"accept-ranges", &raw mut (*out).accept_ranges),
            (b"expires", &raw mut (*out).expires),
            (b"etag", &raw mut (*out).etag),
            (b"content-encoding", &raw mut (*out).content_encoding),
            (b"refresh", &raw mut (*out).refresh),
        ]
        .into_iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, field)| field)
    }
}

/// Brings the fields that nginx has for a header in line with the list.
unsafe fn sync(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        let mut lines = list::lines(&raw mut (*r).headers_out.headers).filter(|line| list::is(*line, name));
        if let Some(field) = single(r, name) {
            // Nginx would put its own host before a location that it finds there; a filter's goes out as it is.
            let is_location = name.eq_ignore_ascii_case(b"location");
            *field = lines.next().filter(|_| !is_location).unwrap_or(std::ptr::null_mut());
            return Ok(());
        }
        sync_several(r, name, lines)
    }
}

/// The headers with a field that may come more than once: linked since nginx 1.23.
#[cfg(linked_headers)]
unsafe fn sync_several(
    r: *mut ngx_http_request_t,
    name: &[u8],
    lines: impl Iterator<Item = *mut ngx_table_elt_t>,
) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        let out = &raw mut (*r).headers_out;
        let field = [
            (&b"cache-control"[..], &raw mut (*out).cache_control),
            (b"link", &raw mut (*out).link),
            (b"www-authenticate", &raw mut (*out).www_authenticate),
        ]
        .into_iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name));
        if let Some((_, mut place)) = field {
            for line in lines {
                *place = line;
                place = &raw mut (*line).next;
            }
            *place = std::ptr::null_mut();
        }
    }
    Ok(())
}

/// Before, two of them had arrays, and the third a pointer to its first line.
#[cfg(not(linked_headers))]
unsafe fn sync_several(
    r: *mut ngx_http_request_t,
    name: &[u8],
    mut lines: impl Iterator<Item = *mut ngx_table_elt_t>,
) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        let out = &raw mut (*r).headers_out;
        if name.eq_ignore_ascii_case(b"www-authenticate") {
            (*out).www_authenticate = lines.next().unwrap_or(std::ptr::null_mut());
            return Ok(());
        }
        let field = [(&b"cache-control"[..], &raw mut (*out).cache_control), (b"link", &raw mut (*out).link)]
            .into_iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        match field {
            Some((_, array)) => list::refill((*r).pool, array, lines),
            None => Ok(()),
        }
    }
}
