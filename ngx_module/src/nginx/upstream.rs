//! The upstream that answers a request, as a handle.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{
    ngx_http_cleanup_pt, ngx_http_event_handler_pt, ngx_http_request_t, ngx_http_upstream_handler_pt,
    ngx_http_upstream_t,
};

use super::bits::{bits, fields};
use super::connection::Connection;
use super::request::{HttpRequest, KeptRequest};

/// An upstream of a live request.
#[derive(Clone, Copy)]
pub struct Upstream<'r>(NonNull<ngx_http_upstream_t>, PhantomData<&'r Cell<()>>);

impl Upstream<'_> {
    /// # Safety
    /// `upstream` is null, or that of a request which is live for as long as the handle.
    pub(super) unsafe fn from_ptr(upstream: *mut ngx_http_upstream_t) -> Option<Self> {
        NonNull::new(upstream).map(|upstream| Upstream(upstream, PhantomData))
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_http_upstream_t {
        self.0.as_ptr()
    }

    /// Whether it serves the request: nginx takes its cleanup away when it ends (src/http/ngx_http_upstream.c,
    /// ngx_http_upstream_finalize_request).
    pub fn is_at_work(self) -> bool {
        !self.cleanup().is_null()
    }

    bits! {
        /// Whether it changes the protocol of the connection.
        get is_upgrade: upgrade;
        set set_upgrade: set_upgrade;
    }

    fields! {
        get cleanup: *mut ngx_http_cleanup_pt = cleanup;
        get read_handler: ngx_http_upstream_handler_pt = read_event_handler;
        get write_handler: ngx_http_upstream_handler_pt = write_event_handler;
        set set_read_handler: ngx_http_upstream_handler_pt = read_event_handler;
        set set_write_handler: ngx_http_upstream_handler_pt = write_event_handler;
    }

    /// Ends what it does for a request that is about to be finalized. Otherwise it would finalize the request too, which would be
    /// freed in the middle of that.
    pub fn end(self, r: HttpRequest<'_>) {
        // SAFETY: the place of the cleanup lies in the pool of the request; null means that there is none.
        if let Some(Some(cleanup)) = unsafe { self.cleanup().as_ref() }.copied() {
            r.add_count();
            // SAFETY: this gives back the use of the request that the upstream has; another one keeps the request alive
            // (src/http/ngx_http_upstream.c, ngx_http_upstream_cleanup).
            unsafe { cleanup(r.as_ptr().cast()) };
        }
    }
}

/// What nginx would call for a connection that changes its protocol, when one of its sockets has something or takes something,
/// while nothing goes through it.
pub struct SetAside {
    r: KeptRequest,
    upstream: NonNull<ngx_http_upstream_t>,
    read: ngx_http_event_handler_pt,
    write: ngx_http_event_handler_pt,
    upstream_read: ngx_http_upstream_handler_pt,
    upstream_write: ngx_http_upstream_handler_pt,
}

impl<'r> Upstream<'r> {
    /// The connection to the server, when there is one.
    pub(super) fn peer(self) -> Option<Connection<'r>> {
        let peer = self.peer_of_balancer().connection();
        // SAFETY: the upstream takes this away when it closes the connection (src/http/ngx_http_upstream.c,
        // ngx_http_upstream_finalize_request).
        (!peer.is_null()).then(|| unsafe { Connection::from_ptr(peer) })
    }

    /// Whether nginx takes the socket of the server for one that can be written to.
    pub fn set_write_ready(self, on: bool) {
        if let Some(peer) = self.peer() {
            peer.set_write_ready(on);
        }
    }

    /// Nothing is known of a server that took too long.
    pub fn forget_time_outs(self) {
        if let Some(peer) = self.peer() {
            peer.forget_time_outs();
        }
    }

    fn set_handlers(self, read: ngx_http_upstream_handler_pt, write: ngx_http_upstream_handler_pt) {
        self.set_read_handler(read);
        self.set_write_handler(write);
    }
}

impl SetAside {
    /// Nothing goes through the connection until [`SetAside::put_back`]. The request ends when the client leaves. `None`: there is
    /// no upstream.
    pub fn new(r: HttpRequest<'_>) -> Option<SetAside> {
        let upstream = r.upstream()?;
        let (upstream_read, upstream_write) = (upstream.read_handler(), upstream.write_handler());
        let aside = SetAside {
            r: r.keep(),
            upstream: upstream.0,
            read: r.read_event_handler(),
            write: r.write_event_handler(),
            upstream_read,
            upstream_write,
        };
        r.watch_client();
        r.set_write_event_handler(Some(nginx_sys::ngx_http_request_empty_handler));
        upstream.set_handlers(Some(idle), Some(idle));
        // A socket that is not ready is not written to, and one that nobody reads stays as it is.
        r.connection().set_write_ready(false);
        upstream.set_write_ready(false);
        Some(aside)
    }

    /// Has nginx move what there is in each direction. An upstream that has ended meanwhile stays as it is.
    pub fn put_back(self, r: HttpRequest<'_>) {
        let upstream = r.upstream().filter(|upstream| upstream.0 == self.upstream && r == self.r.get());
        let Some(upstream) = upstream.filter(|upstream| upstream.is_at_work() && upstream.peer().is_some()) else {
            return;
        };
        r.set_read_event_handler(self.read);
        r.set_write_event_handler(self.write);
        upstream.set_handlers(self.upstream_read, self.upstream_write);
        // What ends the tunnel takes them out of the queue.
        r.connection().post_write();
        r.connection().post_read();
    }
}

/// Something has happened to the connection of an upstream, whose clocks do not count now. It is looked at later.
unsafe extern "C" fn idle(_: *mut ngx_http_request_t, upstream: *mut ngx_http_upstream_t) {
    // SAFETY: nginx calls this with a live upstream.
    if let Some(upstream) = unsafe { Upstream::from_ptr(upstream) } {
        upstream.forget_time_outs();
    }
}
