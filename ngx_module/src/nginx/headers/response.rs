//! Headers of a response. Nginx keeps some of them outside of the list (src/http/ngx_http_request.h,
//! ngx_http_headers_out_t), and writes Server, Date and the framing itself.

use nginx_sys::off_t;
use ngx_wasm::proxy_wasm::Pairs;

use super::fields::{self, Field, Leads};
use super::list;
use super::{FILTERS, Ignored, Refused, check_name, check_pairs, check_value, unknown_pseudo_header};
use crate::nginx::request::HttpRequest;

/// Appends the first value of `name` to `value`.
pub fn get(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    if name.starts_with(b":") || matches!(HeaderKind::of(name), HeaderKind::Own(_)) {
        let mut found = false;
        visit(r, &mut |key: &[u8], text: &[u8]| {
            if !found && key.eq_ignore_ascii_case(name) {
                found = true;
                value.extend_from_slice(text);
            }
        });
        return found;
    }
    let Some(line) = list::of_response(r).named(name).next() else { return false };
    value.extend_from_slice(line.value());
    true
}

/// Shows all pairs to `visit`: `:status`, what nginx keeps outside of the list, the list.
pub fn visit(r: HttpRequest<'_>, visit: &mut dyn FnMut(&[u8], &[u8])) {
    visit(b":status", r.status().to_string().as_bytes());
    let content_type = fields::content_type(r);
    if !content_type.is_empty() {
        visit(b"content-type", &content_type);
    }
    if has_own_length(r) {
        visit(b"content-length", r.content_length().to_string().as_bytes());
    }
    if has_own_time(r) {
        visit(b"last-modified", &fields::http_time(r.last_modified_time()));
    }
    for line in list::of_response(r).lines() {
        line.show(visit);
    }
}

/// Whether the length is a number only, and has no line.
fn has_own_length(r: HttpRequest<'_>) -> bool {
    r.content_length() >= 0 && fields::content_length(r).get().is_none()
}

/// Whether the time of the last change is a number only, and has no line.
fn has_own_time(r: HttpRequest<'_>) -> bool {
    r.last_modified_time() != -1 && fields::last_modified(r).get().is_none()
}

/// Says that there is no body.
pub fn no_body(r: HttpRequest<'_>) {
    Own::ContentLength.clear(r);
    r.set_content_length(0);
}

/// Says how long the body is; `None` is that nobody knows.
pub fn set_length(r: HttpRequest<'_>, length: Option<u64>) {
    Own::ContentLength.clear(r);
    r.set_content_length(length.and_then(|length| off_t::try_from(length).ok()).unwrap_or(-1));
}

/// Whether a response with this status has neither a body nor a length of one (RFC 9110, sections 6.4.1 and 8.6). For 304 the
/// length would be that of another response, which nobody knows here. What follows a 101 is none of HTTP.
pub fn is_bodiless(status: usize) -> bool {
    (100..200).contains(&status)
        || status == nginx_sys::NGX_HTTP_NO_CONTENT as usize
        || status == nginx_sys::NGX_HTTP_NOT_MODIFIED as usize
}

/// Whether a header says that trailers will come.
pub fn announces_trailers(r: HttpRequest<'_>) -> bool {
    list::of_response(r).named(b"trailer").next().is_some()
}

/// How many pairs [`visit`] shows.
pub fn count(r: HttpRequest<'_>) -> u32 {
    let own = [fields::has_content_type(r), has_own_length(r), has_own_time(r)];
    let own = own.into_iter().filter(|there| *there).count();
    (1 + own + list::of_response(r).lines().count()) as u32
}

/// Whether nothing follows the headers.
pub fn end_stream(r: HttpRequest<'_>) -> bool {
    r.is_header_only()
        || r.is_head()
        || r.content_length() == 0
        || r.status() == nginx_sys::NGX_HTTP_NO_CONTENT as usize
        || r.status() == nginx_sys::NGX_HTTP_NOT_MODIFIED as usize
}

/// Adds one more value; of those that nginx keeps itself there is one only, so it becomes that.
pub fn add(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    let kind = HeaderKind::of(name);
    if name.starts_with(b":") || !matches!(kind, HeaderKind::Other | HeaderKind::Several(_)) {
        return replace(r, name, value);
    }
    check_name(name)?;
    check_value(name, value)?;
    check_hop(r, name)?;
    list::of_response(r).push(name, value)?;
    sync(r, name, kind)
}

