//! `proxy_wasm_headers_stop_iteration on|off;`, `proxy_wasm_response_order onion|declared;`, `proxy_wasm_reroute on|off;`,
//! `proxy_wasm_phase rewrite|access;` and `proxy_wasm_request_headers_in_access on|off;`, which says the same, in http, server,
//! location: where and how requests and responses pass the filters of a chain, and where requests go from there.

use super::Directive;
use crate::config::loc_conf::{LocConf, Phase};

pub fn headers_stop_iteration(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.stop_iteration, directive.switch())
}

pub fn response_order(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.declared_order, directive.choice(&[("onion", false), ("declared", true)]))
}

pub fn phase(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.phase, directive.choice(&[("rewrite", Phase::Rewrite), ("access", Phase::Access)]))
}

/// The other host's word for it.
pub fn request_headers_in_access(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.phase, directive.choice(&[("off", Phase::Rewrite), ("on", Phase::Access)]))
}

pub fn reroute(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.reroute, directive.switch())
}
