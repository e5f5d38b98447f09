//! nginx's realip module, which finds out the address of a client behind a balancer: its handler, for calls out of turn.

use std::cell::Cell;

use nginx_sys::{ngx_http_phases_NGX_HTTP_POST_READ_PHASE, ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, ngx_int_t};

use super::modules::{self, Known};
use super::phases::{Handler, Phases};
use super::request::HttpRequest;

thread_local! {
    /// The module's handler. Workers begin with what the master found.
    static HANDLER: Cell<Option<Handler>> = const { Cell::new(None) };
}

/// Looks the module's handler up: the one that is registered for both phases. Modules in the program itself have registered theirs
/// by then.
pub fn find_handler(phases: Phases) {
    let preaccess = phases.handlers(ngx_http_phases_NGX_HTTP_PREACCESS_PHASE);
    let is_in_both = |handler: &Handler| preaccess.iter().any(|other| std::ptr::fn_addr_eq(*other, *handler));
    HANDLER.set(phases.handlers(ngx_http_phases_NGX_HTTP_POST_READ_PHASE).into_iter().find(is_in_both));
}

/// Has the module find the address out now, if nginx has it. The result is what the module's handler returned.
pub fn run(r: HttpRequest<'_>) -> Option<ngx_int_t> {
    let handler = HANDLER.get().filter(|_| modules::has_location(r, Known::Realip))?;
    // SAFETY: the handler goes on to the next one unless there is no memory, and does nothing when it is called again after it has
    // found an address (src/http/modules/ngx_http_realip_module.c, ngx_http_realip_handler).
    Some(unsafe { handler(r.as_ptr()) })
}
