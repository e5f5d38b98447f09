//! Whether a request whose filters are done leaves its location for that of its new path. `rewrite.rs` is the caller.

use crate::config::loc_conf::LocConf;
use crate::http::request::Request;
use crate::nginx::location;

/// Whether nginx is to match the location again: a filter has changed the path or asked for it, and nothing keeps the
/// request where it is.
///
/// No path leads to a location that `error_page`, `try_files` and the like choose by its name: matching that of the request would
/// lead back to where it came from.
pub(super) fn is_wanted(request: &Request) -> bool {
    let r = request.r();
    let is_asked = request.reroute.take();
    if !is_asked || request.keeps_route.get() || !LocConf::of(r).reroutes() || location::is_named(r) {
        return false;
    }
    if request.has_left_location.take() {
        r.set_valid_location(true);
    }
    true
}
