//! What nginx's core module says of the location that a request is in. `phases/` is the caller; `modules.rs` has other modules.

use std::ptr::NonNull;

use nginx_sys::{
    ngx_http_core_loc_conf_t, ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_core_srv_conf_t,
    ngx_http_err_page_t, ngx_int_t, ngx_msec_t, ngx_path_t, off_t,
};

use super::request::{HttpRequest, bytes};

/// What the core module keeps of the whole configuration of a request, which outlives it and does not change.
pub(super) fn main(r: HttpRequest<'_>) -> &ngx_http_core_main_conf_t {
    // SAFETY: every request has an array of the main level, with a place for the core module.
    unsafe { &*(*r.main_conf().add(ngx_http_core_module.ctx_index)).cast() }
}

/// What it keeps of the server.
pub(super) fn server(r: HttpRequest<'_>) -> &ngx_http_core_srv_conf_t {
    // SAFETY: every request has an array of its server, with a place for the core module.
    unsafe { &*(*r.srv_conf().add(ngx_http_core_module.ctx_index)).cast() }
}

/// What it keeps of the location.
fn core(r: HttpRequest<'_>) -> Option<&ngx_http_core_loc_conf_t> {
    // SAFETY: every request has an array of its location, with a place for the core module.
    unsafe { (*r.location_confs().add(ngx_http_core_module.ctx_index)).cast::<ngx_http_core_loc_conf_t>().as_ref() }
}

/// Whether the location has a page for this status (`error_page`).
pub fn has_page_for(r: HttpRequest<'_>, status: u32) -> bool {
    // SAFETY: the array stays as long as the configuration; null means that there is none.
    let Some(pages) = core(r).and_then(|core| unsafe { core.error_pages.as_ref() }) else { return false };
    // SAFETY: its elements are pages (src/http/ngx_http_core_module.c, ngx_http_core_error_page).
    let pages = unsafe { pages.as_slice::<ngx_http_err_page_t>() };
    pages.iter().any(|page| page.status == status as ngx_int_t)
}

/// How many bytes the body of a request may have (`client_max_body_size`); 0: any number.
pub fn largest_body(r: HttpRequest<'_>) -> off_t {
    core(r).map_or(0, |core| core.client_max_body_size)
}

/// How long a client may take nothing, in milliseconds (`send_timeout`), and from how many free bytes of a socket on it is written to
/// (`send_lowat`).
pub fn sending(r: HttpRequest<'_>) -> (ngx_msec_t, usize) {
    const DEFAULT_TIMEOUT: ngx_msec_t = 60_000;
    core(r).map_or((DEFAULT_TIMEOUT, 0), |core| (core.send_timeout, core.send_lowat))
}

/// Where bodies of requests go that have to be in a file (`client_body_temp_path`).
pub(super) fn body_temp_path(r: HttpRequest<'_>) -> Option<NonNull<ngx_path_t>> {
    NonNull::new(core(r)?.client_body_temp_path)
}

/// Whether the location is one that `error_page`, `try_files` and the like choose by its name.
pub fn is_named(r: HttpRequest<'_>) -> bool {
    let mut place = server(r).named_locations;
    if place.is_null() {
        return false;
    }
    let own = r.location_confs();
    // SAFETY: null ends the list of named locations (src/http/ngx_http.c, ngx_http_init_locations).
    while let Some(location) = unsafe { (*place).as_ref() } {
        if location.loc_conf == own || location.limit_except_loc_conf == own {
            return true;
        }
        // SAFETY: the one that has been looked at is not the end.
        place = unsafe { place.add(1) };
    }
    false
}

/// What the location is called in the configuration: a prefix, a regular expression, or "@name". Empty: the request is in none.
pub fn name(r: HttpRequest<'_>) -> &[u8] {
    // SAFETY: the name stays as long as the configuration.
    core(r).map_or(&[], |core| unsafe { bytes(core.name) })
}

/// The prefix that has chosen the location, and whether the path is that and nothing more. `None`: it was chosen otherwise.
pub fn prefix(r: HttpRequest<'_>) -> Option<(&[u8], bool)> {
    let core = core(r).filter(|core| !is_regex(core))?;
    // A named one, or none at all.
    let name = name(r);
    name.starts_with(b"/").then(|| (name, core.exact_match() != 0))
}

/// Whether a location is chosen by a regular expression.
#[cfg(ngx_feature = "pcre")]
pub(super) fn is_regex(core: &ngx_http_core_loc_conf_t) -> bool {
    !core.regex.is_null()
}

/// The same in an nginx that knows none.
#[cfg(not(ngx_feature = "pcre"))]
pub(super) fn is_regex(_: &ngx_http_core_loc_conf_t) -> bool {
    false
}

/// Whether the server takes several slashes for one (`merge_slashes`).
pub fn merges_slashes(r: HttpRequest<'_>) -> bool {
    server(r).merge_slashes != 0
}
