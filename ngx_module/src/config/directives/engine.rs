//! `backtraces on|off;` and `instance_pool off|NUMBER [memory=SIZE];` in `wasm { }`: how engines are set up.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_parse_size, ngx_str_t};
use ngx_wasm::vm::PoolOptions;

use super::{Directive, shown};
use crate::process::engine::DEFAULT_POOL;

/// Their memories take up half the address space of a process.
const MOST_INSTANCES: u32 = 16384;
/// WebAssembly counts memory in these.
const SMALLEST_MEMORY: u64 = 64 << 10;
/// What 32-bit pointers reach.
const LARGEST_MEMORY: u64 = 4 << 30;

pub unsafe extern "C" fn backtraces(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let on = match directive.word(1) {
                Some(b"on") => true,
                Some(b"off") => false,
                _ => return Err(directive.invalid("\"on\" or \"off\"")),
            };
            match directive.main()?.engine_conf.backtraces.replace(on) {
                None => Ok(()),
                Some(_) => Err(directive.duplicate()),
            }
        })
    }
}

pub unsafe extern "C" fn instance_pool(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let instances = match directive.word(1).unwrap_or_default() {
                b"off" => 0,
                word => number(word).ok_or_else(|| {
                    directive.invalid(&format!("\"off\", or a number from 1 to {MOST_INSTANCES}, such as 1024"))
                })?,
            };
            let memory = match directive.words().get(2) {
                None => DEFAULT_POOL.memory,
                Some(word) => memory(word).ok_or_else(|| {
                    let word = shown(word.as_bytes());
                    format!(
                        "invalid parameter \"{word}\" of \"instance_pool\": it takes memory=SIZE, a size from 64k to 4096m, \
                         such as memory=64m"
                    )
                })?,
            };
            match directive.main()?.engine_conf.pool.replace(PoolOptions { instances, memory }) {
                None => Ok(()),
                Some(_) => Err(directive.duplicate()),
            }
        })
    }
}

fn number(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok().filter(|number| (1..=MOST_INSTANCES).contains(number))
}

fn memory(word: &ngx_str_t) -> Option<u64> {
    let size = word.as_bytes().strip_prefix(b"memory=")?;
    let mut size = ngx_str_t { len: size.len(), data: size.as_ptr().cast_mut() };
    // SAFETY: the function only reads the bytes, which are nginx's.
    let size = unsafe { ngx_parse_size(&mut size) };
    u64::try_from(size).ok().filter(|size| (SMALLEST_MEMORY..=LARGEST_MEMORY).contains(size))
}
