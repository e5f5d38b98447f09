//! Where a request meets its filters: the phases and filter chains of nginx, a file for each.

mod body_file;
mod body_filter;
mod decode;
mod header_filter;
mod hold;
mod intercept;
mod log;
mod parts;
mod pause;
mod precontent;
mod realip;
mod request_body;
mod reread;
mod rewrite;
mod route;
mod streaming;
mod upgrade;
mod writable;

use nginx_sys::{
    ngx_array_push, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_handler_pt, ngx_http_phases_NGX_HTTP_LOG_PHASE, ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE,
    ngx_http_phases_NGX_HTTP_REWRITE_PHASE, ngx_int_t,
};

use crate::http::request::Request;
use crate::nginx::{headers, rc};

pub use body_filter::{hand_on, pass as pass_response_body};
pub use decode::Decoding;
pub use header_filter::{next as next_header_filter, passed as response_headers_passed};
pub use intercept::{Intercepted, in_phase as intercept};
pub use pause::{release_waiting, wake};
pub use request_body::pass as pass_request_body;
pub use upgrade::{Tunnel, is_wanted as is_upgrade};

/// Registers the handlers and filters, while nginx reads the configuration.
///
/// # Safety
/// `cf` is what nginx passed to `postconfiguration`.
pub unsafe fn install(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: inside of `http { }` the context is that of HTTP, and the core module has its configuration.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let cmcf: *mut ngx_http_core_main_conf_t = (*(*ctx).main_conf.add(ngx_http_core_module.ctx_index)).cast();
        if add_handler(cmcf, ngx_http_phases_NGX_HTTP_REWRITE_PHASE as usize, Some(rewrite::handler)).is_none() {
            return rc::ERROR;
        }
        // Behind all other modules', and so before them.
        if add_handler(cmcf, ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE as usize, Some(precontent::handler)).is_none() {
            return rc::ERROR;
        }
        let log_phase = ngx_http_phases_NGX_HTTP_LOG_PHASE as usize;
        if add_handler(cmcf, log_phase, Some(log::handler)).is_none() {
            return rc::ERROR;
        }
        // Before the access log, so that it can show variables that a filter sets in on_log.
        (*cmcf).phases[log_phase].handlers.as_slice_mut::<ngx_http_handler_pt>().rotate_right(1);
        headers::know_filters(Request::FOR_HEADERS);
        header_filter::install();
        body_filter::install();
        request_body::install();
        realip::install(cmcf);
    }
    rc::OK
}

unsafe fn add_handler(cmcf: *mut ngx_http_core_main_conf_t, phase: usize, handler: ngx_http_handler_pt) -> Option<()> {
    // SAFETY: nginx has made an array of handlers for each of these phases.
    unsafe {
        let place = ngx_array_push(&raw mut (*cmcf).phases[phase].handlers).cast::<ngx_http_handler_pt>();
        if place.is_null() {
            return None;
        }
        place.write(handler);
    }
    Some(())
}
