//! The server that a filter chose for a request (`proxy_set_upstream_override_host`): nginx connects to it first, if it would
//! choose it at all now. Whatever comes after that connection is up to the balancer, and so is everything when it would not.
//!
//! A balancer of nginx notes for each request which servers it has tried (src/http/ngx_http_upstream_round_robin.h). The
//! chosen one is had from round robin by showing it all others as tried, so that connections, failures, TLS sessions and
//! references are counted by nginx's own code, as for any server.

use std::ffi::c_void;
use std::slice;

use nginx_sys::{
    NGX_LOG_INFO, NGX_LOG_WARN, ngx_http_request_t, ngx_http_upstream_free_round_robin_peer,
    ngx_http_upstream_get_round_robin_peer, ngx_http_upstream_rr_peer_data_t, ngx_http_upstream_rr_peers_t,
    ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_peer_connection_t, ngx_uint_t,
};

use crate::config::loc_conf::LocConf;
use crate::http::request::Request;
use crate::net::upstreams::keeps_round_robin;
use crate::net::upstreams::servers::{self, Place, Unusable};
use crate::nginx::guard::guard;
use crate::nginx::{log, pool, rc};

/// What stands before the balancer of a request for which a filter chose a server.
struct Choice {
    r: *mut ngx_http_request_t,
    us: *mut ngx_http_upstream_srv_conf_t,
    /// Until it has been tried.
    address: Option<Box<[u8]>>,
    /// What the balancer keeps for the request; it begins so.
    rrp: *mut ngx_http_upstream_rr_peer_data_t,
    /// The list of servers, while a backup is asked: the balancer has not got that far.
    aside: *mut ngx_http_upstream_rr_peers_t,
    get: nginx_sys::ngx_event_get_peer_pt,
    free: nginx_sys::ngx_event_free_peer_pt,
    notify: nginx_sys::ngx_event_notify_peer_pt,
    #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
    set_session: nginx_sys::ngx_event_set_peer_session_pt,
    #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
    save_session: nginx_sys::ngx_event_save_peer_session_pt,
}

