//! What `http/` says of requests to running filters, which stand below it (`filters/requests.rs`). `module.rs` hands it over.

use nginx_sys::ngx_log_t;
use ngx_wasm::proxy_wasm::StreamToken;

use crate::config::filter_conf::FilterConf;
use crate::config::rules::{Trace, Without};
use crate::filters::requests::{Client, Requests, RootWorld};
use crate::http::chain;
use crate::http::host::RequestHost;
use crate::http::request::Request;
use crate::http::{phases, properties, tokens};
use crate::nginx::log::Log;
use crate::nginx::pool::Kept;
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

fn world<'a>(filter: usize, log: Log<'a>, conf: &'a FilterConf, streams: &[StreamToken]) -> Box<dyn RootWorld + 'a> {
    let is_traced = |request: Kept<Request>| {
        request.run_of(filter).and_then(|run| request.run(run)).is_some_and(|run| run.is_traced)
    };
    let is_traced = match conf.policy.trace {
        Trace::Off => false,
        Trace::On => true,
        Trace::If(_) => streams.iter().copied().filter_map(tokens::find).any(is_traced),
    };
    Box::new(RequestHost::for_root(filter, log, conf, is_traced))
}
