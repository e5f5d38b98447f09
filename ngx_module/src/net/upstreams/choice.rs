//! The server that somebody chose for a request: nginx connects to it first, if it would choose it at all now. Whatever comes after
//! that connection is up to the balancer, and so is everything when it would not.

use std::cell::Cell;
use std::marker::PhantomData;

use nginx_sys::{ngx_http_request_t, ngx_http_upstream_srv_conf_t, ngx_int_t};

use super::Balancers;
use super::round_robin::{Refused, RoundRobin};
use crate::nginx::guard::guard;
use crate::nginx::peer::{Before, Peer, stand_before};
use crate::nginx::rc;
use crate::nginx::request::{HttpRequest, KeptRequest};
use crate::nginx::upstream_block::{Init, UpstreamBlock};

/// Who chooses servers.
pub trait Chooser: 'static {
    /// How requests begin with upstreams in the configuration that this one goes by.
    fn balancers(r: HttpRequest<'_>) -> &Balancers;

    /// The address of the server that the request is to ask first. It is not asked for twice.
    fn take_choice(r: HttpRequest<'_>) -> Option<Box<[u8]>>;

    /// The balancer of the upstream with this name chooses in its place.
    fn log_not_asked(r: HttpRequest<'_>, upstream: &[u8], address: &[u8], why: NotAsked);
}

/// Why the server that was chosen is not asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// The balancer is none of nginx's.
    OtherBalancer,
    /// It has not given it.
    Refused(Refused),
}

/// What stands before the balancer of a request for which somebody chose a server.
struct Choice<C> {
    r: KeptRequest,
    upstream: Box<[u8]>,
    /// Until it has been tried.
    address: Cell<Option<Box<[u8]>>>,
    round_robin: RoundRobin,
    chooser: PhantomData<C>,
}

/// What stands in the place of the balancer's `peer.init`.
pub const fn init_of<C: Chooser>() -> Init {
    // SAFETY: it does what `init` of a balancer does.
    unsafe { Init::new(init::<C>) }
}

unsafe extern "C" fn init<C: Chooser>(r: *mut ngx_http_request_t, us: *mut ngx_http_upstream_srv_conf_t) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx calls this with a live request that has an upstream (src/http/ngx_http_upstream.c,
        // ngx_http_upstream_init_request).
        let r = unsafe { HttpRequest::from_ptr(r) };
        // SAFETY: it is to ask this one, which is there as long as the configuration.
        let us = unsafe { UpstreamBlock::from_ptr(us) };
        let Some((us, original)) = us.and_then(|us| Some((us, C::balancers(r).of(us)?))) else { return rc::ERROR };
        match original.begin(r, us) {
            rc::OK => begin::<C>(r, us),
            code => code,
        }
    })
}

/// The balancer has begun with a request.
fn begin<C: Chooser>(r: HttpRequest<'_>, us: UpstreamBlock<'_>) -> ngx_int_t {
    let Some(address) = C::take_choice(r) else { return rc::OK };
    let Some(round_robin) = RoundRobin::of(r) else {
        C::log_not_asked(r, us.name(), &address, NotAsked::OtherBalancer);
        return rc::OK;
    };
    let choice = Choice::<C> {
        r: r.keep(),
        upstream: us.name().into(),
        address: Cell::new(Some(address)),
        round_robin,
        chooser: PhantomData,
    };
    stand_before(r, choice).map_or(rc::ERROR, |()| rc::OK)
}

impl<C: Chooser> Before for Choice<C> {
    fn get(&self, peer: Peer<'_>, ask: impl FnOnce() -> ngx_int_t) -> ngx_int_t {
        if let Some(address) = self.address.take() {
            match self.round_robin.take(peer, &address) {
                Ok(()) => return rc::OK,
                Err(why) => C::log_not_asked(self.r.get(), &self.upstream, &address, NotAsked::Refused(why)),
            }
        }
        ask()
    }

    fn freed(&self) {
        self.round_robin.freed();
    }
}
