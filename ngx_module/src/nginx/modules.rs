//! Other modules of nginx, found by name: what they say of a location or keep of a request, where filters must fit in with
//! it. `phases/` and `properties/` are the callers.

use std::ffi::{CStr, c_void};

use nginx_sys::{ngx_conf_t, ngx_cycle_t, ngx_http_max_module, ngx_http_request_t, ngx_module_t, ngx_uint_t};

use crate::nginx::module::ngx_http_wasm_module;

/// A module that filters must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Dav,
    Realip,
    Rewrite,
    Slice,
    Gunzip,
    // Those that pass requests on. Their configuration of a location begins with that of the upstream module
    // (src/http/modules/ngx_http_proxy_module.c and its kin).
    Proxy,
    Fastcgi,
    Uwsgi,
    Scgi,
    Grpc,
    Memcached,
}

const NAMES: [(Known, &[u8]); 11] = [
    (Known::Dav, b"ngx_http_dav_module"),
    (Known::Realip, b"ngx_http_realip_module"),
    (Known::Rewrite, b"ngx_http_rewrite_module"),
    (Known::Slice, b"ngx_http_slice_filter_module"),
    (Known::Gunzip, b"ngx_http_gunzip_filter_module"),
    (Known::Proxy, b"ngx_http_proxy_module"),
    (Known::Fastcgi, b"ngx_http_fastcgi_module"),
    (Known::Uwsgi, b"ngx_http_uwsgi_module"),
    (Known::Scgi, b"ngx_http_scgi_module"),
    (Known::Grpc, b"ngx_http_grpc_module"),
    (Known::Memcached, b"ngx_http_memcached_module"),
];

/// No such module.
const NONE: ngx_uint_t = ngx_uint_t::MAX;

/// Their places in the arrays of configurations and contexts.
static mut PLACES: [ngx_uint_t; NAMES.len()] = [NONE; NAMES.len()];

/// Looks the modules up.
///
/// # Safety
/// `cf` is what nginx passed to `preconfiguration`.
pub unsafe fn install(cf: *mut ngx_conf_t) {
    // SAFETY: a cycle has a list of modules that ends with null, each with its name; one thread reads the configuration.
    // All of these modules are in the program itself, so they have the same places in each cycle.
    unsafe {
        let mut places = [NONE; NAMES.len()];
        let mut module: *mut *mut ngx_module_t = (*(*cf).cycle).modules;
        while !(*module).is_null() {
            let name = CStr::from_ptr((**module).name).to_bytes();
            if let Some(n) = NAMES.iter().position(|(_, known)| *known == name) {
                places[n] = (**module).ctx_index;
            }
            module = module.add(1);
        }
        PLACES = places;
    }
}

fn place(module: Known) -> Option<ngx_uint_t> {
    let n = NAMES.iter().position(|(known, _)| *known == module)?;
    // SAFETY: written while one thread reads the configuration, and at no other time.
    let place = unsafe { (&raw const PLACES[n]).read() };
    (place != NONE).then_some(place)
}

/// What a module says of a location, in its own structure; null when nginx does not have it.
///
/// # Safety
/// `loc_conf` is the array of configurations of a location.
pub unsafe fn loc_conf(loc_conf: *mut *mut c_void, module: Known) -> *mut c_void {
    // SAFETY: nginx gave each module its place in the array.
    place(module).map_or(std::ptr::null_mut(), |place| unsafe { *loc_conf.add(place) })
}

/// Whether a module keeps something of a request.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn has_context(r: *mut ngx_http_request_t, module: Known) -> bool {
    // SAFETY: as above.
    place(module).is_some_and(|place| unsafe { !(*(*r).ctx.add(place)).is_null() })
}

/// Makes all modules forget what they keep of a request, as an internal redirect does, but for those in `kept` and this one.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn forget_all(r: *mut ngx_http_request_t, kept: &[Known]) {
    // SAFETY: nginx keeps an array for all HTTP modules; each makes a context anew where it has none
    // (src/http/ngx_http_core_module.c, ngx_http_internal_redirect).
    unsafe {
        let own = ngx_http_wasm_module.ctx_index;
        for n in (0..ngx_http_max_module).filter(|n| *n != own && !kept.iter().any(|module| place(*module) == Some(*n)))
        {
            *(*r).ctx.add(n) = std::ptr::null_mut();
        }
    }
}

/// Makes a module forget what it keeps of a request.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn forget(r: *mut ngx_http_request_t, module: Known) {
    if let Some(place) = place(module) {
        // SAFETY: as above.
        unsafe { *(*r).ctx.add(place) = std::ptr::null_mut() };
    }
}

/// Whether Lua can load modules.
///
/// # Safety
/// `cycle` is the cycle that nginx is making, all of whose modules are known.
pub unsafe fn has_lua(cycle: *mut ngx_cycle_t) -> bool {
    // SAFETY: the list of modules has so many, each with a name that ends with NUL.
    unsafe {
        (0..(*cycle).modules_n).any(|n| {
            let name = (**(*cycle).modules.add(n)).name;
            !name.is_null() && CStr::from_ptr(name.cast()) == c"ngx_http_lua_module"
        })
    }
}