/// Makes `value` the only one.
pub fn replace(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    check_value(name, value)?;
    if name == b":status" {
        return set_status(r, value);
    }
    if name.starts_with(b":") {
        return Err(unknown_pseudo_header(name));
    }
    check_name(name)?;
    match HeaderKind::of(name) {
        HeaderKind::Framing => framing(r, name, value),
        HeaderKind::Own(own) => own.set(r, value),
        kind => {
            check_hop(r, name)?;
            list::of_response(r).hide(name);
            list::of_response(r).push(name, value)?;
            sync(r, name, kind)
        }
    }
}

/// Drops all values. Server and Date are dropped by a line that nginx does not write but takes for its own.
pub fn remove(r: HttpRequest<'_>, name: &[u8]) -> Result<(), Refused> {
    match HeaderKind::of(name) {
        _ if name.starts_with(b":") => {}
        HeaderKind::Framing => {}
        HeaderKind::Own(own) => own.clear(r),
        kind => {
            list::of_response(r).hide(name);
            sync(r, name, kind)?;
            if let HeaderKind::Single(single @ (Single::Server | Single::Date)) = kind {
                let line = list::of_response(r).push(name, b"")?;
                line.hide();
                single.field(r).set(Some(line));
            }
        }
    }
    Ok(())
}

/// Makes the headers consist of `pairs` alone; a status that is not among them stays.
pub fn set(r: HttpRequest<'_>, pairs: &Pairs) -> Result<(), Refused> {
    check_pairs(pairs)?;
    let mut old: Vec<Vec<u8>> = Vec::new();
    visit(r, &mut |name, _| {
        if !old.iter().any(|known| known == name) {
            old.push(name.to_vec());
        }
    });
    for name in &old {
        // A length that stays must not be lost on the way, and with it the framing.
        if !pairs.iter().any(|(new, _)| new.eq_ignore_ascii_case(name))
            || !matches!(HeaderKind::of(name), HeaderKind::Own(_))
        {
            remove(r, name)?;
        }
    }
    let mut ignored = Ignored::default();
    for (name, value) in pairs.iter() {
        ignored.pass(add(r, name, value))?;
    }
    ignored.into_result()
}

/// How nginx keeps a header.
#[derive(Clone, Copy)]
enum HeaderKind {
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

impl HeaderKind {
    /// Looks a name up, whatever its case.
    fn of(name: &[u8]) -> HeaderKind {
        const LONGEST: usize = 17;
        let mut lower = [0; LONGEST];
        let Some(lower) = lower.get_mut(..name.len()) else { return HeaderKind::Other };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"content-type" => HeaderKind::Own(Own::ContentType),
            b"content-length" => HeaderKind::Own(Own::ContentLength),
            b"last-modified" => HeaderKind::Own(Own::LastModified),
            b"connection" | b"keep-alive" | b"transfer-encoding" => HeaderKind::Framing,
            b"server" => HeaderKind::Single(Single::Server),
            b"date" => HeaderKind::Single(Single::Date),
            b"location" => HeaderKind::Single(Single::Location),
            b"content-range" => HeaderKind::Single(Single::ContentRange),
            b"accept-ranges" => HeaderKind::Single(Single::AcceptRanges),
            b"expires" => HeaderKind::Single(Single::Expires),
            b"etag" => HeaderKind::Single(Single::ETag),
            b"content-encoding" => HeaderKind::Single(Single::ContentEncoding),
            b"refresh" => HeaderKind::Single(Single::Refresh),
            b"cache-control" => HeaderKind::Several(Several::CacheControl),
            b"link" => HeaderKind::Several(Several::Link),
            b"www-authenticate" => HeaderKind::Several(Several::WwwAuthenticate),
            _ => HeaderKind::Other,
        }
    }
}

impl Own {
    fn clear(self, r: HttpRequest<'_>) {
        match self {
            Own::ContentType => fields::clear_content_type(r),
            Own::ContentLength => {
                list::of_response(r).hide(b"content-length");
                fields::content_length(r).set(None);
                r.set_content_length(-1);
            }
            Own::LastModified => {
                list::of_response(r).hide(b"last-modified");
                fields::last_modified(r).set(None);
                r.set_last_modified_time(-1);
            }
        }
    }

