//! `source.*`, `destination.*`, `connection.*`.

use super::{boolean, number, text, tls, variables};
use crate::nginx::address::SocketAddress;
use crate::nginx::request::HttpRequest;
use crate::nginx::tls::Side;

/// Appends `source.<path>`: the client.
pub fn source(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
    address(&r.connection().client_address(), path, value)
}

/// Appends `destination.<path>`: where the client connected to.
pub fn destination(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
    r.connection().local_address().is_some_and(|local| address(&local, path, value))
}

/// Appends `connection.<path>`.
pub fn get(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
    match path {
        b"id" => number(value, r.connection().number()),
        // A certificate that nobody has verified says nothing about the client.
        b"mtls" => {
            let mut verified = Vec::new();
            boolean(value, variables::get(r, b"ssl_client_verify", &mut verified) && verified == b"SUCCESS")
        }
        b"requested_server_name" => {
            variables::get(r, b"ssl_server_name", value);
            true
        }
        _ => tls::get(Side::Client(r), path, value),
    }
}

/// Appends the address, or the port, of a socket address.
pub fn address(address: &SocketAddress, path: &[u8], value: &mut Vec<u8>) -> bool {
    match path {
        b"address" => named(address.shown(), path, value),
        b"port" => address.port().is_some_and(|port| number(value, port)),
        _ => false,
    }
}

/// Appends the address, or the port, that nginx shows as `shown`. Envoy gives the path of a Unix socket alone.
pub fn named(shown: &[u8], path: &[u8], value: &mut Vec<u8>) -> bool {
    let socket = shown.strip_prefix(b"unix:");
    match path {
        b"address" => text(value, socket.unwrap_or(shown)),
        b"port" if socket.is_none() => {
            let port = shown.rsplit(|byte| *byte == b':').next().unwrap_or_default();
            let port: Option<u16> = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
            port.is_some_and(|port| number(value, port))
        }
        _ => false,
    }
}
