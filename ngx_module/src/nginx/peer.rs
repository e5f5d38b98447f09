//! How nginx asks the balancer of an upstream for a server, for one request: [`Peer`], and a place before the balancer for somebody
//! who has another choice ([`stand_before`]).

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use nginx_sys::{
    ngx_close_connection, ngx_connection_t, ngx_destroy_pool, ngx_http_upstream_free_round_robin_peer,
    ngx_http_upstream_rr_peer_data_t, ngx_int_t, ngx_peer_connection_t, ngx_uint_t, sockaddr, socklen_t,
};

use super::bits::fields;
use super::guard::guard;
use super::rc;
use super::request::HttpRequest;
use super::upstream::Upstream;

/// What nginx knows of the server that it asks, or is about to ask.
#[derive(Clone, Copy)]
pub struct Peer<'r>(NonNull<ngx_peer_connection_t>, PhantomData<&'r Cell<()>>);

/// Who stands before the balancer of a request.
pub trait Before: 'static {
    /// nginx asks for a server; `ask` asks the balancer for it, which answers with a code.
    fn get(&self, peer: Peer<'_>, ask: impl FnOnce() -> ngx_int_t) -> ngx_int_t;

    /// nginx is done with the server that it got, and the balancer has been told so.
    fn freed(&self);
}

/// What the pool of the request keeps of that, in the place of what the balancer keeps.
struct Standing<T> {
    before: T,
    /// What the balancer keeps for the request, and its functions.
    data: *mut c_void,
    get: nginx_sys::ngx_event_get_peer_pt,
    free: nginx_sys::ngx_event_free_peer_pt,
    notify: nginx_sys::ngx_event_notify_peer_pt,
    #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
    set_session: nginx_sys::ngx_event_set_peer_session_pt,
    #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
    save_session: nginx_sys::ngx_event_save_peer_session_pt,
}

impl<'r> Upstream<'r> {
    /// How its balancer is asked.
    pub fn peer_of_balancer(self) -> Peer<'r> {
        // SAFETY: the upstream is live, and this is a part of it.
        Peer(unsafe { NonNull::new_unchecked(&raw mut (*self.as_ptr()).peer) }, PhantomData)
    }
}

impl Peer<'_> {
    /// # Safety
    /// `pc` is there as long as the handle: it is that of an upstream, or what nginx passed to a function of the balancer that runs.
    pub(super) unsafe fn from_ptr(pc: *mut ngx_peer_connection_t) -> Self {
        // SAFETY: what is there is not at null.
        Peer(unsafe { NonNull::new_unchecked(pc) }, PhantomData)
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_peer_connection_t {
        self.0.as_ptr()
    }

    fields! {
        /// How many servers may be tried still.
        pub get tries: ngx_uint_t = tries;
        pub set set_tries: ngx_uint_t = tries;
        pub(super) get data: *mut c_void = data;
        pub(super) get getter: nginx_sys::ngx_event_get_peer_pt = get;
        pub(super) get freer: nginx_sys::ngx_event_free_peer_pt = free;
        pub(super) get sockaddr: *mut sockaddr = sockaddr;
        pub(super) get socklen: socklen_t = socklen;
        pub(super) get connection: *mut ngx_connection_t = connection;
        set set_sockaddr: *mut sockaddr = sockaddr;
        set set_connection: *mut ngx_connection_t = connection;
    }

    /// No server has been found.
    pub fn forget_address(self) {
        self.set_sockaddr(ptr::null_mut());
    }

    /// Closes the connection that a balancer has given, which nobody else has.
    pub(super) fn close_connection(self) {
        let c = self.connection();
        self.set_connection(ptr::null_mut());
        // SAFETY: the connection is open, and its pool goes behind it.
        let pool = unsafe { (*c).pool };
        // SAFETY: nobody else has the connection.
        unsafe { ngx_close_connection(c) };
        if !pool.is_null() {
            // SAFETY: it was the connection's, and nobody else's.
            unsafe { ngx_destroy_pool(pool) };
        }
    }

    /// What a balancer keeps for the request, if that is what nginx's round robin keeps: then this function reads it for each
    /// request, and gets it as data. The balancers of nginx keep it; they only choose otherwise.
    pub fn round_robin(self) -> Option<NonNull<ngx_http_upstream_rr_peer_data_t>> {
        let own: FreeFunction = ngx_http_upstream_free_round_robin_peer;
        self.freer().filter(|free| ptr::fn_addr_eq(*free, own)).and(NonNull::new(self.data().cast()))
    }
}

