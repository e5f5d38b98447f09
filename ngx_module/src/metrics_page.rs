//! `wasm_metrics;`: the location answers with all metrics of filters, as text for Prometheus.

use nginx_sys::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK, ngx_http_discard_request_body,
    ngx_http_output_filter, ngx_http_request_t, ngx_http_send_header, ngx_int_t, ngx_uint_t,
};
use ngx_wasm::shared::exposition;

use crate::guard::guard;
use crate::{headers, local_response, rc, shared_memory};

pub unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a content handler with a live request, whose response has not begun.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe {
        if (*r).method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t == 0 {
            return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
        }
        let result = ngx_http_discard_request_body(r);
        if result != rc::OK {
            return result;
        }
        let text = shared_memory::stores().map(|stores| exposition(&stores.metrics)).unwrap_or_default();
        (*r).headers_out.status = NGX_HTTP_OK as ngx_uint_t;
        (*r).headers_out.content_length_n = text.len() as i64;
        let kind = b"text/plain; version=0.0.4; charset=utf-8";
        if headers::response::replace(r, b"content-type", kind).is_err() {
            return rc::INTERNAL_SERVER_ERROR;
        }
        let Some(body) = local_response::body_chain(r, text.as_bytes()) else { return rc::INTERNAL_SERVER_ERROR };
        let result = ngx_http_send_header(r);
        if result == rc::ERROR || result > rc::OK || (*r).header_only() != 0 {
            return result;
        }
        ngx_http_output_filter(r, body)
    })
}
