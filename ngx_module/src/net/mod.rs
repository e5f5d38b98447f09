//! Calls to other services on nginx's event loop: a small executor for futures (`nginx/executor.rs`), nginx's connections, TLS,
//! resolver and `upstream { }` as futures, a pool of connections, and `hyper` for HTTP. No thread, no second loop.
//!
//! `calls/` uses it for what filters ask for.

pub mod balancer;
pub mod body;
pub mod connect;
#[allow(unsafe_code)]
pub mod connection;
pub mod http;
pub mod pool;
pub mod resolve;
pub mod service;
pub mod settings;
pub mod tls;
pub mod upstreams;

pub use crate::nginx::sockaddr as address;

/// The worker ends: connections are closed, and what is dropped from now on leaves nginx alone.
pub fn leave() {
    connection::close_all();
    crate::nginx::executor::end();
}