/// In the place of the balancer's `peer.init`.
pub unsafe extern "C" fn init(r: *mut ngx_http_request_t, us: *mut ngx_http_upstream_srv_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls this with a live request that has an upstream (src/http/ngx_http_upstream.c,
    // ngx_http_upstream_init_request).
    guard(rc::ERROR, || unsafe {
        let Some(original) = LocConf::of(r).main().balancers.of(us) else { return rc::ERROR };
        match original(r, us) {
            rc::OK => {}
            code => return code,
        }
        let Some(address) = Request::of(r).as_mut().and_then(|request| request.upstream_host.take()) else {
            return rc::OK;
        };
        let peer = &mut (*(*r).upstream).peer;
        if !keeps_round_robin(peer) {
            tell(r, us, &address, "the balancer of \"{}\" is not one of nginx");
            return rc::OK;
        }
        let choice = Choice {
            r,
            us,
            address: Some(address),
            rrp: peer.data.cast(),
            aside: std::ptr::null_mut(),
            get: peer.get,
            free: peer.free,
            notify: peer.notify,
            #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
            set_session: peer.set_session,
            #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
            save_session: peer.save_session,
        };
        let Some(choice) = pool::own((*r).pool, choice) else { return rc::ERROR };
        peer.data = choice.cast();
        peer.get = Some(get);
        peer.free = Some(free);
        peer.notify = peer.notify.map(|_| notify as _);
        #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
        {
            peer.set_session = peer.set_session.map(|_| set_session as _);
            peer.save_session = peer.save_session.map(|_| save_session as _);
        }
        rc::OK
    })
}

unsafe extern "C" fn get(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx, or a `keepalive`, passes what `init` has left, with the structure that it is part of.
    guard(rc::ERROR, || unsafe {
        let choice = &mut *data.cast::<Choice>();
        if let Some(address) = choice.address.take() {
            match choice.take(pc, &address) {
                Ok(()) => return rc::OK,
                Err(reason) => tell(choice.r, choice.us, &address, reason),
            }
        }
        choice.get.map_or(rc::ERROR, |get| get(pc, choice.rrp.cast()))
    })
}

unsafe extern "C" fn free(pc: *mut ngx_peer_connection_t, data: *mut c_void, state: ngx_uint_t) {
    // SAFETY: as for `get`.
    guard((), || unsafe {
        let choice = &mut *data.cast::<Choice>();
        if let Some(free) = choice.free {
            free(pc, choice.rrp.cast(), state);
        }
        let aside = std::mem::replace(&mut choice.aside, std::ptr::null_mut());
        if !aside.is_null() {
            (*choice.rrp).peers = aside;
        }
    });
}

unsafe extern "C" fn notify(pc: *mut ngx_peer_connection_t, data: *mut c_void, kind: ngx_uint_t) {
    // SAFETY: as for `get`.
    guard((), || unsafe {
        let choice = &*data.cast::<Choice>();
        if let Some(notify) = choice.notify {
            notify(pc, choice.rrp.cast(), kind);
        }
    });
}

#[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
unsafe extern "C" fn set_session(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    // SAFETY: as for `get`.
    guard(rc::ERROR, || unsafe {
        let choice = &*data.cast::<Choice>();
        choice.set_session.map_or(rc::OK, |set| set(pc, choice.rrp.cast()))
    })
}

#[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
unsafe extern "C" fn save_session(pc: *mut ngx_peer_connection_t, data: *mut c_void) {
    // SAFETY: as for `get`.
    guard((), || unsafe {
        let choice = &*data.cast::<Choice>();
        if let Some(save) = choice.save_session {
            save(pc, choice.rrp.cast());
        }
    });
}

const BITS: usize = usize::BITS as usize;

impl Choice {
    /// Has round robin take the server with this address. Otherwise the reason, and everything is as before.
    unsafe fn take(&mut self, pc: *mut ngx_peer_connection_t, address: &[u8]) -> Result<(), &'static str> {
        const GONE: &str = "other requests were faster";
        // SAFETY: round robin has begun with the request, and nothing has been tried: `tried` has a bit for each server of
        // the longer list (ngx_http_upstream_init_round_robin_peer), and lists only change where `config` tells so.
        unsafe {
            let rrp = self.rrp;
            let first = (*rrp).peers;
            if is_changed(rrp) {
                return Err("the servers of \"{}\" have just changed");
            }
            let Place { list, n } = servers::find(first, address).map_err(|why| match why {
                None => "\"{}\" has no such server",
                Some(Unusable::Down) => "it is down in \"{}\"",
                Some(Unusable::Failed) => "it has failed in \"{}\" (max_fails)",
                Some(Unusable::Full) => "it has all connections that \"{}\" gives it (max_conns)",
            })?;
            let count = servers::longest(first);
            if is_changed(rrp) || n >= count {
                return Err(GONE);
            }
            let tried = (*rrp).tried;
            let before = slice::from_raw_parts(tried, count.div_ceil(BITS)).to_vec();
            let tries = (*pc).tries;
            tried.write_bytes(0xff, before.len());
            *tried.add(n / BITS) &= !(1 << (n % BITS));
            (*rrp).peers = list;
            let code = ngx_http_upstream_get_round_robin_peer(pc, rrp.cast());
            // It goes on to the backups when another worker has just taken the last connection, or has seen the server fail.
            let is_other = code == rc::OK && (*rrp).peers != list;
            if is_other {
                ngx_http_upstream_free_round_robin_peer(pc, rrp.cast(), 0);
                (*pc).sockaddr = std::ptr::null_mut();
                (*pc).tries = tries;
            }
            (*rrp).peers = first;
            tried.copy_from_nonoverlapping(before.as_ptr(), before.len());
            if code != rc::OK || is_other {
                return Err(GONE);
            }
            if list == first {
                *tried.add(n / BITS) |= 1 << (n % BITS);
            } else {
                (*rrp).peers = list;
                self.aside = first;
            }
        }
        Ok(())
    }
}

/// Whether names of servers have been resolved anew since the request began with the balancer, which gives it no server then
/// (1.27.3).
#[cfg(resolved_peers)]
unsafe fn is_changed(rrp: *mut ngx_http_upstream_rr_peer_data_t) -> bool {
    // SAFETY: the number is as long there as the upstream. Other workers write it, which nginx reads in one piece.
    unsafe {
        let config = (*(*rrp).peers).config;
        !config.is_null() && config.read_volatile() != (*rrp).config
    }
}

#[cfg(not(resolved_peers))]
unsafe fn is_changed(_: *mut ngx_http_upstream_rr_peer_data_t) -> bool {
    false
}

/// Says that the balancer chooses in the filter's place.
unsafe fn tell(r: *mut ngx_http_request_t, us: *mut ngx_http_upstream_srv_conf_t, address: &[u8], reason: &str) {
    // SAFETY: the request is live, and the upstream part of its configuration.
    unsafe {
        let reason = reason.replace("{}", &String::from_utf8_lossy((*us).host.as_bytes()));
        let address = String::from_utf8_lossy(address);
        let message = format!("wasm: the upstream host \"{address}\" of a filter is not asked first: {reason}");
        log::write(NGX_LOG_WARN, log::of_request(r), log::printable(&message));
    }
}

/// Says that a choice was for nothing: the answer came from somewhere else.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn tell_unused(r: *mut ngx_http_request_t, address: &[u8]) {
    let address = String::from_utf8_lossy(address);
    let message = format!(
        "wasm: the upstream host \"{address}\" of a filter was not asked: nginx asked no upstream that it knows"
    );
    // SAFETY: see above.
    unsafe { log::write(NGX_LOG_INFO, log::of_request(r), log::printable(&message)) };
}
