//! `wasm_latency on|off;` in http: whether it is measured how long callbacks of filters, and programs, take.

use super::Directive;
use crate::config::conf::MainConf;

pub fn set(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.measures_callbacks, directive.switch())
}
