//! What running filters have to know of requests, which stand on a higher floor: `http/` says how they are asked, and
//! `instances/`, `root_callback.rs`, `calls/` and `root_host.rs` ask.

use std::sync::OnceLock;

use nginx_sys::ngx_log_t;
use ngx_wasm::proxy_wasm::{CallError, Host, Status, StreamToken};

use crate::config::filter_conf::FilterConf;
use crate::config::rules::Without;
use crate::nginx::cycle;
use crate::nginx::log::Log;
use crate::process::status::FilterStatus;

/// The world of a callback that is about no request, and from which the guest can choose one.
pub trait RootWorld: Host {
    /// Logs that the callback has failed, and what follows from that.
    fn log_failure(&self, err: &CallError, policy: &str);
}

/// The address of a client, as nginx has it for `connect`, and as text.
pub type Client = (Vec<u8>, Vec<u8>);

/// How requests are asked. A token that a VM has kept for longer than its request lives leads to none.
pub struct Requests {
    /// The log of the request, which names it and its client. It is there as long as the request.
    pub log: fn(StreamToken) -> Option<*mut ngx_log_t>,
    /// The client that has sent it.
    pub client: fn(StreamToken) -> Option<Client>,
    /// The instance of a filter has gone: a request that it holds goes on without it, or fails.
    pub let_go: fn(StreamToken, usize, Without, &FilterStatus),
    /// The world of a callback of a filter, by its place in the configuration; it is about a call that was made for these, if any.
    pub world: for<'a> fn(usize, Log<'a>, &'a FilterConf, &[StreamToken]) -> Box<dyn RootWorld + 'a>,
    /// Appends the value of a property that has one without a request.
    pub property: fn(&[u8], &mut Vec<u8>) -> Result<(), Status>,
}

static REQUESTS: OnceLock<Requests> = OnceLock::new();

/// Says how requests are asked, once for all, before any filter runs.
pub fn know(requests: Requests) {
    let _ = REQUESTS.set(requests);
}

/// How requests are asked; `None` in an nginx without `http { }`, where there are none.
pub fn known() -> Option<&'static Requests> {
    REQUESTS.get()
}

/// The log of the request that something is about; that of the cycle without one. It is good until nginx does something else.
pub fn log_of<'l>(stream: Option<StreamToken>) -> Log<'l> {
    let of_request = || (known()?.log)(stream?);
    // SAFETY: the log is there as long as the request, which does not end in what runs now.
    of_request().map_or_else(cycle::log, |log| unsafe { Log::from_ptr(log) })
}
