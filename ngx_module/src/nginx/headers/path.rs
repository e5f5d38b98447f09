//! `:path`: what nginx would ask an upstream for at the moment, and a filter's change of it. `request.rs` here and
//! `properties/request.rs` are the callers; `phases/route.rs` decides whether a new path leads to another location.
//!
//! nginx has the path of a request twice: as the client sent it (`unparsed_uri`), and decoded (`uri`, `args`). Once it has
//! made another one of it, by `rewrite`, `error_page`, `X-Accel-Redirect`, `try_files`, `index` or for a subrequest, only
//! the second counts (`valid_unparsed_uri` is 0), which proxy_pass and its kin encode again.

use std::borrow::Cow;

use nginx_sys::{
    NGX_ESCAPE_URI, ngx_escape_uri, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_core_srv_conf_t,
    ngx_http_request_t, ngx_str_t, ngx_uint_t,
};

use super::{FILTERS, Refused, variables};
use crate::nginx::pool;

/// The path with its query. Empty when the client sent none: nginx has refused the request then.
///
/// # Safety
/// `r` is a live request, here and below, and its path does not change while the result is used.
pub unsafe fn current<'a>(r: *mut ngx_http_request_t) -> Cow<'a, [u8]> {
    // SAFETY: the texts live with the request.
    unsafe {
        if (*r).valid_unparsed_uri() != 0 {
            return Cow::Borrowed((*r).unparsed_uri.as_bytes());
        }
        // Otherwise nginx takes it for one in which nothing has to be encoded (src/http/modules/ngx_http_proxy_module.c,
        // ngx_http_proxy_create_request).
        let encodes = (*r).quoted_uri() != 0 || (*r).internal() != 0;
        let mut path = if encodes { encoded((*r).uri) } else { (*r).uri.as_bytes().to_vec() };
        let args = (*r).args.as_bytes();
        if !args.is_empty() {
            path.push(b'?');
            path.extend_from_slice(args);
        }
        Cow::Owned(path)
    }
}

/// A decoded path as nginx encodes it.
unsafe fn encoded(uri: ngx_str_t) -> Vec<u8> {
    // SAFETY: without a destination the function counts what it would encode; each takes three bytes in the place of one.
    unsafe {
        let escape = NGX_ESCAPE_URI as ngx_uint_t;
        let count = ngx_escape_uri(std::ptr::null_mut(), uri.data, uri.len, escape);
        if count == 0 {
            return uri.as_bytes().to_vec();
        }
        let mut text = vec![0; uri.len + 2 * count];
        ngx_escape_uri(text.as_mut_ptr(), uri.data, uri.len, escape);
        text
    }
}

/// Gives the request another target, as if the client had sent it. Nginx's own parser decides what is valid.
pub unsafe fn set(r: *mut ngx_http_request_t, path: &[u8]) -> Result<(), Refused> {
    let malformed = || Refused::Malformed(format!("invalid :path \"{}\"", path.escape_ascii()));
    if !path.starts_with(b"/") || path.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(malformed());
    }
    // SAFETY: see `Parser`; the text lives with the request.
    unsafe {
        let text = pool::copy((*r).pool, path).ok_or(Refused::NoMemory)?;
        let Some(target) = parse(r, text) else { return Err(malformed()) };
        (*r).uri = target.uri;
        (*r).args = target.args;
        (*r).exten = target.exten;
        (*r).unparsed_uri = text;
        (*r).set_valid_unparsed_uri(1);
        let filters = FILTERS.get();
        fit_location(r, filters.map_or(std::ptr::null_mut(), |filters| (filters.left_location)(r)));
        if let Some(filters) = filters {
            (filters.path_changed)(r);
        }
        variables::follow(r);
    }
    Ok(())
}

/// A path as nginx has it.
struct Target {
    uri: ngx_str_t,
    args: ngx_str_t,
    exten: ngx_str_t,
}

