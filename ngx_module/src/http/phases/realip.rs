//! The client's address behind a balancer, where a location says how it is known. nginx's realip module finds it out in the
//! preaccess phase then, behind filters of the rewrite phase, which would take the balancer for the client: an address that
//! `deny` refuses would get past a filter that refuses it too. So the module's handler runs before them.

use nginx_sys::{
    ngx_http_core_main_conf_t, ngx_http_handler_pt, ngx_http_phases_NGX_HTTP_POST_READ_PHASE,
    ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, ngx_http_request_t, ngx_int_t,
};

use crate::nginx::modules::{self, Known};
use crate::nginx::rc;

static mut HANDLER: ngx_http_handler_pt = None;

/// Looks the module's handler up: the one that is registered for both phases.
///
/// # Safety
/// `cmcf` is nginx's, which reads its configuration; modules in the program itself have registered their handlers.
pub(super) unsafe fn install(cmcf: *mut ngx_http_core_main_conf_t) {
    // SAFETY: see above; these arrays are there, and one thread reads the configuration.
    unsafe {
        let handlers = |phase: u32| (&(*cmcf).phases)[phase as usize].handlers.as_slice::<ngx_http_handler_pt>();
        let preaccess = handlers(ngx_http_phases_NGX_HTTP_PREACCESS_PHASE);
        let is_in_both = |handler: &&ngx_http_handler_pt| {
            preaccess.iter().any(|other| other.map(|other| other as usize) == handler.map(|handler| handler as usize))
        };
        HANDLER = handlers(ngx_http_phases_NGX_HTTP_POST_READ_PHASE).iter().find(is_in_both).copied().flatten();
    }
}

/// Has the module find the address out now. The result is [`rc::DECLINED`], or what ends the request.
///
/// # Safety
/// `r` is a live request that has found its location.
pub(super) unsafe fn run_early(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: see above. The handler goes on to the next one unless there is no memory, and does nothing when it is called again after it has
    // found an address (src/http/modules/ngx_http_realip_module.c, ngx_http_realip_handler).
    unsafe {
        if r == (*r).main
            && !modules::loc_conf((*r).loc_conf, Known::Realip).is_null()
            && let Some(handler) = (&raw const HANDLER).read()
        {
            let code = handler(r);
            return if code >= rc::SPECIAL_RESPONSE { code } else { rc::DECLINED };
        }
        rc::DECLINED
    }
}
