//! `proxy_wasm_decode on|off;`, `proxy_wasm_intercept_errors on|off;` in http, server, location: how responses look to filters,
//! and how those of filters look to clients.

use super::Directive;
use crate::config::loc_conf::LocConf;

pub fn decode(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.decode, directive.switch())
}

pub fn intercept_errors(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.intercept_errors, directive.switch())
}
