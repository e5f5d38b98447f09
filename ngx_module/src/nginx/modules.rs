//! Other modules of nginx, found by name: what they say of a location or keep of a request, where filters must fit in with
//! it. `phases/` and `properties/` are the callers.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use nginx_sys::{
    ngx_conf_t, ngx_cycle_t, ngx_flag_t, ngx_http_max_module, ngx_http_upstream_conf_t, ngx_module_t, ngx_uint_t,
};

use super::module::ngx_http_wasm_module;
use super::request::HttpRequest;

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

/// Modules that pass requests on. Their configuration has the upstream when the location says it without variables.
pub(super) const PASSING: [Known; 6] =
    [Known::Proxy, Known::Fastcgi, Known::Uwsgi, Known::Scgi, Known::Grpc, Known::Memcached];

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

/// What a module says of the location that a request is in; null when nginx does not have it.
fn of_location(r: HttpRequest<'_>, module: Known) -> *mut c_void {
    // SAFETY: a live request has the array of its location.
    unsafe { loc_conf((*r.as_ptr()).loc_conf, module) }
}

/// Whether a module has something to say of the location that a request is in: whether nginx has it.
pub fn has_location(r: HttpRequest<'_>, module: Known) -> bool {
    !of_location(r, module).is_null()
}

/// Bits of the methods that the WebDAV module handles in the location; its configuration begins with them
/// (src/http/modules/ngx_http_dav_module.c, ngx_http_dav_loc_conf_t).
pub fn dav_methods(r: HttpRequest<'_>) -> ngx_uint_t {
    // SAFETY: it is that module's, or null.
    unsafe { of_location(r, Known::Dav).cast::<ngx_uint_t>().as_ref().copied().unwrap_or(0) }
}

/// The size of the parts that `slice` makes of responses of the location; 0: none. The configuration of the module begins with it
/// (src/http/modules/ngx_http_slice_filter_module.c, ngx_http_slice_loc_conf_t).
pub fn slice_size(r: HttpRequest<'_>) -> usize {
    // SAFETY: it is that module's, or null.
    unsafe { of_location(r, Known::Slice).cast::<usize>().as_ref().copied().unwrap_or(0) }
}

/// Whether the location says `gunzip on`; the configuration of that module begins with the flag of its directive
/// (src/http/modules/ngx_http_gunzip_filter_module.c, ngx_http_gunzip_conf_t).
pub fn is_gunzip_on(r: HttpRequest<'_>) -> bool {
    // SAFETY: it is that module's, or null.
    unsafe { of_location(r, Known::Gunzip).cast::<ngx_flag_t>().as_ref() == Some(&1) }
}

/// How a module that passes requests on does that in the location. `None`: nginx does not have the module. It must be one of
/// those that do.
pub(super) fn upstream_conf(r: HttpRequest<'_>, module: Known) -> Option<NonNull<ngx_http_upstream_conf_t>> {
    if !PASSING.contains(&module) {
        return None;
    }
    // The configuration of each begins with that of the upstream module (see [`Known`]).
    NonNull::new(of_location(r, module).cast())
}

/// Whether a module that passes requests on sends what comes of a body at once in the location (`proxy_request_buffering off`
/// and its likes).
pub fn is_request_unbuffered(r: HttpRequest<'_>, module: Known) -> bool {
    // SAFETY: a configuration of a location lives as long as the cycle.
    upstream_conf(r, module).is_some_and(|conf| unsafe { (*conf.as_ptr()).request_buffering == 0 })
}

/// Whether a module keeps something of a request.
pub fn has_context(r: HttpRequest<'_>, module: Known) -> bool {
    // SAFETY: nginx keeps an array for all HTTP modules in each request, and gave each module its place in it.
    place(module).is_some_and(|place| unsafe { !(*(*r.as_ptr()).ctx.add(place)).is_null() })
}

/// How many HTTP modules there are.
pub(super) fn count() -> ngx_uint_t {
    // SAFETY: nginx counts them before there are requests.
    unsafe { ngx_http_max_module }
}

/// Makes all modules forget what they keep of a request, as an internal redirect does, but for those in `kept` and this one.
pub fn forget_all(r: HttpRequest<'_>, kept: &[Known]) {
    // SAFETY: nginx has given this module its place.
    let own = unsafe { ngx_http_wasm_module.ctx_index };
    for n in (0..count()).filter(|n| *n != own && !kept.iter().any(|module| place(*module) == Some(*n))) {
        forget_at(r, n);
    }
}

/// Makes a module forget what it keeps of a request.
pub fn forget(r: HttpRequest<'_>, module: Known) {
    if let Some(place) = place(module) {
        forget_at(r, place);
    }
}

fn forget_at(r: HttpRequest<'_>, place: ngx_uint_t) {
    // SAFETY: nginx keeps an array for all HTTP modules; each makes a context anew where it has none
    // (src/http/ngx_http_core_module.c, ngx_http_internal_redirect).
    unsafe { *(*r.as_ptr()).ctx.add(place) = std::ptr::null_mut() };
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
