//! `backtraces on|off;`, `instance_pool off|NUMBER [memory=SIZE];` and `optimize auto|on|off;` in `wasm { }`: how engines are set up.

use std::ops::RangeInclusive;

use ngx_wasm::vm::{Optimize, PoolOptions};

use super::Directive;
use super::values::{number, sizes};
use crate::config::conf::MainConf;
use crate::nginx::conf::parse_size;
use crate::process::engine::DEFAULT_POOL;

/// Their memories take up half the address space of a process.
const MOST_INSTANCES: u32 = 16384;
/// From what WebAssembly counts memory in to what 32-bit pointers reach.
const MEMORY: RangeInclusive<usize> = 64 << 10..=4 << 30;

pub fn backtraces(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.engine_conf.backtraces, directive.switch())
}

pub fn instance_pool(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.engine_conf.pool, pool(directive))
}

fn pool(directive: &Directive) -> Result<PoolOptions, String> {
    let instances = match directive.word(1).unwrap_or_default() {
        b"off" => 0,
        word => number(word).filter(|number| (1..=MOST_INSTANCES).contains(number)).ok_or_else(|| {
            directive.invalid(word, &format!("\"off\", or a number from 1 to {MOST_INSTANCES}, such as 1024"))
        })?,
    };
    let memory = match directive.word(2) {
        None => DEFAULT_POOL.memory,
        Some(word) => {
            let size = word.strip_prefix(b"memory=").and_then(parse_size).filter(|size| MEMORY.contains(size));
            size.ok_or_else(|| {
                directive.invalid_parameter(word, &format!("memory=SIZE, {}", sizes(&MEMORY, "memory=64m")))
            })? as u64
        }
    };
    Ok(PoolOptions { instances, memory })
}

pub fn optimize(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    let optimize = match directive.word(1).unwrap_or_default() {
        b"auto" => Ok(Optimize::Auto),
        b"on" => Ok(Optimize::On),
        b"off" => Ok(Optimize::Off),
        word => Err(directive.invalid(word, "\"auto\", \"on\" or \"off\"")),
    };
    directive.set(&mut main.engine_conf.optimize, optimize)
}
