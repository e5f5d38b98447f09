//! What the configuration says about calls to other services: those of all filters that one level declares.

use std::time::Duration;

use super::tls::Tls;
use crate::nginx::resolver::Resolver;

/// `wasm_call_http_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1 without TLS; with TLS what the other end prefers.
    Auto,
    Http1,
    Http2,
}

/// The settings of a level.
pub struct CallSettings {
    /// That of the level.
    pub core: Option<Resolver>,
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
