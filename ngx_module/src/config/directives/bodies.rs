//! `proxy_wasm_request_body_buffer SIZE;`, `proxy_wasm_response_body_buffer SIZE;` in http, server, location: how much of a
//! body a filter that pauses may have held for it. `proxy_wasm_body_buffer_max SIZE;`: up to how much a filter can ask for.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_parse_size};

use super::{Directive, loc};
use crate::config::loc_conf::{LARGEST_BODY, UNSET};

pub unsafe extern "C" fn request(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| set_size(directive, &mut loc(conf).request_body_buffer)) }
}

pub unsafe extern "C" fn response(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| set_size(directive, &mut loc(conf).response_body_buffer)) }
}

pub unsafe extern "C" fn max(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe { Directive::handle(cf, |directive| set_size(directive, &mut loc(conf).body_buffer_max)) }
}

fn set_size(directive: &Directive, place: &mut usize) -> Result<(), String> {
    if *place != UNSET {
        return Err(directive.duplicate());
    }
    // SAFETY: the argument is a string of nginx, which the function only reads.
    let size = unsafe { ngx_parse_size(directive.argument()?) };
    match usize::try_from(size) {
        Ok(size) if (1..=LARGEST_BODY).contains(&size) => *place = size,
        _ => return Err(directive.invalid("a size from 1 to 4095m, such as 1m")),
    }
    Ok(())
}
