//! `wasm_metrics;` in location: the location shows the metrics of filters.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module};

use super::Directive;
use crate::metrics_page;

pub(super) unsafe extern "C" fn set(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler; in a location the context is that of HTTP, and the core module
    // has its configuration there.
    unsafe {
        Directive::handle(cf, |_| {
            let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let core: *mut ngx_http_core_loc_conf_t = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index)).cast();
            (*core).handler = Some(metrics_page::handler);
            Ok(())
        })
    }
}
