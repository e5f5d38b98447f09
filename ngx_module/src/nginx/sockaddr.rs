//! Socket addresses, as nginx and the system write them.

use std::fmt;
use std::net::SocketAddr;
use std::ptr;

use nginx_sys::{ngx_inet_set_port, ngx_sock_ntop, sockaddr, socklen_t};

use super::plain::Plain;
use super::pool::Pool;

/// Where to connect.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Aligned as the system wants it, with zeros behind the address.
    storage: [u64; LONGEST / size_of::<u64>()],
    len: usize,
}

/// As many bytes as the longest address has.
const LONGEST: usize = size_of::<libc::sockaddr_storage>();

impl Address {
    /// # Safety
    /// `address` points to `len` bytes.
    pub unsafe fn of(address: *const sockaddr, len: socklen_t) -> Address {
        // SAFETY: there are so many bytes, as said above.
        Address::from_bytes(unsafe { std::slice::from_raw_parts(address.cast::<u8>(), len as usize) })
    }

    /// One that is in the form of the system. What is longer than any of these is cut.
    pub(super) fn from_bytes(bytes: &[u8]) -> Address {
        let (words, len) = (bytes.chunks(size_of::<u64>()), bytes.len().min(LONGEST));
        let mut address = Address { storage: [0; _], len };
        for (place, word) in address.storage.iter_mut().zip(words) {
            let mut whole = [0; size_of::<u64>()];
            whole[..word.len()].copy_from_slice(word);
            *place = u64::from_ne_bytes(whole);
        }
        address
    }

    /// A copy in a pool, with room for every address.
    pub(super) fn in_pool(&self, pool: Pool<'_>) -> Option<(*mut sockaddr, socklen_t)> {
        let place = pool.zeroed::<libc::sockaddr_storage>()?;
        // SAFETY: there is room for all of it, and the structure is plain data.
        unsafe { ptr::from_mut(place).cast::<[u64; LONGEST / size_of::<u64>()]>().write(self.storage) };
        Some((ptr::from_mut(place).cast(), self.len as socklen_t))
    }

    /// A socket in the file system. `None`: the path is too long, or has a NUL in it.
    pub fn unix(path: &[u8]) -> Option<Address> {
        let mut address = libc::sockaddr_un::zeros();
        if path.len() >= address.sun_path.len() || path.contains(&0) {
            return None;
        }
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (place, byte) in address.sun_path.iter_mut().zip(path) {
            *place = byte.cast_signed();
        }
        Some(Address::from_structure(&address))
    }

    /// The same host with another port.
    pub fn with_port(mut self, port: u16) -> Address {
        // SAFETY: nginx writes the port where the family has it, inside of the address, and none to a Unix socket.
        unsafe { ngx_inet_set_port(self.storage.as_mut_ptr().cast(), port) };
        self
    }

    fn from_structure<T: Plain>(address: &T) -> Address {
        // SAFETY: it is a structure of the system, of which the callers have zeroed all and set fields.
        unsafe { Address::of(ptr::from_ref(address).cast(), size_of::<T>() as socklen_t) }
    }

    /// For functions of nginx.
    pub fn as_ptr(&self) -> (*mut sockaddr, socklen_t) {
        (self.storage.as_ptr().cast_mut().cast(), self.len as socklen_t)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => {
                let mut address = libc::sockaddr_in::zeros();
                address.sin_family = libc::AF_INET as libc::sa_family_t;
                address.sin_port = v4.port().to_be();
                address.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                Address::from_structure(&address)
            }
            SocketAddr::V6(v6) => {
                let mut address = libc::sockaddr_in6::zeros();
                address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                address.sin6_port = v6.port().to_be();
                address.sin6_addr.s6_addr = v6.ip().octets();
                address.sin6_scope_id = v6.scope_id();
                Address::from_structure(&address)
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
        // SAFETY: there is room for every address, whatever its family, and nginx writes at most as much as it is told.
        let written = unsafe { ngx_sock_ntop(address, len, text.as_mut_ptr(), text.len(), 1) };
        f.write_str(&String::from_utf8_lossy(&text[..written.min(text.len())]))
    }
}
