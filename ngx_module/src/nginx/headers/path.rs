//! `:path`: what nginx would ask an upstream for at the moment, and a filter's change of it. `request.rs` here and
//! `properties/request.rs` are the callers; `phases/route.rs` decides whether a new path leads to another location.
//!
//! nginx has the path of a request twice: as the client sent it (`unparsed_uri`), and decoded (`uri`, `args`). Once it has
//! made another one of it, by `rewrite`, `error_page`, `X-Accel-Redirect`, `try_files`, `index` or for a subrequest, only
//! the second counts (`valid_unparsed_uri` is 0), which proxy_pass and its kin encode again.

use std::borrow::Cow;
use std::cell::Cell;

use super::{FILTERS, Refused, variables};
use crate::nginx::location;
use crate::nginx::request::HttpRequest;
use crate::nginx::target::{self, Unset};

/// The path with its query. Empty when the client sent none: nginx has refused the request then.
pub fn current(r: HttpRequest<'_>) -> Cow<'_, [u8]> {
    if r.is_valid_unparsed_uri() {
        return Cow::Borrowed(r.unparsed_uri());
    }
    // Otherwise nginx takes it for one in which nothing has to be encoded (src/http/modules/ngx_http_proxy_module.c,
    // ngx_http_proxy_create_request).
    let encodes = r.is_quoted_uri() || r.is_internal();
    let mut path = if encodes { target::encoded(r.uri()) } else { r.uri().to_vec() };
    if !r.args().is_empty() {
        path.push(b'?');
        path.extend_from_slice(r.args());
    }
    Cow::Owned(path)
}

/// Gives the request another target, as if the client had sent it. Nginx's own parser decides what is valid.
pub fn set(r: HttpRequest<'_>, path: &[u8]) -> Result<(), Refused> {
    let malformed = || Refused::Malformed(format!("invalid :path \"{}\"", path.escape_ascii()));
    if !path.starts_with(b"/") || path.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(malformed());
    }
    target::set_path(r, path).map_err(|why| match why {
        Unset::NoMemory => Refused::NoMemory,
        Unset::Malformed => malformed(),
    })?;
    let filters = FILTERS.get();
    fit_location(r, filters.and_then(|filters| (filters.left_location)(r)));
    if let Some(filters) = filters {
        (filters.path_changed)(r);
    }
    variables::follow(r);
    Ok(())
}

/// In a location of a prefix, `alias` and the URI of proxy_pass take the place of as many bytes as the prefix has. A path
/// that does not begin with it is for them what one is that `rewrite ... break` made: proxy_pass passes the whole of it on,
/// and `alias` is an error.
fn fit_location(r: HttpRequest<'_>, left: Option<&Cell<bool>>) {
    let Some((name, is_exact)) = location::prefix(r) else { return };
    let fits = if is_exact { r.uri() == name } else { r.uri().starts_with(name) };
    let note = |has_left| {
        if let Some(left) = left {
            left.set(has_left);
        }
    };
    if fits && left.is_some_and(Cell::get) {
        r.set_valid_location(true);
        note(false);
    } else if !fits && r.is_valid_location() {
        r.set_valid_location(false);
        note(true);
    }
}
