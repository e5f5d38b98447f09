//! Whether a location answers in the rewrite phase, by `return`: a body that filters look at must be read before that.

use std::ffi::c_void;

use nginx_sys::{ngx_array_t, ngx_http_script_engine_t, ngx_http_script_return_code};

use super::modules::{self, OtherModule};
use super::rc;
use super::request::HttpRequest;

/// Whether a `return` of the location, in an `if` or not, answers with something that refuses nothing. A status from 400 on
/// refuses the request, and that does not wait for a body.
pub fn answers(r: HttpRequest<'_>) -> bool {
    // SAFETY: a live request has the array of its location, or of its server, which nginx has merged.
    unsafe { in_location(r.location_confs()) }
}

/// The same for a location that nginx has read.
///
/// # Safety
/// `loc_conf` is its array of configurations, in which the rewrite module has merged its own.
pub unsafe fn in_location(loc_conf: *mut *mut c_void) -> bool {
    // SAFETY: the configuration of the rewrite module begins with its code (src/http/modules/ngx_http_rewrite_module.c), if there is
    // any.
    let codes = unsafe { modules::loc_conf::<*mut ngx_array_t>(loc_conf, OtherModule::Rewrite) };
    // SAFETY: the code is there as long as the configuration.
    let Some(codes) = codes.and_then(|codes| unsafe { codes.as_ref() }) else { return false };
    // SAFETY: that is an array of bytes in which each operation begins with the address of its function, at a multiple of the size
    // of an address. That of `return` has the status behind it (src/http/ngx_http_script.h, ngx_http_script_return_code_t).
    let words = unsafe { std::slice::from_raw_parts(codes.elts.cast::<usize>(), codes.nelts / size_of::<usize>()) };
    let operation: unsafe extern "C" fn(*mut ngx_http_script_engine_t) = ngx_http_script_return_code;
    words.windows(2).any(|pair| pair[0] == operation as usize && (pair[1] as isize) < LEAST_REFUSAL)
}

const LEAST_REFUSAL: isize = rc::SPECIAL_RESPONSE + 100;
