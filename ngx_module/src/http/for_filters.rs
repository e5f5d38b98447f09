//! What `http/` says of requests to running filters, which stand below it (`filters/requests.rs`). `module.rs` hands it over.

use std::time::Duration;

use nginx_sys::ngx_log_t;
use ngx_wasm::proxy_wasm::StreamToken;

use crate::config::rules::Without;
use crate::filters::requests::{Client, Requests, RootWorld};
use crate::http::chain;
use crate::http::host::RequestHost;
use crate::http::{phases, properties, tokens};
use crate::nginx::log::Log;
use crate::process::status::FilterStatus;

/// How filters ask for what they have to know of requests.
pub const FOR_FILTERS: Requests = Requests { log, client, let_go, world, property: properties::of_process };

fn log(stream: StreamToken) -> Option<*mut ngx_log_t> {
    tokens::find(stream).map(|request| Log::of_request(request.r()).as_ptr())
}

fn client(stream: StreamToken) -> Option<Client> {
    let request = tokens::find(stream)?;
    let c = request.r().connection();
    Some((c.address().to_vec(), c.address_text().to_vec()))
}

fn let_go(stream: StreamToken, filter: usize, without: Without, status: &FilterStatus) {
    if let Some(request) = tokens::find(stream)
        && phases::release_waiting(&request, filter, without)
    {
        chain::lose(&request, status, without);
    }
}

fn world<'a>(filter: usize, log: Log<'a>, name: &'a [u8], timeout: Duration) -> Box<dyn RootWorld + 'a> {
    Box::new(RequestHost::for_root(filter, log, name, timeout))
}
