//! Request bodies that have to be in a file: WebDAV's PUT moves it to its place, `client_body_in_file_only` is for those who
//! read it there. `request_body.rs` asks before nginx reads a body, `reread.rs` when filters have changed one.

use nginx_sys::{
    NGX_HTTP_PUT, ngx_buf_t, ngx_chain_t, ngx_create_temp_file, ngx_http_core_loc_conf_t, ngx_http_core_module,
    ngx_http_request_t, ngx_pcalloc, ngx_temp_file_t, ngx_uint_t, ngx_write_chain_to_temp_file,
};

use crate::nginx::modules::{self, Known};
use crate::nginx::rc;

/// Asks nginx for what the handler of the location would ask for, if it read the body itself.
///
/// # Safety
/// `r` is a live request that has found its location, and whose body nobody has read.
pub(super) unsafe fn prepare(r: *mut ngx_http_request_t) {
    // SAFETY: see above.
    unsafe {
        if (*r).request_body_in_file_only() == 0 {
            // Lua asks for the name of the file, which has to lead somewhere as long as the request lives
            // (`ngx.req.get_body_file`).
            (*r).set_request_body_in_persistent_file(1);
            (*r).set_request_body_in_clean_file(1);
        }
        if !is_put(r) {
            return;
        }
        (*r).set_request_body_in_file_only(1);
        (*r).set_request_body_in_persistent_file(1);
        (*r).set_request_body_in_clean_file(1);
        (*r).set_request_body_file_group_access(1);
        (*r).set_request_body_file_log_level(0);
    }
}

/// Whether WebDAV is to store the body.
///
/// # Safety
/// `r` is a live request that has found its location.
pub(super) unsafe fn is_put(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above. The configuration of the WebDAV module begins with the methods that it handles; it takes a PUT if no
    // other handler is set, and refuses one with a range (src/http/modules/ngx_http_dav_module.c, ngx_http_dav_handler).
    unsafe {
        let conf = modules::loc_conf((*r).loc_conf, Known::Dav).cast::<ngx_uint_t>();
        let is_put = (*r).method == NGX_HTTP_PUT as ngx_uint_t;
        is_put && !conf.is_null() && *conf & (*r).method != 0 && (*r).content_handler.is_none()
    }
}

/// The body could not be written; nginx has logged why.
pub(super) struct Unwritten;

/// Puts a body into a file, as nginx does when it reads one (src/http/ngx_http_request_body.c, ngx_http_write_request_body).
/// `chain` is null for an empty one.
///
/// # Safety
/// `r` is a live request with a body, and `chain` a chain of buffers in memory.
pub(super) unsafe fn write(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> Result<(), Unwritten> {
    // SAFETY: see above; all structures are in the request's pool, and zeros are their defaults.
    unsafe {
        let clcf: *mut ngx_http_core_loc_conf_t = (*(*r).loc_conf.add(ngx_http_core_module.ctx_index)).cast();
        let file = ngx_pcalloc((*r).pool, size_of::<ngx_temp_file_t>()).cast::<ngx_temp_file_t>();
        let buf = ngx_pcalloc((*r).pool, size_of::<ngx_buf_t>()).cast::<ngx_buf_t>();
        let link = ngx_pcalloc((*r).pool, size_of::<ngx_chain_t>()).cast::<ngx_chain_t>();
        if file.is_null() || buf.is_null() || link.is_null() {
            return Err(Unwritten);
        }
        (*file).file.fd = -1;
        (*file).file.log = (*(*r).connection).log;
        (*file).path = (*clcf).client_body_temp_path;
        (*file).pool = (*r).pool;
        (*file).warn = c"a client request body is buffered to a temporary file".as_ptr().cast_mut().cast();
        (*file).set_log_level((*r).request_body_file_log_level());
        (*file).set_persistent((*r).request_body_in_persistent_file());
        (*file).set_clean((*r).request_body_in_clean_file());
        if (*r).request_body_file_group_access() != 0 {
            (*file).access = 0o660;
        }
        let body = (*r).request_body;
        (*body).bufs = std::ptr::null_mut();
        (*body).temp_file = file;
        if chain.is_null() {
            let (persistent, clean) = ((*file).persistent() as ngx_uint_t, (*file).clean() as ngx_uint_t);
            let code = ngx_create_temp_file(
                &raw mut (*file).file,
                (*file).path,
                (*file).pool,
                persistent,
                clean,
                (*file).access,
            );
            return if code == rc::OK { Ok(()) } else { Err(Unwritten) };
        }
        let written = ngx_write_chain_to_temp_file(file, chain);
        if written < 0 {
            return Err(Unwritten);
        }
        (*file).offset += written as i64;
        (*buf).set_in_file(1);
        (*buf).file_last = (*file).offset;
        (*buf).file = &raw mut (*file).file;
        (*buf).set_last_buf(1);
        (*link).buf = buf;
        (*body).bufs = link;
    }
    Ok(())
}
