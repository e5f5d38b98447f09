//! Addresses of sockets, as nginx shows them.

use std::os::fd::RawFd;

use nginx_sys::{ngx_inet_get_port, ngx_sock_ntop, sockaddr, socklen_t};

use super::plain::Plain;

/// "[ffff:...:ffff]:65535" and the longest path of a Unix socket both fit.
const LONGEST: usize = 128;

/// An address.
pub struct SocketAddress {
    shown: Vec<u8>,
    port: u16,
}

impl SocketAddress {
    /// # Safety
    /// `address` is one of this length.
    pub(super) unsafe fn of(address: *mut sockaddr, len: socklen_t) -> SocketAddress {
        let mut shown = vec![0; LONGEST];
        // SAFETY: the address has this length, and the text room for it.
        let (size, port) =
            unsafe { (ngx_sock_ntop(address, len, shown.as_mut_ptr(), LONGEST, 1), ngx_inet_get_port(address)) };
        shown.truncate(size);
        SocketAddress { shown, port }
    }

    /// Our end of a socket. `None`: the system does not say.
    pub(super) fn of_socket(fd: RawFd) -> Option<SocketAddress> {
        let mut place = libc::sockaddr_storage::zeros();
        let address = (&raw mut place).cast::<sockaddr>();
        let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        // SAFETY: the storage has room for every address, and the kernel writes no more than `len`.
        if unsafe { libc::getsockname(fd, address.cast(), &mut len) } != 0 {
            return None;
        }
        // SAFETY: the kernel has written an address of this length.
        Some(unsafe { SocketAddress::of(address, len) })
    }

    /// As text, with its port: "127.0.0.1:80", "unix:/path".
    pub fn shown(&self) -> &[u8] {
        &self.shown
    }

    /// `None` for what has none.
    pub fn port(&self) -> Option<u16> {
        Some(self.port).filter(|port| *port != 0)
    }
}
