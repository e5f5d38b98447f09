//! `wasm_memory_limit SIZE;`, `wasm_timeout TIME;`, `wasm_pause_timeout TIME;` in http, server, location: what a guest
//! may use up.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_msec_t, ngx_parse_size, ngx_parse_time};

use super::{Directive, loc};
use crate::config::loc_conf::UNSET;

/// WebAssembly counts memory in these.
const PAGE: usize = 64 << 10;
/// What 32-bit pointers reach.
const LARGEST_MEMORY: usize = 4 << 30;

pub unsafe extern "C" fn memory(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let loc = loc(conf);
            if loc.memory_limit != UNSET {
                return Err(directive.duplicate());
            }
            let size = ngx_parse_size(directive.argument()?);
            match usize::try_from(size) {
                Ok(size) if (PAGE..=LARGEST_MEMORY).contains(&size) => loc.memory_limit = size,
                _ => return Err(directive.invalid("a size from 64k to 4096m, such as 128m")),
            }
            Ok(())
        })
    }
}

pub unsafe extern "C" fn timeout(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| set_time(directive, &mut loc(conf).timeout)) }
}

pub unsafe extern "C" fn pause_timeout(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| set_time(directive, &mut loc(conf).pause_timeout)) }
}

/// Stores a time above 0.
pub(super) fn set_time(directive: &Directive, place: &mut ngx_msec_t) -> Result<(), String> {
    if *place != ngx_msec_t::MAX {
        return Err(directive.duplicate());
    }
    // SAFETY: the argument is a string of nginx, which the function only reads.
    let time = unsafe { ngx_parse_time(directive.argument()?, 0) };
    match ngx_msec_t::try_from(time) {
        Ok(time) if time > 0 => *place = time,
        _ => return Err(directive.invalid("a time above 0, such as 1s or 50ms")),
    }
    Ok(())
}
