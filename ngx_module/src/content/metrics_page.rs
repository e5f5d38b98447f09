//! `wasm_metrics;`: the location answers with all metrics of filters, and what is counted about filters, as text for
//! Prometheus.

use nginx_sys::{ngx_http_request_t, ngx_int_t};
use ngx_wasm::shared::exposition;

use crate::config::loc_conf::LocConf;
use crate::content::status_page;
use crate::content::text_page;
use crate::nginx::guard::guard;
use crate::nginx::rc;
use crate::process::shared_memory;

pub unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a content handler with a live request, whose response has not begun.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe {
        let kind: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";
        text_page::answer(r, &[(b"content-type", kind)], || {
            let mut text = shared_memory::stores().map(|stores| exposition(&stores.metrics)).unwrap_or_default();
            text.push_str(&status_page::exposition(LocConf::of(r).main()));
            text
        })
    })
}
