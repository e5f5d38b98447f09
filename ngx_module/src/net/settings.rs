//! What the configuration says about calls to other services: those of all filters that one level declares.

use std::ptr::NonNull;
use std::time::Duration;

use nginx_sys::ngx_http_core_loc_conf_t;

use super::tls::Tls;

/// `wasm_call_http_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1 without TLS; with TLS what the other end prefers.
    Auto,
    Http1,
    Http2,
}

/// The settings of a level.
pub struct Settings {
    /// Where `resolver` stands; part of the cycle's configuration.
    pub core: Option<NonNull<ngx_http_core_loc_conf_t>>,
    pub tls: Tls,
    /// Whether connections have TLS, when calls do not decide that themselves.
    pub ssl: Option<bool>,
    pub connect_timeout: Duration,
    /// Largest body of an answer.
    pub response_buffer: usize,
    /// Idle connections to one place.
    pub keepalive: usize,
    pub keepalive_timeout: Duration,
    /// Uses of one connection.
    pub keepalive_requests: usize,
    pub version: Version,
}
