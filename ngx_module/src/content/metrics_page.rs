//! `wasm_metrics;`: the location answers with all metrics of filters, and what is counted about filters, as text for
//! Prometheus.

use nginx_sys::{ngx_http_request_t, ngx_int_t};
use ngx_wasm::shared::exposition;

use crate::config::conf::MainConf;
use crate::content::status_page;
use crate::content::text_page;
use crate::nginx::callback::callback;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;
use crate::process::shared_memory;

callback! {
    pub fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => answer
}

fn answer(r: HttpRequest<'_>) -> ngx_int_t {
    let kind: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";
    text_page::answer(r, &[(b"content-type", kind)], || {
        let mut text = shared_memory::stores().map(|stores| exposition(&stores.metrics)).unwrap_or_default();
        text.push_str(&status_page::exposition(MainConf::of_request(r)));
        text
    })
}
