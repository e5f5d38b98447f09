//! Nginx's return codes, in the type that its functions return.

use nginx_sys::ngx_int_t;

pub const OK: ngx_int_t = nginx_sys::NGX_OK as ngx_int_t;
pub const ERROR: ngx_int_t = nginx_sys::NGX_ERROR as ngx_int_t;
pub const DONE: ngx_int_t = nginx_sys::NGX_DONE as ngx_int_t;
pub const DECLINED: ngx_int_t = nginx_sys::NGX_DECLINED as ngx_int_t;
pub const INTERNAL_SERVER_ERROR: ngx_int_t = nginx_sys::NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
pub const SERVICE_UNAVAILABLE: ngx_int_t = nginx_sys::NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t;
pub const BAD_GATEWAY: ngx_int_t = nginx_sys::NGX_HTTP_BAD_GATEWAY as ngx_int_t;
pub const GATEWAY_TIME_OUT: ngx_int_t = nginx_sys::NGX_HTTP_GATEWAY_TIME_OUT as ngx_int_t;
pub const AGAIN: ngx_int_t = nginx_sys::NGX_AGAIN as ngx_int_t;
pub const CLOSE: ngx_int_t = nginx_sys::NGX_HTTP_CLOSE as ngx_int_t;
pub const REQUEST_ENTITY_TOO_LARGE: ngx_int_t = nginx_sys::NGX_HTTP_REQUEST_ENTITY_TOO_LARGE as ngx_int_t;
pub const HTTP_OK: ngx_int_t = nginx_sys::NGX_HTTP_OK as ngx_int_t;
pub const SPECIAL_RESPONSE: ngx_int_t = nginx_sys::NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t;
