//! A list of servers as a balancer of nginx keeps it (src/http/ngx_http_upstream_round_robin.h), as a handle: the servers, and
//! behind them the list of those that are `backup`. With a `zone` the lists are shared by all workers, and each has a lock.

use std::cell::Cell;
use std::iter;
use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{ngx_http_upstream_rr_peer_t, ngx_http_upstream_rr_peers_t, ngx_uint_t, time_t};

use crate::net::balancer;
use crate::nginx::bits::fields;
use crate::nginx::cycle;
use crate::nginx::upstream_block::UpstreamBlock;

/// Why nginx would not choose a server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    Down,
    Failed,
    Full,
}

/// A list. It is there as long as its upstream; the servers in it may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct List<'c>(NonNull<ngx_http_upstream_rr_peers_t>, PhantomData<&'c Cell<()>>);

/// A list whose lock is held, for those who read it. With that nothing enters or leaves the list; other workers go on counting in
/// it. A list without a zone has no lock.
pub struct Locked<'c>(List<'c>);

/// A server in a list whose lock is held.
#[derive(Clone, Copy)]
pub struct Server<'l>(NonNull<ngx_http_upstream_rr_peer_t>, PhantomData<&'l Locked<'l>>);

impl<'c> List<'c> {
    /// # Safety
    /// `list` is null, or one of an upstream that is there for as long as the handle.
    pub(super) unsafe fn from_ptr(list: *mut ngx_http_upstream_rr_peers_t) -> Option<Self> {
        NonNull::new(list).map(|list| List(list, PhantomData))
    }

    pub(super) fn as_ptr(self) -> *mut ngx_http_upstream_rr_peers_t {
        self.0.as_ptr()
    }

    /// That of an upstream. `None`: its balancer is none of nginx's, and what it keeps is its own affair.
    pub fn of(us: UpstreamBlock<'c>) -> Option<Self> {
        if !balancer::keeps_round_robin(us) {
            return None;
        }
        // SAFETY: a balancer that keeps the lists of round robin has them there (ngx_http_upstream_init_round_robin_peer takes
        // them from there).
        unsafe { List::from_ptr(us.balancer_data().cast()) }
    }

    fields! {
        get next: *mut ngx_http_upstream_rr_peers_t = next;
        get number: ngx_uint_t = number;
        get peer: *mut ngx_http_upstream_rr_peer_t = peer;
    }

    /// This list, and that of backups. The second of each pair: it is that of backups.
    pub fn with_backups(self) -> impl Iterator<Item = (List<'c>, bool)> {
        // SAFETY: the next list is as long there as the first one.
        let backups = unsafe { List::from_ptr(self.next()) };
        iter::once((self, false)).chain(backups.map(|list| (list, true)))
    }

    /// Holds the lock of the list. Nothing that does waits for an event.
    pub fn lock(self) -> Locked<'c> {
        #[cfg(ngx_feature = "http_upstream_zone")]
        if self.is_shared() {
            // SAFETY: the lock is there as long as the list.
            unsafe { nginx_sys::ngx_rwlock_rlock(self.rwlock()) };
        }
        Locked(self)
    }

    #[cfg(ngx_feature = "http_upstream_zone")]
    fn rwlock(self) -> *mut nginx_sys::ngx_atomic_t {
        // SAFETY: the list is there.
        unsafe { &raw mut (*self.as_ptr()).rwlock }
    }

    #[cfg(ngx_feature = "http_upstream_zone")]
    fn is_shared(self) -> bool {
        // SAFETY: the list is there; it has been given to a zone before requests, or never.
        unsafe { !(*self.as_ptr()).shpool.is_null() }
    }
}

#[cfg(ngx_feature = "http_upstream_zone")]
impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.0.is_shared() {
            // SAFETY: `lock` has locked it.
            unsafe { nginx_sys::ngx_rwlock_unlock(self.0.rwlock()) }
        }
    }
}

impl Locked<'_> {
    /// How many servers there are.
    pub fn count(&self) -> usize {
        self.0.number()
    }

    pub fn servers(&self) -> impl Iterator<Item = Server<'_>> {
        // Null ends the servers, which nobody takes away while the lock is held.
        let first = NonNull::new(self.0.peer()).map(|server| Server(server, PhantomData));
        iter::successors(first, |server| NonNull::new(server.next()).map(|server| Server(server, PhantomData)))
    }
}

impl<'l> Server<'l> {
    /// Its address: "IP:PORT", or "unix:" and the path of a socket.
    pub fn name(self) -> &'l [u8] {
        // SAFETY: the server is there, and its name as long as it.
        unsafe { (*self.0.as_ptr()).name.as_bytes() }
    }

    /// Why nginx would not choose it now, as ngx_http_upstream_get_peer finds it (src/http/ngx_http_upstream_round_robin.c).
    pub fn unusable(self) -> Option<Unusable> {
        let is_failed = self.max_fails() != 0 && self.fails() >= self.max_fails();
        if self.down() != 0 {
            Some(Unusable::Down)
        } else if is_failed && cycle::time().0 - self.checked() <= self.fail_timeout() {
            Some(Unusable::Failed)
        } else if self.max_conns() != 0 && self.conns() >= self.max_conns() {
            Some(Unusable::Full)
        } else {
            None
        }
    }

    fn as_ptr(self) -> *mut ngx_http_upstream_rr_peer_t {
        self.0.as_ptr()
    }

    // Other workers count in it, each number in one piece.
    fields! {
        get next: *mut ngx_http_upstream_rr_peer_t = next;
        get down: ngx_uint_t = down;
        get fails: ngx_uint_t = fails;
        get max_fails: ngx_uint_t = max_fails;
        get fail_timeout: time_t = fail_timeout;
        get checked: time_t = checked;
        get conns: ngx_uint_t = conns;
        get max_conns: ngx_uint_t = max_conns;
    }
}
