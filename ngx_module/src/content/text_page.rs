//! A location that answers with a text made on the spot: what `wasm_metrics;` and `wasm_status;` have in common, in each form.

use nginx_sys::{NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK, ngx_int_t, ngx_uint_t};

use crate::http::local_response;
use crate::nginx::request::HttpRequest;
use crate::nginx::{filters, headers, rc, request_body};

/// Answers with the text that `make` makes, and these headers, a request whose response has not begun. Other methods than GET and
/// HEAD are refused. The result is what a content handler returns.
pub fn answer(
    r: HttpRequest<'_>,
    headers: &[(&'static [u8], &'static [u8])],
    make: impl FnOnce() -> String,
) -> ngx_int_t {
    if r.method() & (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t == 0 {
        return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
    }
    let result = request_body::discard(r);
    if result != rc::OK {
        return result;
    }
    let text = make();
    r.set_status(NGX_HTTP_OK as ngx_uint_t);
    r.set_content_length(text.len() as i64);
    for (name, value) in headers {
        if headers::response::replace(r, name, value).is_err() {
            return rc::INTERNAL_SERVER_ERROR;
        }
    }
    let Some(body) = local_response::body_chain(r, text.as_bytes()) else { return rc::INTERNAL_SERVER_ERROR };
    let result = filters::send_header(r);
    if result == rc::ERROR || result > rc::OK || r.is_header_only() {
        return result;
    }
    filters::output(r, body)
}
