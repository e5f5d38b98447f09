//! The two modules that nginx knows us by, and what nginx wants to be told in its own form. Only declared here, as nginx's
//! headers declare its own modules: `module.rs`, on the top floor, defines them.

use std::ffi::CStr;

use nginx_sys::{ngx_module_t, ngx_str_t};

unsafe extern "C" {
    /// The core module, with the `wasm` block.
    pub static mut ngx_wasm_module: ngx_module_t;
    /// The HTTP module, with the filters of locations.
    pub static mut ngx_http_wasm_module: ngx_module_t;
}

/// A string of nginx for a name in the program.
pub const fn name(name: &'static CStr) -> ngx_str_t {
    ngx_str_t { len: name.count_bytes(), data: name.as_ptr().cast_mut().cast() }
}
