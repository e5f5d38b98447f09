//! Socket addresses, as nginx and the system write them.

use std::fmt;
use std::net::SocketAddr;

use nginx_sys::{ngx_inet_set_port, ngx_sock_ntop, sockaddr, socklen_t};

/// Where to connect.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(Vec<u8>);

impl Address {
    /// # Safety
    /// `address` points to `len` bytes.
    pub unsafe fn of(address: *const sockaddr, len: socklen_t) -> Address {
        // SAFETY: see above.
        Address(unsafe { std::slice::from_raw_parts(address.cast::<u8>(), len as usize) }.to_vec())
    }

    /// A socket in the file system. `None`: the path is too long, or has a NUL in it.
    pub fn unix(path: &[u8]) -> Option<Address> {
        // SAFETY: it is plain data.
        let mut address = unsafe { std::mem::zeroed::<libc::sockaddr_un>() };
        if path.len() >= address.sun_path.len() || path.contains(&0) {
            return None;
        }
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (place, byte) in address.sun_path.iter_mut().zip(path) {
            *place = byte.cast_signed();
        }
        Some(Address::from_bytes(&address))
    }

    /// The same host with another port.
    pub fn with_port(mut self, port: u16) -> Address {
        // SAFETY: nginx writes the port where the family has it, inside of the address, and none to a Unix socket.
        unsafe { ngx_inet_set_port(self.0.as_mut_ptr().cast(), port) };
        self
    }

    fn from_bytes<T>(address: &T) -> Address {
        // SAFETY: the structures of addresses are plain data without padding that matters; all of it was zeroed.
        Address(unsafe { std::slice::from_raw_parts(std::ptr::from_ref(address).cast(), size_of::<T>()) }.to_vec())
    }

    /// For functions of nginx.
    pub fn as_ptr(&self) -> (*mut sockaddr, socklen_t) {
        (self.0.as_ptr().cast_mut().cast(), self.0.len() as socklen_t)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: it is plain data.
                let mut address = unsafe { std::mem::zeroed::<libc::sockaddr_in>() };
                address.sin_family = libc::AF_INET as libc::sa_family_t;
                address.sin_port = v4.port().to_be();
                address.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                Address::from_bytes(&address)
            }
            SocketAddr::V6(v6) => {
                // SAFETY: it is plain data.
                let mut address = unsafe { std::mem::zeroed::<libc::sockaddr_in6>() };
                address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                address.sin6_port = v6.port().to_be();
                address.sin6_addr.s6_addr = v6.ip().octets();
                address.sin6_scope_id = v6.scope_id();
                Address::from_bytes(&address)
            }
        }
    }
}

/// "127.0.0.1:80", "[::1]:80", "unix:/path".
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The longest is a path: that of NGX_SOCKADDR_STRLEN, with some room.
        let mut text = [0u8; size_of::<libc::sockaddr_un>() + 16];
        let (address, len) = self.as_ptr();
        // A copy, because nothing aligns the bytes.
        // SAFETY: the storage is large enough for every address, and nginx writes at most as much as it is told.
        let written = unsafe {
            let mut storage = std::mem::zeroed::<libc::sockaddr_storage>();
            let place = (&raw mut storage).cast::<u8>();
            std::ptr::copy_nonoverlapping(address.cast::<u8>(), place, self.0.len().min(size_of_val(&storage)));
            ngx_sock_ntop(place.cast(), len, text.as_mut_ptr(), text.len(), 1)
        };
        f.write_str(&String::from_utf8_lossy(&text[..written.min(text.len())]))
    }
}
