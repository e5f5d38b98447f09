//! Names of hosts to addresses, by nginx's resolver where a name has to be asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::Address;
use crate::nginx::resolver::Resolver;

/// The addresses of `host`, of which there is at least one.
pub async fn resolve(resolver: Option<Resolver>, host: &str, port: u16) -> Result<Vec<Address>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port).into()]);
    }
    // RFC 6761, section 6.3: this name needs no server.
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(both.map(|ip| SocketAddr::new(ip, port).into()).to_vec());
    }
    let resolver = resolver.ok_or_else(|| format!("no \"resolver\" is configured to find \"{host}\""))?;
    resolver.ask(host, port)?.await
}

/// Whether there is any hope to find `host`.
pub fn can_resolve(resolver: Option<Resolver>, host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || resolver.is_some_and(Resolver::has_servers)
}
