//! The table of all directives: name, where it may stand, how many arguments it takes, and who handles it. `module.rs` gives it
//! to nginx.

use std::ffi::CStr;
use std::ptr;

use nginx_sys::{
    NGX_CONF_1MORE, NGX_CONF_BLOCK, NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_CONF_TAKE2, NGX_CONF_TAKE4, NGX_CONF_TAKE12,
    NGX_CONF_TAKE23, NGX_DIRECT_CONF, NGX_HTTP_LIF_CONF, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET,
    NGX_HTTP_MAIN_CONF, NGX_HTTP_SRV_CONF, NGX_MAIN_CONF, ngx_command_t, ngx_uint_t,
};

use crate::config::directives::Handler::{Answer, Block, Content, ContentIn, Filters, Level, Main};
use crate::config::directives::{
    ContentForm, Handler, METRICS_CONF, WASM_CONF, bodies, calls, engine, handle, latency, limits, programs,
    proxy_wasm, responses, rules, shared_memory, streams, wasm, wasm_vm,
};
use crate::content::{html_page, metrics_page, program, status_page};
use crate::nginx::module::name;

const ANY_HTTP: u32 = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

/// What `wasm_status` answers with.
const STATUS_FORMS: &[ContentForm] = &[("json", status_page::handler), ("html", html_page::handler)];

/// Directives of the core module.
pub static mut CORE: [ngx_command_t; 12] = [
    row(c"wasm", NGX_MAIN_CONF | NGX_CONF_BLOCK | NGX_CONF_NOARGS, 0, &Block(wasm::block, WASM_CONF)),
    inner(c"module", WASM_CONF | NGX_CONF_TAKE23 | NGX_CONF_TAKE4, &Main(wasm::module)),
    inner(c"backtraces", WASM_CONF | NGX_CONF_TAKE1, &Main(engine::backtraces)),
    inner(c"optimize", WASM_CONF | NGX_CONF_TAKE1, &Main(engine::optimize)),
    inner(c"instance_pool", WASM_CONF | NGX_CONF_TAKE12, &Main(engine::instance_pool)),
    inner(c"cache_dir", WASM_CONF | NGX_CONF_TAKE1, &Main(wasm::cache_dir)),
    inner(c"metrics", WASM_CONF | NGX_CONF_BLOCK | NGX_CONF_NOARGS, &Block(shared_memory::metrics, METRICS_CONF)),
    inner(c"slab_size", METRICS_CONF | NGX_CONF_TAKE1, &Main(shared_memory::slab_size)),
    inner(c"max_metric_name_length", METRICS_CONF | NGX_CONF_TAKE1, &Main(shared_memory::max_name)),
    inner(c"shm_kv", WASM_CONF | NGX_CONF_TAKE23, &Main(shared_memory::key_value)),
    inner(c"shm_queue", WASM_CONF | NGX_CONF_TAKE2, &Main(shared_memory::queue)),
    ngx_command_t::empty(),
];

