//! Variables of nginx.conf.

use nginx_sys::{
    ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_module,
    ngx_http_variable_t,
};

/// Whether the configuration names a variable.
///
/// # Safety
/// `cycle` is a cycle whose configuration nginx has read.
pub unsafe fn is_named(cycle: *const ngx_cycle_t, variable: &[u8]) -> bool {
    // SAFETY: see above; without http { } there is no context, and each variable that has a place in requests is in the array.
    unsafe {
        let context = (*(*cycle).conf_ctx.add(ngx_http_module.index)).cast::<ngx_http_conf_ctx_t>();
        if context.is_null() {
            return false;
        }
        let core = (*(*context).main_conf.add(ngx_http_core_module.ctx_index)).cast::<ngx_http_core_main_conf_t>();
        let named = (*core).variables.as_slice::<ngx_http_variable_t>();
        named.iter().any(|known| known.name.as_bytes() == variable)
    }
}
