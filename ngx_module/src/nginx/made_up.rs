//! Requests that nobody has sent. Balancers of nginx are made for requests, and whoever asks one without a request makes one up,
//! of which it sees the path, the headers and the client.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use nginx_sys::{
    NGX_HTTP_MODULE, NGX_PEER_FAILED, ngx_connection_t, ngx_current_msec, ngx_http_request_t, ngx_http_upstream_t,
    ngx_str_t, ngx_uint_t,
};

use super::peer::Peer;
use super::pool::{OwnPool, Pool};
use super::request::HttpRequest;
use super::sockaddr::Address;
use super::upstream_block::{Init, UpstreamBlock};
use super::{cycle, executor, headers, modules, rc};

/// The made-up request and what balancers put beside it need about so much.
const POOL: usize = 4096;

thread_local! {
    /// The pool of the last one, when nothing but its own memory has been taken: most need no other.
    static SPARE: Cell<Option<ManuallyDrop<OwnPool>>> = const { Cell::new(None) };
}

/// What balancers see that look at requests.
#[derive(Default)]
pub struct BalancerInput {
    pub method: String,
    /// With its arguments.
    pub path: Vec<u8>,
    /// `host` among them.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Address of a client, and the address as text.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

/// A request with which the balancer of an upstream has begun.
pub struct MadeUp {
    r: NonNull<ngx_http_request_t>,
    /// The request and all that belongs to it lie there.
    pool: ManuallyDrop<OwnPool>,
}

/// Why there is none.
pub enum NotBegun {
    NoMemory,
    /// The balancer has failed.
    Failed,
}

/// No server is live.
pub struct NoServer;

impl MadeUp {
    /// Begins with the balancer of an upstream, whose function is `init`.
    pub fn new(upstream: UpstreamBlock<'_>, init: Init, subject: &BalancerInput) -> Result<MadeUp, NotBegun> {
        let pool = spare_pool().ok_or(NotBegun::NoMemory)?;
        // Round robin looks at nothing that comes from a client.
        let subject = (!init.is_round_robin()).then_some(subject);
        let r = make(pool.get(), subject).ok_or(NotBegun::NoMemory)?;
        let made = MadeUp { r, pool: ManuallyDrop::new(pool) };
        match init.begin(made.request(), upstream) {
            rc::OK => Ok(made),
            _ => Err(NotBegun::Failed),
        }
    }

    fn request(&self) -> HttpRequest<'_> {
        // SAFETY: the request lies in the pool. Whoever gets this handle looks at what `make` has filled only.
        unsafe { HttpRequest::from_ptr(self.r.as_ptr()) }
    }

    fn peer(&self) -> Peer<'_> {
        // SAFETY: `make` gave the request its upstream, and a balancer leaves it there.
        unsafe { Peer::from_ptr(&raw mut (*(*self.r.as_ptr()).upstream).peer) }
    }

    /// How many servers may be tried, the first included.
    pub fn tries(&self) -> usize {
        self.peer().tries()
    }

    /// Whether the balancer keeps the lists of nginx's round robin.
    pub fn keeps_round_robin(&self) -> bool {
        self.peer().round_robin().is_some()
    }

    /// Has the balancer choose the next server.
    pub fn next(&mut self) -> Result<Address, NoServer> {
        let peer = self.peer();
        let Some(get) = peer.getter() else { return Err(NoServer) };
        // SAFETY: the balancer gets the structure that it began with, as from nginx (src/event/ngx_event_connect.c).
        let code = unsafe { get(peer.as_ptr(), peer.data()) };
        if code == rc::DONE && !peer.connection().is_null() {
            // A `keepalive` that looks different from what `UpstreamBlock` knows, or one of somebody else. Its connections are in a
            // state that only nginx's own clients know.
            peer.close_connection();
        } else if code != rc::OK {
            return Err(NoServer);
        }
        // SAFETY: a balancer that has chosen a server gives its address, with this length.
        Ok(unsafe { Address::of(peer.sockaddr(), peer.socklen()) })
    }

    /// Tells the balancer how it went with the server that was chosen last.
    pub fn free(&mut self, is_failed: bool) {
        let peer = self.peer();
        let state = if is_failed { NGX_PEER_FAILED as ngx_uint_t } else { 0 };
        if let Some(free) = peer.freer() {
            // SAFETY: the balancer gets the structure that it began with, as from nginx (src/http/ngx_http_upstream.c,
            // ngx_http_upstream_next).
            unsafe { free(peer.as_ptr(), peer.data(), state) };
        }
    }
}