type FreeFunction = unsafe extern "C" fn(*mut ngx_peer_connection_t, *mut c_void, ngx_uint_t);

/// Puts somebody before the balancer that has begun with a request, for the time that this asks its upstream. `None`: it has none,
/// or the pool has no memory.
pub fn stand_before<T: Before>(r: HttpRequest<'_>, before: T) -> Option<()> {
    let peer = r.upstream()?.peer_of_balancer();
    // SAFETY: the structure is live, and nobody changes it meanwhile.
    let pc = unsafe { peer.0.as_ref() };
    let standing = Standing {
        before,
        data: pc.data,
        get: pc.get,
        free: pc.free,
        notify: pc.notify,
        #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
        set_session: pc.set_session,
        #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
        save_session: pc.save_session,
    };
    let kept = r.pool().own(standing)?;
    // SAFETY: the structure is live, and nobody has a reference to it. The functions go with the data, which is there as long as the
    // request.
    let pc = unsafe { &mut *peer.as_ptr() };
    pc.data = kept.as_ptr().cast();
    pc.get = Some(get::<T>);
    pc.free = Some(free::<T>);
    pc.notify = pc.notify.map(|_| notify::<T> as _);
    #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
    {
        pc.set_session = pc.set_session.map(|_| set_session::<T> as _);
        pc.save_session = pc.save_session.map(|_| save_session::<T> as _);
    }
    Some(())
}

/// # Safety
/// `data` is what nginx passed to a function of `stand_before`.
unsafe fn standing<'a, T>(data: *mut c_void) -> &'a Standing<T> {
    // SAFETY: nginx, or a `keepalive`, passes what `stand_before` has left, and the structure that it is part of.
    unsafe { &*data.cast() }
}

unsafe extern "C" fn get<T: Before>(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx passes what `stand_before` has left, and the structure that it is part of.
        let (standing, peer) = unsafe { (standing::<T>(data), Peer::from_ptr(pc)) };
        // SAFETY: the balancer gets what it keeps.
        standing.before.get(peer, || standing.get.map_or(rc::ERROR, |get| unsafe { get(pc, standing.data) }))
    })
}

unsafe extern "C" fn free<T: Before>(pc: *mut ngx_peer_connection_t, data: *mut c_void, state: ngx_uint_t) {
    guard((), || {
        // SAFETY: nginx passes what `stand_before` has left.
        let standing = unsafe { standing::<T>(data) };
        if let Some(free) = standing.free {
            // SAFETY: the balancer gets what it keeps.
            unsafe { free(pc, standing.data, state) };
        }
        standing.before.freed();
    });
}

unsafe extern "C" fn notify<T: Before>(pc: *mut ngx_peer_connection_t, data: *mut c_void, kind: ngx_uint_t) {
    guard((), || {
        // SAFETY: nginx passes what `stand_before` has left.
        let standing = unsafe { standing::<T>(data) };
        if let Some(notify) = standing.notify {
            // SAFETY: the balancer gets what it keeps.
            unsafe { notify(pc, standing.data, kind) };
        }
    });
}

#[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
unsafe extern "C" fn set_session<T: Before>(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx passes what `stand_before` has left.
        let standing = unsafe { standing::<T>(data) };
        // SAFETY: the balancer gets what it keeps.
        standing.set_session.map_or(rc::OK, |set| unsafe { set(pc, standing.data) })
    })
}

#[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
unsafe extern "C" fn save_session<T: Before>(pc: *mut ngx_peer_connection_t, data: *mut c_void) {
    guard((), || {
        // SAFETY: nginx passes what `stand_before` has left.
        let standing = unsafe { standing::<T>(data) };
        if let Some(save) = standing.save_session {
            // SAFETY: the balancer gets what it keeps.
            unsafe { save(pc, standing.data) };
        }
    });
}
