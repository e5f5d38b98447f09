//! What nginx's core module says of the location that a request is in. `phases/` is the caller; `modules.rs` has other modules.

use std::ptr::NonNull;

use nginx_sys::{
    ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_core_srv_conf_t, ngx_http_err_page_t, ngx_int_t,
    ngx_path_t, off_t,
};

use super::request::{HttpRequest, bytes};

/// What the core module says of the location.
fn core(r: HttpRequest<'_>) -> *const ngx_http_core_loc_conf_t {
    // SAFETY: a live request has an array of configurations with a place for the core module.
    unsafe { (*(*r.as_ptr()).loc_conf.add(ngx_http_core_module.ctx_index)).cast() }
}

/// Whether the location has a page for this status (`error_page`).
pub fn has_page_for(r: HttpRequest<'_>, status: u32) -> bool {
    // SAFETY: the configuration of a location stays as long as its cycle, and with it the array, if there is one.
    let Some(pages) = (unsafe { core(r).as_ref().and_then(|core| core.error_pages.as_ref()) }) else { return false };
    // SAFETY: its elements are pages (src/http/ngx_http_core_module.c, ngx_http_core_error_page).
    let pages = unsafe { pages.as_slice::<ngx_http_err_page_t>() };
    pages.iter().any(|page| page.status == status as ngx_int_t)
}

/// How many bytes the body of a request may have (`client_max_body_size`); 0: any number.
pub fn largest_body(r: HttpRequest<'_>) -> off_t {
    // SAFETY: as above; the core module has a configuration in every location.
    unsafe { core(r).as_ref().map_or(0, |core| core.client_max_body_size) }
}

/// Where bodies of requests go that have to be in a file (`client_body_temp_path`).
pub(super) fn body_temp_path(r: HttpRequest<'_>) -> Option<NonNull<ngx_path_t>> {
    // SAFETY: as above.
    NonNull::new(unsafe { core(r).as_ref()?.client_body_temp_path })
}

/// Whether the location is one that `error_page`, `try_files` and the like choose by its name.
pub fn is_named(r: HttpRequest<'_>) -> bool {
    // SAFETY: the core module has a configuration in every server.
    let server = unsafe { *(*r.as_ptr()).srv_conf.add(ngx_http_core_module.ctx_index) };
    // SAFETY: it stays as long as its cycle.
    let mut place = unsafe { (*server.cast::<ngx_http_core_srv_conf_t>()).named_locations };
    if place.is_null() {
        return false;
    }
    // SAFETY: the array of configurations that the request has now is one of a location.
    let own = unsafe { (*r.as_ptr()).loc_conf };
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
    // SAFETY: the configuration of a location stays as long as its cycle.
    unsafe { core(r).as_ref() }.map_or(&[], |core| unsafe { bytes(core.name) })
}

/// The prefix that has chosen the location, and whether the path is that and nothing more. `None`: it was chosen otherwise.
pub fn prefix(r: HttpRequest<'_>) -> Option<(&[u8], bool)> {
    // SAFETY: as above.
    let core = unsafe { core(r).as_ref() }?;
    #[cfg(ngx_feature = "pcre")]
    if !core.regex.is_null() {
        return None;
    }
    // A named one, or none at all.
    let name = name(r);
    name.starts_with(b"/").then(|| (name, core.exact_match() != 0))
}

/// Whether the server takes several slashes for one (`merge_slashes`).
pub fn merges_slashes(r: HttpRequest<'_>) -> bool {
    // SAFETY: the core module has a configuration in every server.
    let server = unsafe { *(*r.as_ptr()).srv_conf.add(ngx_http_core_module.ctx_index) };
    // SAFETY: it stays as long as its cycle.
    unsafe { (*server.cast::<ngx_http_core_srv_conf_t>()).merge_slashes != 0 }
}
