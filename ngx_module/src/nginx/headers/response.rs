//! Headers of a response. Nginx keeps some of them outside of the list (src/http/ngx_http_request.h,
//! ngx_http_headers_out_t), and writes Server, Date and the framing itself.

use nginx_sys::{ngx_http_headers_out_t, ngx_http_request_t, ngx_http_time, ngx_str_t, ngx_table_elt_t, off_t};
use ngx_wasm::proxy_wasm::Pairs;

use super::list;
use super::{FILTERS, Ignored, Refused, check_name, check_pairs, check_value, unknown_pseudo_header};
use crate::nginx::pool;

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
        if name.starts_with(b":") || matches!(Kind::of(name), Kind::Own(_)) {
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

/// Says how long the body is; `None` is that nobody knows.
pub unsafe fn set_length(r: *mut ngx_http_request_t, length: Option<u64>) {
    // SAFETY: see `get`.
    unsafe {
        Own::ContentLength.clear(r);
        (*r).headers_out.content_length_n = length.and_then(|length| off_t::try_from(length).ok()).unwrap_or(-1);
    }
}

/// Whether a response with this status has neither a body nor a length of one (RFC 9110, sections 6.4.1 and 8.6). For 304 the
/// length would be that of another response, which nobody knows here. What follows a 101 is none of HTTP.
pub fn is_bodiless(status: usize) -> bool {
    (100..200).contains(&status)
        || status == nginx_sys::NGX_HTTP_NO_CONTENT as usize
        || status == nginx_sys::NGX_HTTP_NOT_MODIFIED as usize
}

/// Whether a header says that trailers will come.
pub unsafe fn announces_trailers(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `get`.
    unsafe { list::lines(&raw mut (*r).headers_out.headers).any(|line| list::is(line, b"trailer")) }
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
    let kind = Kind::of(name);
    // SAFETY: see `get`.
    unsafe {
        if name.starts_with(b":") || !matches!(kind, Kind::Other | Kind::Several(_)) {
            return replace(r, name, value);
        }
        check_name(name)?;
        check_value(name, value)?;
        check_hop(r, name)?;
        list::push(&raw mut (*r).headers_out.headers, (*r).pool, name, value)?;
        sync(r, name, kind)
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
        if name.starts_with(b":") {
            return Err(unknown_pseudo_header(name));
        }
        check_name(name)?;
        match Kind::of(name) {
            Kind::Framing => framing(r, name, value),
            Kind::Own(own) => own.set(r, value),
            kind => {
                check_hop(r, name)?;
                drop_lines(r, name);
                list::push(&raw mut (*r).headers_out.headers, (*r).pool, name, value)?;
                sync(r, name, kind)
            }
        }
    }
}

/// Drops all values. Server and Date are dropped by a line that nginx does not write but takes for its own.
pub unsafe fn remove(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        match Kind::of(name) {
            _ if name.starts_with(b":") => {}
            Kind::Framing => {}
            Kind::Own(own) => own.clear(r),
            kind => {
                drop_lines(r, name);
                sync(r, name, kind)?;
                if let Kind::Single(single @ (Single::Server | Single::Date)) = kind {
                    let line = list::push(&raw mut (*r).headers_out.headers, (*r).pool, name, b"")?;
                    (*line).hash = 0;
                    *single.field(r) = line;
                }
            }
        }
    }
    Ok(())
}

/// Makes the headers consist of `pairs` alone; a status that is not among them stays.
pub unsafe fn set(r: *mut ngx_http_request_t, pairs: &Pairs) -> Result<(), Refused> {
    check_pairs(pairs)?;
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
            if !pairs.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)) || !matches!(Kind::of(name), Kind::Own(_)) {
                remove(r, name)?;
            }
        }
        let mut ignored = Ignored::default();
        for (name, value) in pairs.iter() {
            ignored.pass(add(r, name, value))?;
        }
        ignored.tell()
    }
}

/// How nginx keeps a header.
#[derive(Clone, Copy)]
enum Kind {
    /// In fields instead of lines.
    Own(Own),
    /// Not at all: it writes these itself.
    Framing,
    /// In a line, to which a field leads.
    Single(Single),
    /// In lines, to which a field leads.
    Several(Several),
    /// In lines.
    Other,
}

#[derive(Clone, Copy)]
enum Own {
    ContentType,
    ContentLength,
    LastModified,
}

#[derive(Clone, Copy)]
enum Single {
    Server,
    Date,
    Location,
    ContentRange,
    AcceptRanges,
    Expires,
    ETag,
    ContentEncoding,
    Refresh,
}

#[derive(Clone, Copy)]
enum Several {
    CacheControl,
    Link,
    WwwAuthenticate,
}

impl Kind {
    /// Looks a name up, whatever its case.
    fn of(name: &[u8]) -> Kind {
        const LONGEST: usize = 17;
        let mut lower = [0; LONGEST];
        let Some(lower) = lower.get_mut(..name.len()) else { return Kind::Other };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"content-type" => Kind::Own(Own::ContentType),
            b"content-length" => Kind::Own(Own::ContentLength),
            b"last-modified" => Kind::Own(Own::LastModified),
            b"connection" | b"keep-alive" | b"transfer-encoding" => Kind::Framing,
            b"server" => Kind::Single(Single::Server),
            b"date" => Kind::Single(Single::Date),
            b"location" => Kind::Single(Single::Location),
            b"content-range" => Kind::Single(Single::ContentRange),
            b"accept-ranges" => Kind::Single(Single::AcceptRanges),
            b"expires" => Kind::Single(Single::Expires),
            b"etag" => Kind::Single(Single::ETag),
            b"content-encoding" => Kind::Single(Single::ContentEncoding),
            b"refresh" => Kind::Single(Single::Refresh),
            b"cache-control" => Kind::Several(Several::CacheControl),
            b"link" => Kind::Several(Several::Link),
            b"www-authenticate" => Kind::Several(Several::WwwAuthenticate),
            _ => Kind::Other,
        }
    }
}

