//! Other modules of nginx, found by name: what they say of a location or keep of a request, where filters must fit in with
//! it. `phases/` and `properties/` are the callers.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use nginx_sys::{
    ngx_conf_t, ngx_cycle_t, ngx_flag_t, ngx_http_max_module, ngx_http_upstream_conf_t, ngx_module_t, ngx_uint_t,
};

use super::module::ngx_http_wasm_module;
use super::request::HttpRequest;

/// A module that filters must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherModule {
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

/// In the order of [`OtherModule`].
const NAMES: [(OtherModule, &[u8]); 11] = [
    (OtherModule::Dav, b"ngx_http_dav_module"),
    (OtherModule::Realip, b"ngx_http_realip_module"),
    (OtherModule::Rewrite, b"ngx_http_rewrite_module"),
    (OtherModule::Slice, b"ngx_http_slice_filter_module"),
    (OtherModule::Gunzip, b"ngx_http_gunzip_filter_module"),
    (OtherModule::Proxy, b"ngx_http_proxy_module"),
    (OtherModule::Fastcgi, b"ngx_http_fastcgi_module"),
    (OtherModule::Uwsgi, b"ngx_http_uwsgi_module"),
    (OtherModule::Scgi, b"ngx_http_scgi_module"),
    (OtherModule::Grpc, b"ngx_http_grpc_module"),
    (OtherModule::Memcached, b"ngx_http_memcached_module"),
];

const _: () = {
    let mut n = 0;
    while n < NAMES.len() {
        assert!(NAMES[n].0 as usize == n);
        n += 1;
    }
};

/// Modules that pass requests on. Their configuration has the upstream when the location says it without variables.
pub(super) const PASSING: [OtherModule; 6] = [
    OtherModule::Proxy,
    OtherModule::Fastcgi,
    OtherModule::Uwsgi,
    OtherModule::Scgi,
    OtherModule::Grpc,
    OtherModule::Memcached,
];

/// No such module.
const NONE: ngx_uint_t = ngx_uint_t::MAX;

/// Their places in the arrays of configurations and contexts, in the order of [`NAMES`]. Workers begin with what the master found.
static PLACES: [AtomicUsize; NAMES.len()] = [const { AtomicUsize::new(NONE) }; NAMES.len()];

/// Looks the modules up. All of them are in the program itself, so they have the same places in each cycle.
///
/// # Safety
/// `cf` is what nginx passed to `preconfiguration`.
pub unsafe fn install(cf: *mut ngx_conf_t) {
    let mut places = [NONE; NAMES.len()];
    // SAFETY: nginx knows all modules of the cycle that it is making.
    for module in unsafe { all((*cf).cycle) } {
        if let Some(n) = NAMES.iter().position(|(_, known)| *known == name(module)) {
            places[n] = module.ctx_index;
        }
    }
    for (known, place) in PLACES.iter().zip(places) {
        known.store(place, Ordering::Relaxed);
    }
}

/// The modules of a cycle.
///
/// # Safety
/// `cycle` is a cycle of nginx, all of whose modules are known.
unsafe fn all<'c>(cycle: *const ngx_cycle_t) -> impl Iterator<Item = &'c ngx_module_t> {
    // SAFETY: a cycle has an array of its modules, each of which is as long there as it.
    let modules =
        unsafe { std::slice::from_raw_parts((*cycle).modules.cast::<Option<&ngx_module_t>>(), (*cycle).modules_n) };
    modules.iter().copied().flatten()
}

/// What a module is called. Those of the program have a name, and those that are loaded get one.
fn name(module: &ngx_module_t) -> &[u8] {
    // SAFETY: the name ends with NUL.
    if module.name.is_null() { &[] } else { unsafe { CStr::from_ptr(module.name) }.to_bytes() }
}

fn place(module: OtherModule) -> Option<ngx_uint_t> {
    let place = PLACES[module as usize].load(Ordering::Relaxed);
    (place != NONE).then_some(place)
}

/// What a module says of a location, which begins with a `T`. `None`: nginx does not have it.
///
/// # Safety
/// `loc_conf` is the array of configurations of a location, which is as long there as the answer is used, and the module's own
/// structure begins so.
pub unsafe fn loc_conf<'c, T>(loc_conf: *mut *mut c_void, module: OtherModule) -> Option<&'c T> {
    // SAFETY: nginx gave each module its place in the array.
    let conf = place(module).map(|place| unsafe { *loc_conf.add(place) })?;
    // SAFETY: it is that module's, or null, and is as long there as the configuration.
    unsafe { conf.cast::<T>().as_ref() }
}

