//! What `http/` says of requests to running filters, which stand below it (`filters/requests.rs`). `module.rs` hands it over.

use crate::config::rules::Without;
use crate::filters::requests::{Requests, RootWorld};
use crate::http::chain;
use crate::http::host::RequestHost;
use crate::http::request::Request;
use crate::http::{phases, properties};
use crate::nginx::log;
use crate::process::status::FilterStatus;
use nginx_sys::ngx_log_t;
use ngx_wasm::proxy_wasm::StreamToken;
use std::time::Duration;

/// How filters ask for what they have to know of requests.
pub const FOR_FILTERS: Requests = Requests {
    // SAFETY: the token leads to a live request.
    log: |stream| unsafe { log::of_request((*(stream.0 as *const Request)).r) },
    client,
    let_go,
    world,
    property: properties::of_process,
};

unsafe fn client(stream: StreamToken) -> (Vec<u8>, Vec<u8>) {
    // SAFETY: the token leads to a live request, which has a connection.
    unsafe {
        let c = (*(*(stream.0 as *const Request)).r).connection;
        let address = std::slice::from_raw_parts((*c).sockaddr.cast::<u8>(), (*c).socklen as usize);
        (address.to_vec(), (*c).addr_text.as_bytes().to_vec())
    }
}

unsafe fn let_go(stream: StreamToken, filter: usize, without: Without, status: &FilterStatus) {
    let request = stream.0 as *mut Request;
    // SAFETY: the token leads to a live request.
    unsafe {
        if phases::release_waiting(request, filter, without) {
            chain::lose(request, status, without);
        }
    }
}

fn world<'a>(filter: usize, log: *mut ngx_log_t, name: &'a [u8], timeout: Duration) -> Box<dyn RootWorld + 'a> {
    Box::new(RequestHost::for_root(filter, log, name, timeout))
}
