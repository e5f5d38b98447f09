//! Whether the handler of a location passes a request's body on while it comes in. The body must not be read before it
//! then: a stream might never end.

use crate::nginx::headers;
use crate::nginx::modules::{self, OtherModule};
use crate::nginx::request::HttpRequest;

/// Modules with a directive `..._request_buffering`.
const MODULES: [OtherModule; 4] = [OtherModule::Proxy, OtherModule::Fastcgi, OtherModule::Uwsgi, OtherModule::Scgi];

/// Whether the handler streams, as far as that can be known before it runs. A body of `small` bytes or less, whose length is
/// known, is better read at once.
pub(super) fn is_wanted(r: HttpRequest<'_>, small: usize) -> bool {
    if !r.has_content_handler() {
        return false;
    }
    let length = usize::try_from(r.body_length()).ok().filter(|_| !r.is_body_chunked());
    if length.is_some_and(|length| length <= small || !r.has_content_length()) {
        // The upstream must be told the length that filters make of it. That they will change a large body, they say
        // by taking the header away.
        return false;
    }
    // grpc_pass never buffers.
    headers::request::is_grpc(r) || MODULES.into_iter().any(|module| modules::is_request_unbuffered(r, module))
}
