//! `proxy_wasm_decode on|off;`, `proxy_wasm_intercept_errors on|off;` in http, server, location: how responses look to filters,
//! and how those of filters look to clients.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t};

use super::streams::choose;
use super::{Directive, loc};

pub unsafe extern "C" fn decode(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| choose(directive, &mut loc(conf).decode, ["off", "on"])) }
}

pub unsafe extern "C" fn intercept_errors(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| choose(directive, &mut loc(conf).intercept_errors, ["off", "on"])) }
}
