//! `proxy_wasm NAME ['CONFIG'];` in http, server, location: appends a filter to the chain of the level. A level that
//! declares any filter has a chain of its own instead of the outer one; `proxy_wasm off;` makes it empty.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t};

use super::{Directive, loc};
use crate::conf::{NO_CHAIN, UNSET};

pub(super) unsafe extern "C" fn set(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let loc = loc(conf);
            let name = directive.word(1).unwrap_or_default();
            let off = name == b"off" && directive.word(2).is_none();
            if loc.chain == NO_CHAIN || (off && loc.chain != UNSET) {
                return Err("\"proxy_wasm off\" cannot stand beside other \"proxy_wasm\" of the same level".into());
            }
            if off {
                loc.chain = NO_CHAIN;
                return Ok(());
            }
            let configuration = directive.word(2).unwrap_or_default();
            let place = directive.place();
            directive.main()?.add_filter(loc, name.to_vec(), configuration.to_vec(), place);
            Ok(())
        })
    }
}
