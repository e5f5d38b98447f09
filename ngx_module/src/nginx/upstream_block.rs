//! Upstreams of the configuration, and which of them a request is for.

use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{ngx_http_upstream_conf_t, ngx_http_upstream_srv_conf_t};

use super::modules::{self, Known};
use super::request::{HttpRequest, bytes};
use super::upstream::Upstream;

/// An `upstream { }`, or what nginx makes for the host in `proxy_pass`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UpstreamBlock<'c>(NonNull<ngx_http_upstream_srv_conf_t>, PhantomData<&'c ()>);

impl<'c> UpstreamBlock<'c> {
    /// # Safety
    /// `us` is null, or an upstream that is there as long as the handle.
    pub unsafe fn from_ptr(us: *mut ngx_http_upstream_srv_conf_t) -> Option<UpstreamBlock<'c>> {
        NonNull::new(us).map(|us| UpstreamBlock(us, PhantomData))
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_http_upstream_srv_conf_t {
        self.0.as_ptr()
    }

    /// Its name, or the host.
    pub fn name(self) -> &'c [u8] {
        // SAFETY: the name is there as long as the upstream.
        unsafe { bytes((*self.as_ptr()).host) }
    }
}

/// Modules that may say an upstream for a location.
pub const PASSING: [Known; 6] = modules::PASSING;

/// The upstream that one of [`PASSING`] passes requests of the location on to, when it says that without variables.
pub fn named(r: HttpRequest<'_>, module: Known) -> Option<UpstreamBlock<'_>> {
    let conf = modules::upstream_conf(r, module)?;
    // SAFETY: a configuration of a location lives as long as the cycle, and its upstream with it.
    unsafe { UpstreamBlock::from_ptr((*conf.as_ptr()).upstream) }
}

impl<'r> Upstream<'r> {
    /// Which upstream of the configuration this asks.
    pub fn block(self) -> Option<UpstreamBlock<'r>> {
        // SAFETY: the upstream is live; its block lives as long as the configuration.
        unsafe { UpstreamBlock::from_ptr((*self.as_ptr()).upstream) }
    }

    /// The host that nginx looks up, or has looked up, because it is none of the configuration.
    pub fn resolved_host(self) -> Option<&'r [u8]> {
        // SAFETY: the upstream is live; the name lies in the pool of the request.
        unsafe { (*self.as_ptr()).resolved.as_ref().map(|resolved| bytes(resolved.host)) }
    }

    /// Whether it can choose a server. Nginx has an upstream or addresses before (src/http/ngx_http_upstream.c,
    /// ngx_http_upstream_init_request).
    pub fn has_balancer(self) -> bool {
        // SAFETY: the upstream is live.
        unsafe { (*self.as_ptr()).peer.get.is_some() }
    }

    /// Whether this is no upstream that a location before an internal redirect has asked: nginx leaves it in the request.
    pub fn is_of_location(self, r: HttpRequest<'_>) -> bool {
        // SAFETY: the upstream is live, and the array of the location has an element for each HTTP module.
        let (conf, all) = unsafe { ((*self.as_ptr()).conf, (*r.as_ptr()).loc_conf) };
        // SAFETY: as above.
        let at = |place| unsafe { *all.add(place) }.cast::<ngx_http_upstream_conf_t>();
        !r.is_internal() || (0..modules::count()).any(|place| at(place) == conf)
    }

    /// Whether the headers of its response have gone to the client.
    pub fn is_header_sent(self) -> bool {
        // SAFETY: the upstream is live.
        unsafe { (*self.as_ptr()).header_sent() != 0 }
    }

    /// Whether the status of its response has come.
    pub fn has_status(self) -> bool {
        // SAFETY: the upstream is live.
        unsafe { (*self.as_ptr()).headers_in.status_n != 0 }
    }
}
