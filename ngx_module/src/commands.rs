//! The table of all directives: name, where it may stand, how many arguments it takes, and who handles it. `module.rs` gives it
//! to nginx.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use nginx_sys::{
    NGX_CONF_1MORE, NGX_CONF_BLOCK, NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_CONF_TAKE2, NGX_CONF_TAKE4, NGX_CONF_TAKE12,
    NGX_CONF_TAKE23, NGX_DIRECT_CONF, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_MAIN_CONF,
    NGX_HTTP_SRV_CONF, NGX_MAIN_CONF, ngx_command_t, ngx_conf_t, ngx_uint_t,
};

use crate::config::directives::{
    METRICS_CONF, WASM_CONF, bodies, calls, engine, limits, proxy_wasm, responses, rules, shared_memory, streams, wasm,
    wasm_vm,
};
use crate::content::directives as content;
use crate::nginx::module::name;

const ANY_HTTP: u32 = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

/// Directives of the core module.
pub static mut CORE: [ngx_command_t; 11] = [
    ngx_command_t {
        name: name(c"wasm"),
        type_: (NGX_MAIN_CONF | NGX_CONF_BLOCK | NGX_CONF_NOARGS) as ngx_uint_t,
        set: Some(wasm::block),
        conf: 0,
        offset: 0,
        post: ptr::null_mut(),
    },
    ngx_command_t {
        name: name(c"module"),
        type_: (WASM_CONF | NGX_DIRECT_CONF | NGX_CONF_TAKE23 | NGX_CONF_TAKE4) as ngx_uint_t,
        set: Some(wasm::module),
        conf: 0,
        offset: 0,
        post: ptr::null_mut(),
    },
    inner(c"backtraces", WASM_CONF | NGX_CONF_TAKE1, engine::backtraces),
    inner(c"instance_pool", WASM_CONF | NGX_CONF_TAKE12, engine::instance_pool),
    inner(c"cache_dir", WASM_CONF | NGX_CONF_TAKE1, wasm::cache_dir),
    inner(c"metrics", WASM_CONF | NGX_CONF_BLOCK | NGX_CONF_NOARGS, shared_memory::metrics),
    inner(c"slab_size", METRICS_CONF | NGX_CONF_TAKE1, shared_memory::slab_size),
    inner(c"max_metric_name_length", METRICS_CONF | NGX_CONF_TAKE1, shared_memory::max_name),
    inner(c"shm_kv", WASM_CONF | NGX_CONF_TAKE23, shared_memory::key_value),
    inner(c"shm_queue", WASM_CONF | NGX_CONF_TAKE2, shared_memory::queue),
    ngx_command_t::empty(),
];

