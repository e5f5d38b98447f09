//! From the name of a service to who is to be called: an `upstream { }`, or what the name says itself. Calls of filters and of
//! functions go by it.

use std::rc::Rc;

use ngx_wasm::net::target::{Target, istio_host, split_scheme};

use super::balancer::Upstream;
use super::http::{Endpoint, Service};
use super::settings::CallSettings;

/// The service that a call names. `host` is the one that it speaks of, perhaps with a port; without, it is the service's
/// own name. `is_tls` counts where the name does not say it.
pub fn named(
    settings: &Rc<CallSettings>,
    target: &[u8],
    host: &[u8],
    is_tls: bool,
    only_http2: bool,
) -> Result<Rc<Service>, String> {
    let (prefix, name) = split_scheme(target);
    let endpoint = endpoint_of(name)?;
    let tls = prefix.unwrap_or(is_tls).then(|| match (host_of(host), &endpoint) {
        ("", Endpoint::Target(Target::Host { host, .. })) => host.clone(),
        ("", Endpoint::Target(Target::Unix(_))) => "localhost".to_owned(),
        ("", Endpoint::Upstream(_)) => host_of(host_in(name)).to_owned(),
        (host, _) => host.to_owned(),
    });
    Ok(Rc::new(Service { settings: settings.clone(), endpoint, tls, only_http2 }))
}

/// The part of a service's name that is a host's.
fn host_in(name: &[u8]) -> &[u8] {
    istio_host(name).map_or(name, |(host, _)| host)
}

/// Without the port, and the brackets of IPv6.
fn host_of(host: &[u8]) -> &str {
    let host = std::str::from_utf8(host).unwrap_or_default();
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// An `upstream { }` of this name, or what the name says itself. Clusters of Istio are looked for by the name of their host
/// too.
pub fn endpoint_of(name: &[u8]) -> Result<Endpoint, String> {
    let upstream = Upstream::find(name).or_else(|| Upstream::find(istio_host(name)?.0));
    if let Some(upstream) = upstream {
        return Ok(Endpoint::Upstream(upstream));
    }
    Target::parse(name).map(Endpoint::Target).map_err(|err| err.to_string())
}
