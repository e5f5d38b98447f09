//! `wasm_memory_limit SIZE;`, `wasm_timeout TIME;`, `wasm_pause_timeout TIME;` in http, server, location: what a guest
//! may use up.

use super::Directive;
use crate::config::loc_conf::LocConf;

/// WebAssembly counts memory in these.
const PAGE: usize = 64 << 10;
/// What 32-bit pointers reach.
const LARGEST_MEMORY: usize = 4 << 30;

pub fn memory(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.memory_limit, directive.size(1, PAGE..=LARGEST_MEMORY, "128m"))
}

pub fn timeout(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.timeout, directive.time())
}

pub fn pause_timeout(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.pause_timeout, directive.time())
}
