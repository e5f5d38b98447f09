//! `wasm_metrics;` and `wasm_status;` in location: the location shows the metrics of filters, or what has become of filters.

use std::ffi::{c_char, c_void};

use nginx_sys::{
    ngx_command_t, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_handler_pt,
};

use crate::config::directives::Directive;
use crate::content::metrics_page;
use crate::content::status_page;

pub unsafe extern "C" fn metrics(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { set(cf, Some(metrics_page::handler)) }
}

pub unsafe extern "C" fn status(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: as above.
    unsafe { set(cf, Some(status_page::handler)) }
}

unsafe fn set(cf: *mut ngx_conf_t, handler: ngx_http_handler_pt) -> *mut c_char {
    // SAFETY: as above; in a location the context is that of HTTP, and the core module has its configuration there.
    unsafe {
        Directive::handle(cf, |_| {
            let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let core: *mut ngx_http_core_loc_conf_t = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index)).cast();
            (*core).handler = handler;
            Ok(())
        })
    }
}
