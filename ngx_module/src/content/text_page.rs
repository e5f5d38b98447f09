//! A location that answers with a text made on the spot: what `wasm_metrics;` and `wasm_status;` have in common.

use nginx_sys::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK, ngx_http_discard_request_body,
    ngx_http_output_filter, ngx_http_request_t, ngx_http_send_header, ngx_int_t, ngx_uint_t,
};

use crate::http::local_response;
use crate::nginx::{headers, rc};

/// Answers with the text that `make` makes, and these headers. Other methods than GET and HEAD are refused.
///
/// # Safety
/// `r` is a live request, whose response has not begun. The result is what a content handler returns.
pub unsafe fn answer(
    r: *mut ngx_http_request_t,
    headers: &[(&'static [u8], &'static [u8])],
    make: impl FnOnce() -> String,
) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        if (*r).method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t == 0 {
            return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
        }
        let result = ngx_http_discard_request_body(r);
        if result != rc::OK {
            return result;
        }
        let text = make();
        (*r).headers_out.status = NGX_HTTP_OK as ngx_uint_t;
        (*r).headers_out.content_length_n = text.len() as i64;
        for (name, value) in headers {
            if headers::response::replace(r, name, value).is_err() {
                return rc::INTERNAL_SERVER_ERROR;
            }
        }
        let Some(body) = local_response::body_chain(r, text.as_bytes()) else { return rc::INTERNAL_SERVER_ERROR };
        let result = ngx_http_send_header(r);
        if result == rc::ERROR || result > rc::OK || (*r).header_only() != 0 {
            return result;
        }
        ngx_http_output_filter(r, body)
    }
}
