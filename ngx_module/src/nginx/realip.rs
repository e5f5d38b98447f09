//! nginx's realip module, which finds out the address of a client behind a balancer: its handler, for calls out of turn.

use std::ffi::c_void;
use std::sync::OnceLock;

use nginx_sys::{
    ngx_http_phases_NGX_HTTP_POST_READ_PHASE, ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, ngx_int_t, ngx_str_t,
    ngx_uint_t,
};

use super::modules::{self, OtherModule};
use super::phases::{Handler, Phases};
use super::request::HttpRequest;

/// The module's handler, which the first configuration that has the module leads to: a function of the program.
static HANDLER: OnceLock<Handler> = OnceLock::new();

/// Looks the module's handler up: the one that is registered for both phases. Modules in the program itself have registered theirs
/// by then.
pub fn find_handler(phases: Phases) {
    let preaccess = phases.handlers(ngx_http_phases_NGX_HTTP_PREACCESS_PHASE);
    let is_in_both = |handler: &Handler| preaccess.iter().any(|other| std::ptr::fn_addr_eq(*other, *handler));
    if let Some(handler) = phases.handlers(ngx_http_phases_NGX_HTTP_POST_READ_PHASE).into_iter().find(is_in_both) {
        HANDLER.get_or_init(|| handler);
    }
}

/// Has the module find the address out now, if nginx has it. The result is what the module's handler returned.
pub fn run(r: HttpRequest<'_>) -> Option<ngx_int_t> {
    let handler = HANDLER.get().filter(|_| modules::has_location(r, OtherModule::Realip))?;
    // SAFETY: the handler goes on to the next one unless there is no memory, and does nothing when it is called again after it has
    // found an address (src/http/modules/ngx_http_realip_module.c, ngx_http_realip_handler).
    Some(unsafe { handler(r.as_ptr()) })
}

/// What the realip module says of a level: the beginning of its structure
/// (src/http/modules/ngx_http_realip_module.c, ngx_http_realip_loc_conf_t).
#[repr(C)]
struct Realip {
    from: *const c_void,
    type_: ngx_uint_t,
    hash: ngx_uint_t,
    header: ngx_str_t,
    recursive: isize,
}

impl Realip {
    fn is_like(&self, other: &Realip) -> bool {
        let key = |realip: &Realip| (realip.from, realip.type_, realip.header.len, realip.recursive, realip.hash);
        key(self) == key(other)
    }
}

/// Whether the address of clients is found out behind the rewrite phase, or in another way than before it.
///
/// # Safety
/// Both are arrays of configurations, of a location and of its server, in which the module has merged its own.
pub unsafe fn is_known_later(own: *mut *mut c_void, of_server: *mut *mut c_void) -> bool {
    // SAFETY: the structure of that module begins so in both arrays.
    let realip = |confs| unsafe { modules::loc_conf::<Realip>(confs, OtherModule::Realip) };
    match (realip(own), realip(of_server)) {
        (Some(own), Some(of_server)) => !own.from.is_null() && !own.is_like(of_server),
        _ => false,
    }
}