    fn set(self, r: HttpRequest<'_>, value: &[u8]) -> Result<(), Refused> {
        match self {
            Own::ContentType => fields::set_content_type(r, value)?,
            Own::ContentLength => {
                let length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<off_t>().ok());
                let Some(length) = length.filter(|length| *length >= 0) else {
                    return Err(Refused::Malformed(format!("invalid content-length \"{}\"", value.escape_ascii())));
                };
                if r.content_length() == length {
                    return Ok(());
                }
                if is_bodiless(r.status()) {
                    let what = format!("content-length was not set: a response with status {} has none", r.status());
                    return Err(Refused::Ignored(what));
                }
                // Where a body follows, another length than its own would make the next response begin in the wrong place.
                if !end_stream(r)
                    && r.content_length() < 0
                    && !FILTERS.get().is_some_and(|filters| (filters.counts_body)(r))
                {
                    let what = "a change of content-length has no effect: nobody would see whether the body has it";
                    return Err(Refused::Ignored(what.into()));
                }
                if (!end_stream(r) && r.content_length() >= 0) || r.content_length() == 0 {
                    let what = "a change of content-length has no effect: nginx knows the length of the body";
                    return Err(Refused::Ignored(what.into()));
                }
                self.clear(r);
                r.set_content_length(length);
            }
            Own::LastModified => {
                self.clear(r);
                let line = list::of_response(r).push(b"Last-Modified", value)?;
                fields::last_modified(r).set(Some(line));
            }
        }
        Ok(())
    }
}

fn set_status(r: HttpRequest<'_>, value: &[u8]) -> Result<(), Refused> {
    let status = std::str::from_utf8(value).ok().filter(|text| text.len() == 3).and_then(|text| text.parse().ok());
    let Some(status) = status.filter(|status| (200..=999).contains(status)) else {
        return Err(Refused::Malformed(format!("invalid :status \"{}\"", value.escape_ascii())));
    };
    // A guest that sets back what it read keeps the upstream's reason phrase.
    if r.status() != status {
        r.set_status(status);
        fields::clear_status_line(r);
        if is_bodiless(status) {
            Own::ContentLength.clear(r);
        }
    }
    Ok(())
}

/// How a message is delimited is nginx's business: a second opinion on the wire would let responses be smuggled.
fn framing(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Refused> {
    if name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close") {
        r.set_keepalive(false);
        return Ok(());
    }
    Err(Refused::Ignored(format!("response header \"{}\" is nginx's own and was not set", name.escape_ascii())))
}

/// What is about the connection has no place in HTTP/2 and later, where it makes a message malformed (RFC 9113, section 8.2.2).
fn check_hop(r: HttpRequest<'_>, name: &[u8]) -> Result<(), Refused> {
    let is_later = r.http_version() >= nginx_sys::NGX_HTTP_VERSION_20 as usize;
    if !is_later || !super::is_about_connection(name) {
        return Ok(());
    }
    Err(Refused::Ignored(format!("response header \"{}\" is not for HTTP/2 and was not set", name.escape_ascii())))
}

impl Single {
    /// The field in which nginx expects the line.
    fn field(self, r: HttpRequest<'_>) -> Field<'_> {
        match self {
            Single::Server => fields::server(r),
            Single::Date => fields::date(r),
            Single::Location => fields::location(r),
            Single::ContentRange => fields::content_range(r),
            Single::AcceptRanges => fields::accept_ranges(r),
            Single::Expires => fields::expires(r),
            Single::ETag => fields::etag(r),
            Single::ContentEncoding => fields::content_encoding(r),
            Single::Refresh => fields::refresh(r),
        }
    }
}

impl Several {
    /// What leads to the lines.
    fn field(self, r: HttpRequest<'_>) -> Leads<'_> {
        match self {
            Several::CacheControl => fields::cache_control(r),
            Several::Link => fields::link(r),
            Several::WwwAuthenticate => fields::www_authenticate(r),
        }
    }
}

/// Brings the field that nginx has for a header in line with the list.
fn sync(r: HttpRequest<'_>, name: &[u8], kind: HeaderKind) -> Result<(), Refused> {
    let mut lines = list::of_response(r).named(name);
    match kind {
        // Nginx would put its own host before a location that it finds there; a filter's goes out as it is.
        HeaderKind::Single(Single::Location) => fields::location(r).set(None),
        HeaderKind::Single(single) => single.field(r).set(lines.next()),
        HeaderKind::Several(several) => several.field(r).set(lines)?,
        HeaderKind::Own(_) | HeaderKind::Framing | HeaderKind::Other => {}
    }
    Ok(())
}
