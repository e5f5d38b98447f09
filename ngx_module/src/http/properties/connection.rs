//! `source.*`, `destination.*`, `connection.*`.

use nginx_sys::{
    ngx_connection_local_sockaddr, ngx_http_request_t, ngx_inet_get_port, ngx_sock_ntop, sockaddr, socklen_t,
};

use super::{boolean, number, text, tls, variables};

/// "[ffff:…:ffff]:65535" and the longest path of a Unix socket both fit.
const LONGEST_ADDRESS: usize = 128;

/// Appends `source.<path>`: the client.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn source(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: a connection of a client has its address.
    unsafe {
        let c = (*r).connection;
        address((*c).sockaddr, (*c).socklen, path, value)
    }
}

/// Appends `destination.<path>`: where the client connected to.
pub unsafe fn destination(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: nginx asks the kernel for the address when it listens on all.
    unsafe {
        let c = (*r).connection;
        if ngx_connection_local_sockaddr(c, std::ptr::null_mut(), 0) != crate::nginx::rc::OK {
            return false;
        }
        address((*c).local_sockaddr, (*c).local_socklen, path, value)
    }
}

/// Appends `connection.<path>`.
pub unsafe fn get(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see `source`.
    unsafe {
        match path {
            b"id" => number(value, (*(*r).connection).number),
            // A certificate that nobody has verified says nothing about the client.
            b"mtls" => {
                let mut verified = Vec::new();
                boolean(value, variables::get(r, b"ssl_client_verify", &mut verified) && verified == b"SUCCESS")
            }
            b"requested_server_name" => {
                variables::get(r, b"ssl_server_name", value);
                true
            }
            _ => tls::get((*r).connection, path, value),
        }
    }
}

/// Appends the address, or the port, of a socket address.
///
/// # Safety
/// `sockaddr` is an address of this length.
pub unsafe fn address(sockaddr: *mut sockaddr, len: socklen_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above, and the text has room.
    unsafe {
        match path {
            b"address" => {
                let mut shown = [0u8; LONGEST_ADDRESS];
                let size = ngx_sock_ntop(sockaddr, len, shown.as_mut_ptr(), shown.len(), 1);
                named(&shown[..size.min(shown.len())], path, value)
            }
            b"port" => match ngx_inet_get_port(sockaddr) {
                0 => false,
                port => number(value, port),
            },
            _ => false,
        }
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
