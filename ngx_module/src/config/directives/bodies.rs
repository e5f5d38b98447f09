//! `proxy_wasm_request_body_buffer SIZE;`, `proxy_wasm_response_body_buffer SIZE;` in http, server, location: how much of a
//! body a filter that pauses may have held for it. `proxy_wasm_body_buffer_max SIZE;`: up to how much a filter can ask for.

use super::Directive;
use crate::config::loc_conf::{LARGEST_BODY, LocConf};

pub fn request(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.request_body_buffer, size(directive))
}

pub fn response(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.response_body_buffer, size(directive))
}

pub fn max(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.body_buffer_max, size(directive))
}

fn size(directive: &Directive) -> Result<usize, String> {
    directive.size(1, 1..=LARGEST_BODY, "1m")
}