/// Has nginx parse a path. The marks that it leaves in the request (what has to be encoded) are those of the new one when
/// there is a result, and those of the old one otherwise.
unsafe fn parse(r: *mut ngx_http_request_t, text: ngx_str_t) -> Option<Target> {
    // SAFETY: the parser works on these fields of the request (src/http/ngx_http_parse.c, ngx_http_parse_uri and
    // ngx_http_parse_complex_uri). Nginx reuses their memory later, so they are put back as they were.
    unsafe {
        let places = ((*r).uri_start, (*r).uri_end, (*r).uri_ext, (*r).args_start, (*r).state);
        let marks = ((*r).complex_uri(), (*r).quoted_uri(), (*r).plus_in_uri(), (*r).empty_path_in_uri());
        let exten = std::mem::replace(&mut (*r).exten, ngx_str_t::empty());
        (*r).uri_start = text.data;
        (*r).uri_end = text.data.add(text.len);
        (*r).uri_ext = std::ptr::null_mut();
        (*r).args_start = std::ptr::null_mut();
        (*r).state = 0;
        (*r).set_complex_uri(0);
        (*r).set_quoted_uri(0);
        (*r).set_plus_in_uri(0);
        (*r).set_empty_path_in_uri(0);

        let target = decode(r).map(|uri| Target {
            uri,
            args: match (*r).args_start {
                start if start.is_null() => ngx_str_t::empty(),
                start => ngx_str_t { data: start, len: (*r).uri_end.offset_from(start) as usize },
            },
            // Of a path that it decodes, the parser sets the extension itself, and `uri_ext` is null then.
            exten: match (*r).uri_ext {
                start if start.is_null() => (*r).exten,
                start => ngx_str_t { data: start, len: uri.data.add(uri.len).offset_from(start) as usize },
            },
        });
        ((*r).uri_start, (*r).uri_end, (*r).uri_ext, (*r).args_start, (*r).state) = places;
        (*r).exten = exten;
        if target.is_none() {
            (*r).set_complex_uri(marks.0);
            (*r).set_quoted_uri(marks.1);
            (*r).set_plus_in_uri(marks.2);
            (*r).set_empty_path_in_uri(marks.3);
        }
        target
    }
}

/// The decoded path of the text between `uri_start` and `uri_end`.
unsafe fn decode(r: *mut ngx_http_request_t) -> Option<ngx_str_t> {
    // SAFETY: see `parse`.
    unsafe {
        if nginx_sys::ngx_http_parse_uri(r) != crate::nginx::rc::OK {
            return None;
        }
        let end = if (*r).args_start.is_null() { (*r).uri_end } else { (*r).args_start.sub(1) };
        let len = end.offset_from((*r).uri_start) as usize;
        if (*r).complex_uri() == 0 && (*r).quoted_uri() == 0 {
            return Some(ngx_str_t { len, data: (*r).uri_start });
        }
        // Decoding never makes a path longer. The parser writes to r->uri, whose old value must survive a failure.
        let old = (*r).uri;
        let data = nginx_sys::ngx_pnalloc((*r).pool, len + 1).cast::<u8>();
        if data.is_null() {
            return None;
        }
        (*r).uri = ngx_str_t { len, data };
        let merge_slashes = (*core_srv_conf(r)).merge_slashes as ngx_uint_t;
        let parsed = nginx_sys::ngx_http_parse_complex_uri(r, merge_slashes) == crate::nginx::rc::OK;
        let uri = std::mem::replace(&mut (*r).uri, old);
        parsed.then_some(uri)
    }
}

/// In a location of a prefix, `alias` and the URI of proxy_pass take the place of as many bytes as the prefix has. A path
/// that does not begin with it is for them what one is that `rewrite ... break` made: proxy_pass passes the whole of it on,
/// and `alias` is an error.
unsafe fn fit_location(r: *mut ngx_http_request_t, left: *mut bool) {
    // SAFETY: the core module has a configuration in every location.
    unsafe {
        let location: *mut ngx_http_core_loc_conf_t = (*(*r).loc_conf.add(ngx_http_core_module.ctx_index)).cast();
        let name = (*location).name.as_bytes();
        #[cfg(ngx_feature = "pcre")]
        if !(*location).regex.is_null() {
            return;
        }
        // A named one, or none at all.
        if !name.starts_with(b"/") {
            return;
        }
        let uri = (*r).uri.as_bytes();
        let fits = if (*location).exact_match() != 0 { uri == name } else { uri.starts_with(name) };
        let has_left = !left.is_null() && *left;
        if fits && has_left {
            (*r).set_valid_location(1);
            *left = false;
        } else if !fits && (*r).valid_location() != 0 {
            (*r).set_valid_location(0);
            if !left.is_null() {
                *left = true;
            }
        }
    }
}

unsafe fn core_srv_conf(r: *mut ngx_http_request_t) -> *mut ngx_http_core_srv_conf_t {
    // SAFETY: the core HTTP module has a server configuration in every request.
    unsafe { (*(*r).srv_conf.add(ngx_http_core_module.ctx_index)).cast() }
}