/// What a module says of the location that a request is in, which begins with a `T`. `None`: nginx does not have it.
///
/// # Safety
/// The module's own structure begins so.
unsafe fn of_location<T>(r: HttpRequest<'_>, module: OtherModule) -> Option<&T> {
    // SAFETY: a live request has the array of its location, which outlives it.
    unsafe { loc_conf(r.location_confs(), module) }
}

/// Whether a module has something to say of the location that a request is in: whether nginx has it.
pub fn has_location(r: HttpRequest<'_>, module: OtherModule) -> bool {
    // SAFETY: every structure begins with nothing at all.
    unsafe { of_location::<()>(r, module) }.is_some()
}

/// Bits of the methods that the WebDAV module handles in the location; its configuration begins with them
/// (src/http/modules/ngx_http_dav_module.c, ngx_http_dav_loc_conf_t).
pub fn dav_methods(r: HttpRequest<'_>) -> ngx_uint_t {
    // SAFETY: that is what the module's structure begins with.
    unsafe { of_location::<ngx_uint_t>(r, OtherModule::Dav) }.copied().unwrap_or(0)
}

/// The size of the parts that `slice` makes of responses of the location; 0: none. The configuration of the module begins with it
/// (src/http/modules/ngx_http_slice_filter_module.c, ngx_http_slice_loc_conf_t).
pub fn slice_size(r: HttpRequest<'_>) -> usize {
    // SAFETY: that is what the module's structure begins with.
    unsafe { of_location::<usize>(r, OtherModule::Slice) }.copied().unwrap_or(0)
}

/// Whether the location says `gunzip on`; the configuration of that module begins with the flag of its directive
/// (src/http/modules/ngx_http_gunzip_filter_module.c, ngx_http_gunzip_conf_t).
pub fn is_gunzip_on(r: HttpRequest<'_>) -> bool {
    // SAFETY: that is what the module's structure begins with.
    let flag = unsafe { of_location::<ngx_flag_t>(r, OtherModule::Gunzip) };
    flag == Some(&1)
}

/// How a module that passes requests on does that in the location. `None`: nginx does not have the module. It must be one of
/// those that do.
pub(super) fn upstream_conf(r: HttpRequest<'_>, module: OtherModule) -> Option<&ngx_http_upstream_conf_t> {
    if !PASSING.contains(&module) {
        return None;
    }
    // SAFETY: the configuration of each of these begins with that of the upstream module (see [`OtherModule`]).
    unsafe { of_location(r, module) }
}

/// Whether a module that passes requests on sends what comes of a body at once in the location (`proxy_request_buffering off`
/// and its likes).
pub fn is_request_unbuffered(r: HttpRequest<'_>, module: OtherModule) -> bool {
    upstream_conf(r, module).is_some_and(|conf| conf.request_buffering == 0)
}

/// Whether a module keeps something of a request.
pub fn has_context(r: HttpRequest<'_>, module: OtherModule) -> bool {
    // SAFETY: nginx keeps an array for all HTTP modules in each request, and gave each module its place in it.
    place(module).is_some_and(|place| unsafe { !(*r.contexts().add(place)).is_null() })
}

/// How many HTTP modules there are.
pub(super) fn count() -> ngx_uint_t {
    // SAFETY: nginx counts them before there are requests.
    unsafe { ngx_http_max_module }
}

/// Makes all modules forget what they keep of a request, as an internal redirect does, but for those in `kept` and this one.
pub fn forget_all(r: HttpRequest<'_>, kept: &[OtherModule]) {
    // SAFETY: nginx has given this module its place.
    let own = unsafe { ngx_http_wasm_module.ctx_index };
    for n in (0..count()).filter(|n| *n != own && !kept.iter().any(|module| place(*module) == Some(*n))) {
        forget_at(r, n);
    }
}

/// Makes a module forget what it keeps of a request.
pub fn forget(r: HttpRequest<'_>, module: OtherModule) {
    if let Some(place) = place(module) {
        forget_at(r, place);
    }
}

fn forget_at(r: HttpRequest<'_>, place: ngx_uint_t) {
    // SAFETY: nginx keeps an array for all HTTP modules; each makes a context anew where it has none
    // (src/http/ngx_http_core_module.c, ngx_http_internal_redirect).
    unsafe { *r.contexts().add(place) = std::ptr::null_mut() };
}

/// Whether Lua can load modules.
///
/// # Safety
/// `cycle` is the cycle that nginx is making, all of whose modules are known.
pub unsafe fn has_lua(cycle: *mut ngx_cycle_t) -> bool {
    // SAFETY: all modules are known, as said above.
    unsafe { all(cycle) }.any(|module| name(module) == b"ngx_http_lua_module")
}
