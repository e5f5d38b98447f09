//! What round robin keeps for a request that asks an upstream (src/http/ngx_http_upstream_round_robin.h), as a handle. All balancers
//! of nginx keep it; they only choose otherwise.
//!
//! It notes which servers the request has tried. A certain server is had from round robin by showing it all others as tried, so
//! that connections, failures, TLS sessions and references are counted by nginx's own code, as for any server.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use nginx_sys::{
    ngx_http_upstream_free_round_robin_peer, ngx_http_upstream_get_round_robin_peer, ngx_http_upstream_rr_peer_data_t,
    ngx_http_upstream_rr_peers_t,
};

use super::list::{List, Unusable};
use super::servers::{self, Place};
use crate::nginx::peer::Peer;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

/// What is kept, in the pool of the request; so is this.
pub struct RoundRobin {
    data: NonNull<ngx_http_upstream_rr_peer_data_t>,
    /// The list of servers, while a backup is asked: the balancer has not got that far.
    aside: Cell<*mut ngx_http_upstream_rr_peers_t>,
}

/// Why round robin has not taken a certain server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its servers have been resolved anew since the request began.
    Changed,
    /// There is no such server.
    Unknown,
    /// It is not to be asked now.
    Unusable(Unusable),
    /// Other requests were faster.
    Gone,
}

const BITS: usize = usize::BITS as usize;

impl RoundRobin {
    /// What the balancer of the upstream that a request asks has begun with for it. `None`: there is none, or it is none of nginx's,
    /// or somebody stands before it.
    pub fn of(r: HttpRequest<'_>) -> Option<RoundRobin> {
        let data = r.upstream()?.peer_of_balancer().round_robin()?;
        Some(RoundRobin { data, aside: Cell::new(ptr::null_mut()) })
    }

    /// The list that servers are taken from.
    fn list(&self) -> *mut ngx_http_upstream_rr_peers_t {
        // SAFETY: what is kept is as long there as the request.
        unsafe { (*self.data.as_ptr()).peers }
    }

    fn set_list(&self, list: *mut ngx_http_upstream_rr_peers_t) {
        // SAFETY: what is kept is as long there as the request; the callers pass one of the upstream's lists.
        unsafe { (*self.data.as_ptr()).peers = list }
    }

    /// The marks of servers that have been tried, of `count` servers.
    fn tried(&self, count: usize) -> Vec<usize> {
        // SAFETY: there is a bit for each server of the longer list (ngx_http_upstream_init_round_robin_peer), and lists only change
        // where `is_changed` tells so.
        unsafe { std::slice::from_raw_parts(self.marks(), count.div_ceil(BITS)) }.to_vec()
    }

    /// Puts back as many marks as [`RoundRobin::tried`] gave.
    fn set_tried(&self, marks: &[usize]) {
        // SAFETY: there is room for so many, since there were as many.
        unsafe { self.marks().copy_from_nonoverlapping(marks.as_ptr(), marks.len()) }
    }

    /// Where they are.
    fn marks(&self) -> *mut usize {
        // SAFETY: what is kept is as long there as the request.
        unsafe { (*self.data.as_ptr()).tried }
    }

    /// Whether names of servers have been resolved anew since the request began with the balancer, which gives it no server then
    /// (1.27.3).
    #[cfg(resolved_peers)]
    fn is_changed(&self) -> bool {
        // SAFETY: the list is as long there as the upstream.
        let config = unsafe { (*self.list()).config };
        // SAFETY: what is kept is as long there as the request.
        let seen = unsafe { (*self.data.as_ptr()).config };
        // SAFETY: the number is as long there as the upstream. Other workers write it, which nginx reads in one piece.
        !config.is_null() && unsafe { config.read_volatile() } != seen
    }

    #[cfg(not(resolved_peers))]
    fn is_changed(&self) -> bool {
        false
    }

    /// Has round robin take the server with this address for `peer`, that of the request. Otherwise everything is as before.
    pub fn take(&self, peer: Peer<'_>, address: &[u8]) -> Result<(), Refused> {
        // SAFETY: round robin has begun with a list of the upstream.
        let first = unsafe { List::from_ptr(self.list()) }.ok_or(Refused::Unknown)?;
        if self.is_changed() {
            return Err(Refused::Changed);
        }
        let found = servers::find(first, address);
        let Place { list, n } = found.map_err(|why| why.map_or(Refused::Unknown, Refused::Unusable))?;
        let count = servers::longest(first);
        if self.is_changed() || n >= count {
            return Err(Refused::Gone);
        }
        let mut tried = self.tried(count);
        let mut all_others = vec![usize::MAX; tried.len()];
        all_others[n / BITS] &= !(1 << (n % BITS));
        self.set_tried(&all_others);
        self.set_list(list.as_ptr());
        let is_taken = self.get(peer, list);
        self.set_list(first.as_ptr());
        if is_taken && list == first {
            tried[n / BITS] |= 1 << (n % BITS);
        }
        self.set_tried(&tried);
        if !is_taken {
            return Err(Refused::Gone);
        }
        if list != first {
            self.set_list(list.as_ptr());
            self.aside.set(first.as_ptr());
        }
        Ok(())
    }

    /// Has round robin choose a server of a list. Answers whether it has.
    fn get(&self, peer: Peer<'_>, list: List<'_>) -> bool {
        let (pc, data) = (peer.as_ptr(), self.data.as_ptr().cast());
        let tries = peer.tries();
        // SAFETY: round robin has begun with the request.
        let code = unsafe { ngx_http_upstream_get_round_robin_peer(pc, data) };
        // It goes on to the backups when another worker has just taken the last connection, or has seen the server fail.
        let is_other = code == rc::OK && self.list() != list.as_ptr();
        if is_other {
            // SAFETY: it has just chosen one.
            unsafe { ngx_http_upstream_free_round_robin_peer(pc, data, 0) };
            peer.forget_address();
            peer.set_tries(tries);
        }
        code == rc::OK && !is_other
    }

    /// nginx is done with the server that it got.
    pub fn freed(&self) {
        let aside = self.aside.replace(ptr::null_mut());
        if !aside.is_null() {
            self.set_list(aside);
        }
    }
}
