//! Request bodies that have to be in a file: WebDAV's PUT moves it to its place, `client_body_in_file_only` is for those who
//! read it there. `request_body.rs` asks before nginx reads a body, `reread.rs` when filters have changed one.

use nginx_sys::{NGX_HTTP_PUT, ngx_uint_t};

use crate::nginx::modules;
use crate::nginx::request::HttpRequest;

pub(super) use crate::nginx::body_file::{Unwritten, write};

/// Asks nginx for what the handler of the location would ask for, if it read the body itself. Nobody has read it yet.
pub(super) fn prepare(r: HttpRequest<'_>) {
    if !r.is_body_in_file_only() {
        // Lua asks for the name of the file, which has to lead somewhere as long as the request lives
        // (`ngx.req.get_body_file`).
        r.set_request_body_in_persistent_file(true);
        r.set_request_body_in_clean_file(true);
    }
    if !is_put(r) {
        return;
    }
    r.set_request_body_in_file_only(true);
    r.set_request_body_in_persistent_file(true);
    r.set_request_body_in_clean_file(true);
    r.set_request_body_file_group_access(true);
    r.set_request_body_file_log_level(0);
}

/// Whether WebDAV is to store the body: it takes a PUT if no other handler is set, and refuses one with a range
/// (src/http/modules/ngx_http_dav_module.c, ngx_http_dav_handler).
pub(super) fn is_put(r: HttpRequest<'_>) -> bool {
    let is_put = r.method() == NGX_HTTP_PUT as ngx_uint_t;
    is_put && modules::dav_methods(r) & r.method() != 0 && !r.has_content_handler()
}