impl Drop for MadeUp {
    fn drop(&mut self) {
        if executor::is_over() {
            return;
        }
        // SAFETY: this is the end of the only one that has it, and of what lies in it.
        let mut pool = unsafe { ManuallyDrop::take(&mut self.pool) };
        if pool.empty() {
            drop(SPARE.replace(Some(ManuallyDrop::new(pool))).map(ManuallyDrop::into_inner));
        }
    }
}

fn spare_pool() -> Option<OwnPool> {
    let log = cycle::log();
    let Some(spare) = SPARE.take() else {
        // SAFETY: what a call makes up goes before the cycle that the call goes by.
        return unsafe { OwnPool::new(POOL, log) };
    };
    let mut pool = ManuallyDrop::into_inner(spare);
    // SAFETY: it goes before the cycle, or gets another log before it is used again.
    unsafe { pool.set_log(log) };
    Some(pool)
}

/// A request as nginx makes one (src/http/ngx_http_request.c, ngx_http_alloc_request; src/http/ngx_http_upstream.c,
/// ngx_http_upstream_create); without a subject, one that has nothing of what comes from a client, and no place for variables.
fn make(pool: Pool<'_>, subject: Option<&BalancerInput>) -> Option<NonNull<ngx_http_request_t>> {
    let mut place = NonNull::from(pool.zeroed::<ngx_http_request_t>()?);
    let log = cycle::log().as_ptr();
    let c = pool.zeroed::<ngx_connection_t>()?;
    (c.pool, c.log, c.data, c.fd) = (pool.as_ptr(), log, place.as_ptr().cast(), -1);
    if let Some(subject) = subject {
        let (address, text) = match &subject.client {
            Some((address, text)) => (Address::from_bytes(address), text.as_slice()),
            None => (Address::from_bytes(&[0; size_of::<libc::sockaddr_in>()]), b"unix:".as_slice()),
        };
        (c.sockaddr, c.socklen) = address.in_pool(pool)?;
        c.addr_text = pool.copy(text)?;
    }
    let upstream = pool.zeroed::<ngx_http_upstream_t>()?;
    upstream.peer.log = log;
    // SAFETY: nginx keeps the time there.
    upstream.peer.start_time = unsafe { ngx_current_msec };
    // SAFETY: the place is new, and nobody else has it.
    let r = unsafe { place.as_mut() };
    (r.signature, r.connection, r.pool) = (NGX_HTTP_MODULE as _, c, pool.as_ptr());
    (r.main, r.upstream) = (place.as_ptr(), upstream);
    r.set_count(1);
    if let Some(subject) = subject {
        let ctx = cycle::http()?;
        (r.main_conf, r.srv_conf, r.loc_conf) = (ctx.main_conf, ctx.srv_conf, ctx.loc_conf);
        r.ctx = pool.all_zeroed(modules::count())?.as_mut_ptr();
        r.variables = pool.all_zeroed(cycle::http_core()?.variables.nelts)?.as_mut_ptr();
        r.http_version = nginx_sys::NGX_HTTP_VERSION_11 as _;
        let path = pool.copy(&subject.path)?;
        let end = subject.path.iter().position(|byte| *byte == b'?');
        (r.unparsed_uri, r.uri) = (path, ngx_str_t { len: end.unwrap_or(path.len), data: path.data });
        if let Some(end) = end {
            r.args = ngx_str_t { len: path.len - end - 1, data: path.data.wrapping_add(end + 1) };
        }
        r.method_name = pool.copy(subject.method.as_bytes())?;
        // SAFETY: the request has all that functions of headers look at.
        add_headers(unsafe { HttpRequest::from_ptr(place.as_ptr()) }, subject)?;
    }
    Some(place)
}

fn add_headers(r: HttpRequest<'_>, subject: &BalancerInput) -> Option<()> {
    headers::list::of_request(r).begin(subject.headers.len()).ok()?;
    headers::list::of_response(r).begin(subject.headers.len()).ok()?;
    // What nginx cannot hold of them, its own requests would not have either.
    for (name, value) in &subject.headers {
        let _ = headers::request::add(r, name, value);
    }
    Some(())
}
