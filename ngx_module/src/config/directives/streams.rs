//! `proxy_wasm_headers_stop_iteration on|off;`, `proxy_wasm_response_order onion|declared;`, `proxy_wasm_reroute on|off;`,
//! `proxy_wasm_phase rewrite|access;` and `proxy_wasm_request_headers_in_access on|off;`, which says the same, in http, server,
//! location: where and how requests and responses pass the filters of a chain, and where requests go from there.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t};

use super::{Directive, loc, shown};
use crate::config::loc_conf::UNSET;

pub unsafe extern "C" fn headers_stop_iteration(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| choose(directive, &mut loc(conf).stop_iteration, ["off", "on"])) }
}

pub unsafe extern "C" fn response_order(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| choose(directive, &mut loc(conf).declared_order, ["onion", "declared"]))
    }
}

pub unsafe extern "C" fn phase(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| choose(directive, &mut loc(conf).phase, ["rewrite", "access"])) }
}

/// The other host's word for it.
pub unsafe extern "C" fn request_headers_in_access(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| choose(directive, &mut loc(conf).phase, ["off", "on"])) }
}

pub unsafe extern "C" fn reroute(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| choose(directive, &mut loc(conf).reroute, ["off", "on"])) }
}

/// Stores which of two words the argument is.
pub(super) fn choose(directive: &Directive, place: &mut usize, words: [&str; 2]) -> Result<(), String> {
    if *place != UNSET {
        return Err(directive.duplicate());
    }
    let word = shown(directive.word(1).unwrap_or_default());
    *place = words
        .iter()
        .position(|known| *known == word)
        .ok_or_else(|| directive.invalid(&format!("\"{}\" or \"{}\"", words[0], words[1])))?;
    Ok(())
}
