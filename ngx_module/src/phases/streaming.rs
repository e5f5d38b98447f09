//! Whether the handler of a location passes a request's body on while it comes in. The body must not be read before it
//! then: a stream might never end.

use nginx_sys::{ngx_conf_t, ngx_http_request_t, ngx_http_upstream_conf_t, ngx_module_t, ngx_uint_t};

use crate::headers;

/// Modules with a directive `..._request_buffering`. Their configuration of a location begins with that of the upstream
/// module (src/http/modules/ngx_http_proxy_module.c and its kin).
const NAMES: [&[u8]; 4] =
    [b"ngx_http_proxy_module", b"ngx_http_fastcgi_module", b"ngx_http_uwsgi_module", b"ngx_http_scgi_module"];

/// No such module.
const NONE: ngx_uint_t = ngx_uint_t::MAX;

/// Places of these modules in the array of configurations. nginx has them all in the program itself, so they are the same
/// in each cycle.
static mut PLACES: [ngx_uint_t; NAMES.len()] = [NONE; NAMES.len()];

/// Looks the modules up.
///
/// # Safety
/// `cf` is what nginx passed to `postconfiguration`.
pub(super) unsafe fn install(cf: *mut ngx_conf_t) {
    // SAFETY: a cycle has a list of modules that ends with null, each with its name; one thread reads the configuration.
    unsafe {
        let mut places = [NONE; NAMES.len()];
        let mut module: *mut *mut ngx_module_t = (*(*cf).cycle).modules;
        while !(*module).is_null() {
            let name = std::ffi::CStr::from_ptr((**module).name).to_bytes();
            if let Some(n) = NAMES.iter().position(|known| *known == name) {
                places[n] = (**module).ctx_index;
            }
            module = module.add(1);
        }
        PLACES = places;
    }
}

/// Whether the handler streams, as far as that can be known before it runs. A body of `small` bytes or less, whose length is
/// known, is better read at once.
///
/// # Safety
/// `r` is a live request that has found its location.
pub(super) unsafe fn is_wanted(r: *mut ngx_http_request_t, small: usize) -> bool {
    // SAFETY: see above and [`NAMES`].
    unsafe {
        if (*r).content_handler.is_none() {
            return false;
        }
        let headers_in = &(*r).headers_in;
        let length = usize::try_from(headers_in.content_length_n).ok().filter(|_| headers_in.chunked() == 0);
        if length.is_some_and(|length| length <= small || headers_in.content_length.is_null()) {
            // The upstream must be told the length that filters make of it. That they will change a large body, they say
            // by taking the header away.
            return false;
        }
        // grpc_pass never buffers.
        if headers::request::is_grpc(r) {
            return true;
        }
        (&raw const PLACES).read().into_iter().filter(|place| *place != NONE).any(|place| {
            let conf = (*(*r).loc_conf.add(place)).cast::<ngx_http_upstream_conf_t>();
            !conf.is_null() && (*conf).request_buffering == 0
        })
    }
}
