//! The server that a filter chose for a request (`proxy_set_upstream_override_host`), as `net/upstreams/choice.rs` asks for it, and
//! what the log says when it is not asked.

use nginx_sys::{NGX_LOG_INFO, NGX_LOG_WARN};

use crate::config::conf::MainConf;
use crate::http::request::Request;
use crate::net::upstreams::Balancers;
use crate::net::upstreams::choice::{self, Chooser, NotAsked};
use crate::net::upstreams::list::Unusable;
use crate::net::upstreams::round_robin::Refused;
use crate::nginx::log::{self, Log};
use crate::nginx::request::HttpRequest;
use crate::nginx::upstream_block::Init;

/// In the place of the `peer.init` of all balancers.
pub const INIT: Init = choice::init_of::<Filters>();

/// The filters of requests.
struct Filters;

impl Chooser for Filters {
    fn balancers(r: HttpRequest<'_>) -> &Balancers {
        &MainConf::of_request(r).balancers
    }

    fn take_choice(r: HttpRequest<'_>) -> Option<Box<[u8]>> {
        Request::of(r)?.upstream_host.take()
    }

    fn log_not_asked(r: HttpRequest<'_>, upstream: &[u8], address: &[u8], why: NotAsked) {
        let upstream = String::from_utf8_lossy(upstream);
        let reason = match why {
            NotAsked::OtherBalancer => format!("the balancer of \"{upstream}\" is not one of nginx"),
            NotAsked::Refused(Refused::Changed) => format!("the servers of \"{upstream}\" have just changed"),
            NotAsked::Refused(Refused::Unknown) => format!("\"{upstream}\" has no such server"),
            NotAsked::Refused(Refused::Unusable(Unusable::Down)) => format!("it is down in \"{upstream}\""),
            NotAsked::Refused(Refused::Unusable(Unusable::Failed)) => {
                format!("it has failed in \"{upstream}\" (max_fails)")
            }
            NotAsked::Refused(Refused::Unusable(Unusable::Full)) => {
                format!("it has all connections that \"{upstream}\" gives it (max_conns)")
            }
            NotAsked::Refused(Refused::Gone) => "other requests were faster".to_owned(),
        };
        let address = String::from_utf8_lossy(address);
        let message = format!("wasm: the upstream host \"{address}\" of a filter is not asked first: {reason}");
        Log::of_request(r).write(NGX_LOG_WARN, log::printable(&message));
    }
}

/// Says that a choice was for nothing: the answer came from somewhere else.
pub fn tell_unused(r: HttpRequest<'_>, address: &[u8]) {
    let address = String::from_utf8_lossy(address);
    let message = format!(
        "wasm: the upstream host \"{address}\" of a filter was not asked: nginx asked no upstream that it knows"
    );
    Log::of_request(r).write(NGX_LOG_INFO, log::printable(&message));
}
