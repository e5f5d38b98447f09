//! Whether the handler of a location passes a request's body on while it comes in. The body must not be read before it
//! then: a stream might never end.

use nginx_sys::{ngx_http_request_t, ngx_http_upstream_conf_t};

use crate::nginx::headers;
use crate::nginx::modules::{self, Known};

/// Modules with a directive `..._request_buffering`.
const MODULES: [Known; 4] = [Known::Proxy, Known::Fastcgi, Known::Uwsgi, Known::Scgi];

/// Whether the handler streams, as far as that can be known before it runs. A body of `small` bytes or less, whose length is
/// known, is better read at once.
///
/// # Safety
/// `r` is a live request that has found its location.
pub(super) unsafe fn is_wanted(r: *mut ngx_http_request_t, small: usize) -> bool {
    // SAFETY: see above; their configuration begins with that of the upstream module (see [`Known`]).
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
        MODULES.into_iter().any(|module| {
            let conf = modules::loc_conf((*r).loc_conf, module).cast::<ngx_http_upstream_conf_t>();
            !conf.is_null() && (*conf).request_buffering == 0
        })
    }
}