impl Own {
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
                    if is_bodiless((*out).status) {
                        let what =
                            format!("content-length was not set: a response with status {} has none", (*out).status);
                        return Err(Refused::Ignored(what));
                    }
                    // Where a body follows, another length than its own would make the next response begin in the wrong place.
                    if !end_stream(r)
                        && (*out).content_length_n < 0
                        && !FILTERS.get().is_some_and(|filters| (filters.counts_body)(r))
                    {
                        let what = "a change of content-length has no effect: nobody would see whether the body has it";
                        return Err(Refused::Ignored(what.into()));
                    }
                    if (!end_stream(r) && (*out).content_length_n >= 0) || (*out).content_length_n == 0 {
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
        // A guest that sets back what it read keeps the upstream's reason phrase.
        if (*r).headers_out.status != status {
            (*r).headers_out.status = status;
            (*r).headers_out.status_line = ngx_str_t::empty();
            if is_bodiless(status) {
                Own::ContentLength.clear(r);
            }
        }
    }
    Ok(())
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

/// What is about the connection has no place in HTTP/2 and later, where it makes a message malformed (RFC 9113, section 8.2.2).
unsafe fn check_hop(r: *mut ngx_http_request_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: see `get`.
    let is_later = unsafe { (*r).http_version >= nginx_sys::NGX_HTTP_VERSION_20 as usize };
    if !is_later || !super::is_about_connection(name) {
        return Ok(());
    }
    Err(Refused::Ignored(format!("response header \"{}\" is not for HTTP/2 and was not set", name.escape_ascii())))
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

impl Single {
    /// The field in which nginx expects the line.
    unsafe fn field(self, r: *mut ngx_http_request_t) -> *mut *mut ngx_table_elt_t {
        // SAFETY: see `get`.
        unsafe {
            let out = &raw mut (*r).headers_out;
            match self {
                Single::Server => &raw mut (*out).server,
                Single::Date => &raw mut (*out).date,
                Single::Location => &raw mut (*out).location,
                Single::ContentRange => &raw mut (*out).content_range,
                Single::AcceptRanges => &raw mut (*out).accept_ranges,
                Single::Expires => &raw mut (*out).expires,
                Single::ETag => &raw mut (*out).etag,
                Single::ContentEncoding => &raw mut (*out).content_encoding,
                Single::Refresh => &raw mut (*out).refresh,
            }
        }
    }
}

/// Brings the field that nginx has for a header in line with the list.
unsafe fn sync(r: *mut ngx_http_request_t, name: &[u8], kind: Kind) -> Result<(), Refused> {
    // SAFETY: see `get`.
    unsafe {
        let mut lines = list::lines(&raw mut (*r).headers_out.headers).filter(|line| list::is(*line, name));
        match kind {
            // Nginx would put its own host before a location that it finds there; a filter's goes out as it is.
            Kind::Single(Single::Location) => (*r).headers_out.location = std::ptr::null_mut(),
            Kind::Single(single) => *single.field(r) = lines.next().unwrap_or(std::ptr::null_mut()),
            Kind::Several(several) => several.sync(r, lines)?,
            Kind::Own(_) | Kind::Framing | Kind::Other => {}
        }
    }
    Ok(())
}

impl Several {
    /// Since nginx 1.23 the field leads to the first line, and each line to the next.
    #[cfg(linked_headers)]
    unsafe fn sync(
        self,
        r: *mut ngx_http_request_t,
        lines: impl Iterator<Item = *mut ngx_table_elt_t>,
    ) -> Result<(), Refused> {
        // SAFETY: see `get`.
        unsafe {
            let out = &raw mut (*r).headers_out;
            let mut place = match self {
                Several::CacheControl => &raw mut (*out).cache_control,
                Several::Link => &raw mut (*out).link,
                Several::WwwAuthenticate => &raw mut (*out).www_authenticate,
            };
            for line in lines {
                *place = line;
                place = &raw mut (*line).next;
            }
            *place = std::ptr::null_mut();
        }
        Ok(())
    }

    /// Before, two had arrays, and the third a pointer to its first line.
    #[cfg(not(linked_headers))]
    unsafe fn sync(
        self,
        r: *mut ngx_http_request_t,
        mut lines: impl Iterator<Item = *mut ngx_table_elt_t>,
    ) -> Result<(), Refused> {
        // SAFETY: see `get`.
        unsafe {
            let out = &raw mut (*r).headers_out;
            match self {
                Several::CacheControl => list::refill((*r).pool, &raw mut (*out).cache_control, lines),
                Several::Link => list::refill((*r).pool, &raw mut (*out).link, lines),
                Several::WwwAuthenticate => {
                    (*out).www_authenticate = lines.next().unwrap_or(std::ptr::null_mut());
                    Ok(())
                }
            }
        }
    }
}
