//! The servers of an upstream, as the configuration has them.

use nginx_sys::{ngx_addr_t, ngx_http_upstream_server_t};

use super::request::bytes;
use super::upstream_block::UpstreamBlock;

/// An address of a server.
pub struct ServerAddress<'c> {
    /// "IP:PORT", or "unix:" and the path of a socket.
    pub name: &'c [u8],
    pub is_down: bool,
    pub is_backup: bool,
}

impl<'c> UpstreamBlock<'c> {
    /// The addresses of all servers, in the order of the block.
    pub fn addresses(self) -> impl Iterator<Item = ServerAddress<'c>> {
        // SAFETY: the upstream is there, and so is its array of servers, which nothing changes once the configuration is read.
        let servers = unsafe { (*self.as_ptr()).servers.as_ref() };
        // SAFETY: the elements of the array are servers.
        let servers = servers.map_or(&[][..], |servers| unsafe { servers.as_slice::<ngx_http_upstream_server_t>() });
        servers.iter().flat_map(|server| {
            let all: &[ngx_addr_t] = match server.naddrs {
                0 => &[],
                // SAFETY: a server has so many addresses.
                count => unsafe { std::slice::from_raw_parts(server.addrs, count) },
            };
            let (is_down, is_backup) = (server.down != 0, server.backup() != 0);
            // SAFETY: the names of addresses are there as long as the array.
            all.iter().map(move |one| ServerAddress { name: unsafe { bytes(one.name) }, is_down, is_backup })
        })
    }
}