/// Directives of the HTTP module.
pub static mut HTTP: [ngx_command_t; 62] = [
    http(c"wasm_vm", NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, &Main(wasm_vm::set)),
    http(c"proxy_wasm", ANY_HTTP | NGX_CONF_1MORE, &Filters(proxy_wasm::set)),
    http(c"wasm_memory_limit", ANY_HTTP | NGX_CONF_TAKE1, &Level(limits::memory)),
    http(c"wasm_timeout", ANY_HTTP | NGX_CONF_TAKE1, &Level(limits::timeout)),
    http(c"wasm_metrics", NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, &Content(metrics_page::handler)),
    http(c"wasm_status", NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1, &ContentIn(STATUS_FORMS)),
    http(c"wasm_latency", NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, &Main(latency::set)),
    http(c"wasm_pause_timeout", ANY_HTTP | NGX_CONF_TAKE1, &Level(limits::pause_timeout)),
    http(c"proxy_wasm_request_body_buffer", ANY_HTTP | NGX_CONF_TAKE1, &Level(bodies::request)),
    http(c"proxy_wasm_response_body_buffer", ANY_HTTP | NGX_CONF_TAKE1, &Level(bodies::response)),
    http(c"proxy_wasm_body_buffer_max", ANY_HTTP | NGX_CONF_TAKE1, &Level(bodies::max)),
    http(c"proxy_wasm_headers_stop_iteration", ANY_HTTP | NGX_CONF_TAKE1, &Level(streams::headers_stop_iteration)),
    http(c"proxy_wasm_response_order", ANY_HTTP | NGX_CONF_TAKE1, &Level(streams::response_order)),
    http(c"proxy_wasm_phase", ANY_HTTP | NGX_CONF_TAKE1, &Level(streams::phase)),
    http(
        c"proxy_wasm_request_headers_in_access",
        ANY_HTTP | NGX_CONF_TAKE1,
        &Level(streams::request_headers_in_access),
    ),
    http(c"proxy_wasm_reroute", ANY_HTTP | NGX_CONF_TAKE1, &Level(streams::reroute)),
    http(c"proxy_wasm_on_error", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::on_error)),
    http(c"proxy_wasm_isolation", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::isolation)),
    http(c"proxy_wasm_recycle", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::recycle)),
    http(c"proxy_wasm_restart_delay", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::restart_delay)),
    http(c"proxy_wasm_log_level", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::log_level)),
    http(c"proxy_wasm_log_rate", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::log_rate)),
    http(c"proxy_wasm_allow", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::allow)),
    http(c"proxy_wasm_env", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::environment)),
    http(c"proxy_wasm_trace", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::trace)),
    http(c"wasm_fuel", ANY_HTTP | NGX_CONF_1MORE, &Filters(rules::fuel)),
    http(c"wasm_max_calls", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::max_calls)),
    http(c"wasm_call_connect_timeout", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::connect_timeout)),
    http(c"wasm_call_response_buffer", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::response_buffer)),
    http(c"wasm_call_keepalive", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::keepalive)),
    http(c"wasm_call_keepalive_timeout", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::keepalive_timeout)),
    http(c"wasm_call_keepalive_requests", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::keepalive_requests)),
    http(c"wasm_call_http_version", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::http_version)),
    http(c"wasm_call_ssl", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl)),
    http(c"wasm_ssl_verify", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl_verify)),
    http(c"wasm_ssl_verify_depth", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl_verify_depth)),
    http(c"wasm_ssl_protocols", ANY_HTTP | NGX_CONF_1MORE, &Level(calls::ssl_protocols)),
    http(c"wasm_ssl_ciphers", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl_ciphers)),
    http(c"wasm_ssl_trusted_certificate", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl_trusted_certificate)),
    http(c"wasm_ssl_certificate", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl_certificate)),
    http(c"wasm_ssl_certificate_key", ANY_HTTP | NGX_CONF_TAKE1, &Level(calls::ssl_certificate_key)),
    http(c"proxy_wasm_decode", ANY_HTTP | NGX_CONF_TAKE1, &Level(responses::decode)),
    http(c"proxy_wasm_intercept_errors", ANY_HTTP | NGX_CONF_TAKE1, &Level(responses::intercept_errors)),
    http(c"wasm_threads", NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE12, &Main(programs::threads)),
    http(c"wasm_cgi", NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE1, &Answer(programs::cgi, program::handler)),
    http(
        c"wasm_function",
        NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE23,
        &Answer(programs::function, program::handler),
    ),
    http(c"wasm_function_mode", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::function_mode)),
    http(c"wasm_function_error", ANY_HTTP | NGX_CONF_TAKE12, &Level(programs::function_error)),
    http(c"wasm_arg", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::argument)),
    http(c"wasm_env", ANY_HTTP | NGX_CONF_TAKE2, &Level(programs::environment)),
    http(c"wasm_dir", ANY_HTTP | NGX_CONF_TAKE1, &Filters(programs::dir)),
    http(c"wasm_output", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::output)),
    http(c"wasm_entry", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::entry)),
    http(c"wasm_snapshot", ANY_HTTP | NGX_CONF_TAKE12, &Level(programs::snapshot)),
    http(c"wasm_split_path_info", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::split_path_info)),
    http(c"wasm_pass_authorization", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::pass_authorization)),
    http(c"wasm_query_arguments", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::query_arguments)),
    http(c"wasm_request_buffering", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::request_buffering)),
    http(c"wasm_program_timeout", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::timeout)),
    http(c"wasm_header_limit", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::header_limit)),
    http(c"wasm_output_limit", ANY_HTTP | NGX_CONF_TAKE1, &Level(programs::output_limit)),
    ngx_command_t::empty(),
];

/// A directive inside a block of the core module.
const fn inner(directive: &'static CStr, kind: u32, handler: &'static Handler) -> ngx_command_t {
    row(directive, NGX_DIRECT_CONF | kind, 0, handler)
}

const fn http(directive: &'static CStr, kind: u32, handler: &'static Handler) -> ngx_command_t {
    row(directive, kind, NGX_HTTP_LOC_CONF_OFFSET, handler)
}

const fn row(directive: &'static CStr, kind: u32, conf: usize, handler: &'static Handler) -> ngx_command_t {
    ngx_command_t {
        name: name(directive),
        type_: kind as ngx_uint_t,
        set: Some(handle),
        conf,
        offset: 0,
        post: ptr::from_ref(handler).cast_mut().cast(),
    }
}
