//! Connects to an address, without waiting.

use std::ffi::c_int;
use std::io;

use nginx_sys::{
    ngx_connection_log_error_e_NGX_ERROR_INFO as NGX_ERROR_INFO, ngx_create_pool, ngx_event_connect_peer,
    ngx_event_get_peer, ngx_peer_connection_t, ngx_str_t,
};

use super::address::Address;
use super::connection::Connection;
use super::words::Words;
use crate::nginx::rc;

/// The pool of a connection serves TLS, which wants little of it.
const POOL: usize = 512;

/// A connection to `address`.
pub async fn connect(address: &Address) -> io::Result<Connection> {
    let connection = begin(address)?;
    std::future::poll_fn(|cx| connection.poll_writable(cx)).await;
    let c = connection.0.c.get();
    if c.is_null() || connection.is_unwanted() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    let mut err: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the socket is open, and the option is a number.
    let result =
        unsafe { libc::getsockopt((*c).fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut err).cast(), &mut len) };
    match (result, err) {
        (0, 0) => {
            // Requests are written whole, so there is nothing to wait for. It makes no difference to Unix sockets.
            let on: c_int = 1;
            let len = size_of::<c_int>() as libc::socklen_t;
            // SAFETY: as above.
            unsafe { libc::setsockopt((*c).fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), len) };
            Ok(connection)
        }
        (0, err) => Err(io::Error::from_raw_os_error(err)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn begin(address: &Address) -> io::Result<Connection> {
    let words = Words::new();
    let name = address.to_string();
    let mut name = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
    // SAFETY: zeros are a request for a stream socket; nginx uses the structure during the call only, and the connection
    // that it makes has a log and events of its own.
    unsafe {
        let mut peer = std::mem::zeroed::<ngx_peer_connection_t>();
        (peer.sockaddr, peer.socklen) = address.as_ptr();
        peer.name = &mut name;
        peer.get = Some(ngx_event_get_peer);
        peer.log = words.log();
        peer.set_log_error(NGX_ERROR_INFO);
        let code = ngx_event_connect_peer(&mut peer);
        let c = peer.connection;
        if c.is_null() || (code != rc::OK && code != rc::AGAIN) {
            if !c.is_null() {
                nginx_sys::ngx_close_connection(c);
            }
            return Err(words.take().map_or_else(io::Error::last_os_error, io::Error::other));
        }
        (*c).pool = ngx_create_pool(POOL, words.log());
        let has_pool = !(*c).pool.is_null();
        let connection = Connection::new(c, words);
        if !has_pool {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if code == rc::OK {
            (*(*c).write).set_ready(1);
        }
        Ok(connection)
    }
}
