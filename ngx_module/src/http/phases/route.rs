//! Whether a request whose filters are done leaves its location for that of its new path. `rewrite.rs` is the caller.

use nginx_sys::{ngx_http_core_module, ngx_http_core_srv_conf_t, ngx_http_request_t};

use crate::config::loc_conf::LocConf;
use crate::http::request::Request;

/// Whether nginx is to match the location again: a filter has changed the path or asked for it, and nothing keeps the
/// request where it is.
///
/// # Safety
/// `request` belongs to a live request.
pub(super) unsafe fn is_wanted(request: *mut Request) -> bool {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let is_asked = std::mem::take(&mut (*request).reroute);
        if !is_asked || (*request).keeps_route || !LocConf::of(r).reroutes() || is_in_named_location(r) {
            return false;
        }
        if std::mem::take(&mut (*request).has_left_location) {
            (*r).set_valid_location(1);
        }
        true
    }
}

/// Whether the location is one that `error_page`, `try_files` and the like choose by its name. No path leads there: matching
/// that of the request would lead back to where it came from.
unsafe fn is_in_named_location(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: the core module has a configuration in every server, and its list of named locations ends with null.
    unsafe {
        let server: *mut ngx_http_core_srv_conf_t = (*(*r).srv_conf.add(ngx_http_core_module.ctx_index)).cast();
        let mut place = (*server).named_locations;
        while !place.is_null() && !(*place).is_null() {
            let location = *place;
            if (*location).loc_conf == (*r).loc_conf || (*location).limit_except_loc_conf == (*r).loc_conf {
                return true;
            }
            place = place.add(1);
        }
    }
    false
}