/// Directives of the HTTP module.
pub static mut HTTP: [ngx_command_t; 40] = [
    http(c"wasm_vm", NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, wasm_vm::set),
    http(c"proxy_wasm", ANY_HTTP | NGX_CONF_1MORE, proxy_wasm::set),
    http(c"wasm_memory_limit", ANY_HTTP | NGX_CONF_TAKE1, limits::memory),
    http(c"wasm_timeout", ANY_HTTP | NGX_CONF_TAKE1, limits::timeout),
    http(c"wasm_metrics", NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, content::metrics),
    http(c"wasm_status", NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, content::status),
    http(c"wasm_pause_timeout", ANY_HTTP | NGX_CONF_TAKE1, limits::pause_timeout),
    http(c"proxy_wasm_request_body_buffer", ANY_HTTP | NGX_CONF_TAKE1, bodies::request),
    http(c"proxy_wasm_response_body_buffer", ANY_HTTP | NGX_CONF_TAKE1, bodies::response),
    http(c"proxy_wasm_body_buffer_max", ANY_HTTP | NGX_CONF_TAKE1, bodies::max),
    http(c"proxy_wasm_headers_stop_iteration", ANY_HTTP | NGX_CONF_TAKE1, streams::headers_stop_iteration),
    http(c"proxy_wasm_response_order", ANY_HTTP | NGX_CONF_TAKE1, streams::response_order),
    http(c"proxy_wasm_phase", ANY_HTTP | NGX_CONF_TAKE1, streams::phase),
    http(c"proxy_wasm_request_headers_in_access", ANY_HTTP | NGX_CONF_TAKE1, streams::request_headers_in_access),
    http(c"proxy_wasm_reroute", ANY_HTTP | NGX_CONF_TAKE1, streams::reroute),
    http(c"proxy_wasm_on_error", ANY_HTTP | NGX_CONF_1MORE, rules::on_error),
    http(c"proxy_wasm_isolation", ANY_HTTP | NGX_CONF_1MORE, rules::isolation),
    http(c"proxy_wasm_recycle", ANY_HTTP | NGX_CONF_1MORE, rules::recycle),
    http(c"proxy_wasm_restart_delay", ANY_HTTP | NGX_CONF_1MORE, rules::restart_delay),
    http(c"proxy_wasm_log_rate", ANY_HTTP | NGX_CONF_1MORE, rules::log_rate),
    http(c"proxy_wasm_allow", ANY_HTTP | NGX_CONF_1MORE, rules::allow),
    http(c"wasm_fuel", ANY_HTTP | NGX_CONF_1MORE, rules::fuel),
    http(c"wasm_max_calls", ANY_HTTP | NGX_CONF_TAKE1, calls::max_calls),
    http(c"wasm_call_connect_timeout", ANY_HTTP | NGX_CONF_TAKE1, calls::connect_timeout),
    http(c"wasm_call_response_buffer", ANY_HTTP | NGX_CONF_TAKE1, calls::response_buffer),
    http(c"wasm_call_keepalive", ANY_HTTP | NGX_CONF_TAKE1, calls::keepalive),
    http(c"wasm_call_keepalive_timeout", ANY_HTTP | NGX_CONF_TAKE1, calls::keepalive_timeout),
    http(c"wasm_call_keepalive_requests", ANY_HTTP | NGX_CONF_TAKE1, calls::keepalive_requests),
    http(c"wasm_call_http_version", ANY_HTTP | NGX_CONF_TAKE1, calls::http_version),
    http(c"wasm_call_ssl", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl),
    http(c"wasm_ssl_verify", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl_verify),
    http(c"wasm_ssl_verify_depth", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl_verify_depth),
    http(c"wasm_ssl_protocols", ANY_HTTP | NGX_CONF_1MORE, calls::ssl_protocols),
    http(c"wasm_ssl_ciphers", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl_ciphers),
    http(c"wasm_ssl_trusted_certificate", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl_trusted_certificate),
    http(c"wasm_ssl_certificate", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl_certificate),
    http(c"wasm_ssl_certificate_key", ANY_HTTP | NGX_CONF_TAKE1, calls::ssl_certificate_key),
    http(c"proxy_wasm_decode", ANY_HTTP | NGX_CONF_TAKE1, responses::decode),
    http(c"proxy_wasm_intercept_errors", ANY_HTTP | NGX_CONF_TAKE1, responses::intercept_errors),
    ngx_command_t::empty(),
];

type Set = unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_command_t, *mut c_void) -> *mut c_char;

/// A directive inside a block of the core module.
const fn inner(directive: &'static CStr, kind: u32, set: Set) -> ngx_command_t {
    ngx_command_t {
        name: name(directive),
        type_: (NGX_DIRECT_CONF | kind) as ngx_uint_t,
        set: Some(set),
        conf: 0,
        offset: 0,
        post: ptr::null_mut(),
    }
}

const fn http(directive: &'static CStr, kind: u32, set: Set) -> ngx_command_t {
    ngx_command_t {
        name: name(directive),
        type_: kind as ngx_uint_t,
        set: Some(set),
        conf: NGX_HTTP_LOC_CONF_OFFSET,
        offset: 0,
        post: ptr::null_mut(),
    }
}
