//! The client's address behind a balancer, where a location says how it is known. nginx's realip module finds it out in the
//! preaccess phase then, behind filters of the rewrite phase, which would take the balancer for the client: an address that
//! `deny` refuses would get past a filter that refuses it too. So the module's handler runs before them.

use nginx_sys::ngx_int_t;

use crate::nginx::phases::Phases;
use crate::nginx::request::HttpRequest;
use crate::nginx::{rc, realip};

/// Looks the module's handler up.
pub(super) fn install(phases: Phases) {
    realip::find_handler(phases);
}

/// Has the module find the address out now. The result is [`rc::DECLINED`], or what ends the request.
pub(super) fn run_early(r: HttpRequest<'_>) -> ngx_int_t {
    if !r.is_main() {
        return rc::DECLINED;
    }
    match realip::run(r) {
        Some(code) if code >= rc::SPECIAL_RESPONSE => code,
        _ => rc::DECLINED,
    }
}
