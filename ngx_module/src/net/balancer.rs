//! Servers of an `upstream { }`, chosen by its balancer: weights, `max_fails`, `backup`, `least_conn`, `hash` and the rest
//! work as they do for `proxy_pass`, on the same state.
//!
//! Balancers are made for requests, and a call has none: they get one that is made up for them, of which they see the path,
//! the headers and the client.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use nginx_sys::{
    NGX_HTTP_MODULE, NGX_PEER_FAILED, ngx_connection_t, ngx_create_pool, ngx_current_msec, ngx_cycle, ngx_destroy_pool,
    ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_max_module, ngx_http_module, ngx_http_request_t,
    ngx_http_upstream_init_peer_pt, ngx_http_upstream_init_round_robin_peer, ngx_http_upstream_main_conf_t,
    ngx_http_upstream_srv_conf_t, ngx_http_upstream_t, ngx_http_variable_value_t, ngx_log_t, ngx_pcalloc,
    ngx_peer_connection_t, ngx_pool_t, ngx_str_t, ngx_table_elt_t, ngx_uint_t,
};
use ngx::http::{HttpModule, HttpModuleConfExt, NgxHttpCoreModule, NgxHttpUpstreamModule};

use super::address::Address;
use super::upstreams::{self, Balancers};
use crate::nginx::request::HttpRequest;
use crate::nginx::{cycle, executor};
use crate::nginx::{headers, pool, rc};

/// The made-up request and what balancers put beside it need about so much.
const POOL: usize = 4096;

thread_local! {
    /// The pool of the last one, when nothing but its own memory has been taken: most calls need no other.
    static SPARE: Cell<*mut ngx_pool_t> = const { Cell::new(ptr::null_mut()) };
}

/// What a call shows to balancers that look at requests.
#[derive(Default)]
pub struct Subject {
    pub method: String,
    /// With its arguments.
    pub path: Vec<u8>,
    /// `host` among them.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Address of the client whose request made the call, and the address as text.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

/// An `upstream { }` of the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Upstream(*mut ngx_http_upstream_srv_conf_t);

impl Upstream {
    /// The block with this name; names are compared without regard to case, as in `proxy_pass`.
    pub fn find(name: &[u8]) -> Option<Upstream> {
        // SAFETY: a cycle that is complete has the configuration of all HTTP modules, if there is any.
        unsafe {
            let ctx = http_conf()?;
            let main: NonNull<ngx_http_upstream_main_conf_t> =
                (*ctx).http_main_conf_unchecked(NgxHttpUpstreamModule::module())?;
            let all = main.as_ref().upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>();
            // Those that nginx makes for `proxy_pass http://host` have no configuration of their own.
            let is_wanted = |us: &*mut ngx_http_upstream_srv_conf_t| {
                !(**us).srv_conf.is_null() && (**us).host.as_bytes().eq_ignore_ascii_case(name)
            };
            all.iter().copied().find(is_wanted).map(Upstream)
        }
    }

    /// Any upstream of the cycle that runs.
    ///
    /// # Safety
    /// `us` is one.
    pub unsafe fn new(us: *mut ngx_http_upstream_srv_conf_t) -> Upstream {
        Upstream(us)
    }

    /// How this upstream chooses a server. The `keepalive` of nginx would hand out connections of its own, in a state that only
    /// nginx' own clients know; what it stands before is taken in its place.
    fn init(self) -> ngx_http_upstream_init_peer_pt {
        Balancers::current()?.of(self.0)
    }

    /// Whether its balancer has servers and what becomes of them in the lists of nginx' round robin.
    pub fn keeps_round_robin(self) -> bool {
        thread_local! {
            /// What was found in this cycle; there are as many as upstreams in the configuration, and no more.
            static KNOWN: RefCell<Known> = const { RefCell::new((0, BTreeMap::new())) };
        }
        type Known = (u64, BTreeMap<usize, bool>);
        if self.is_round_robin() {
            return true;
        }
        let key = self.0 as usize;
        let cycle = cycle::number();
        let known = KNOWN.with_borrow(|(of, known)| if *of == cycle { known.get(&key).copied() } else { None });
        known.unwrap_or_else(|| {
            // A balancer tells by what it does for a request.
            let Ok(peers) = Peers::new(self, &Subject::default()) else { return false };
            // SAFETY: the made-up request has its upstream.
            let found = upstreams::keeps_round_robin(unsafe { &*peers.peer() });
            KNOWN.with_borrow_mut(|(of, known)| {
                if *of != cycle {
                    *of = cycle;
                    known.clear();
                }
                known.insert(key, found);
            });
            found
        })
    }

    /// Whether servers take turns, whatever the request.
    pub fn is_round_robin(self) -> bool {
        let function = self.init().map(|init| init as usize);
        function == Some(ngx_http_upstream_init_round_robin_peer as *const () as usize)
    }
}

/// The configuration of the level `http { }`, while it is complete: in workers.
fn http_conf() -> Option<*mut ngx_http_conf_ctx_t> {
    // SAFETY: nginx always has a cycle.
    unsafe {
        if (*ngx_cycle).conf_ctx.is_null() {
            return None;
        }
        let ctx: *mut ngx_http_conf_ctx_t = (*(*ngx_cycle).conf_ctx.add(ngx_http_module.index)).cast();
        (!ctx.is_null()).then_some(ctx)
    }
}

/// A server that the balancer chose; it hears how that went when this is dropped.
pub struct Peers {
    /// Of the made-up request, which is in it.
    pool: *mut ngx_pool_t,
    r: *mut ngx_http_request_t,
    is_chosen: bool,
}

impl Peers {
    /// Begins with an upstream.
    pub fn new(upstream: Upstream, subject: &Subject) -> Result<Peers, String> {
        const NO_MEMORY: &str = "no memory";
        // SAFETY: the structures are plain data of nginx, zeroed and then filled as nginx does for a request of its own
        // (src/http/ngx_http_request.c, ngx_http_alloc_request; src/http/ngx_http_upstream.c, ngx_http_upstream_create).
        unsafe {
            let log = (*ngx_cycle).log;
            let spare = SPARE.replace(ptr::null_mut());
            let pool = if spare.is_null() { ngx_create_pool(POOL, log) } else { spare };
            if pool.is_null() {
                return Err(NO_MEMORY.into());
            }
            (*pool).log = log;
            let mut peers = Peers { pool, r: ptr::null_mut(), is_chosen: false };
            peers.r = match upstream.is_round_robin() {
                true => peers.bare_request(log).map(|(r, _)| r),
                false => peers.request(subject, log),
            }
            .ok_or(NO_MEMORY)?;
            let peer = peers.peer();
            (*peer).log = log;
            (*peer).start_time = ngx_current_msec;
            let Some(init) = upstream.init() else { return Err("the upstream has no balancer".into()) };
            if init(peers.r, upstream.0) != rc::OK {
                return Err("the balancer of the upstream failed".into());
            }
            Ok(peers)
        }
    }

    /// How many servers may be tried, the first included.
    pub fn tries(&self) -> usize {
        // SAFETY: the made-up request is there as long as its pool.
        unsafe { (*self.peer()).tries }
    }

    /// The next server.
    pub fn next(&mut self) -> Result<Address, String> {
        // SAFETY: the balancer gets the structure that it began with, as from nginx (src/event/ngx_event_connect.c).
        unsafe {
            let peer = self.peer();
            let Some(get) = (*peer).get else { return Err("the upstream has no balancer".into()) };
            let code = get(peer, (*peer).data);
            if code == rc::DONE && !(*peer).connection.is_null() {
                // See `Balancers::install`: a `keepalive` that looks different, or one of somebody else.
                let c = ptr::replace(&raw mut (*peer).connection, ptr::null_mut());
                let pool = (*c).pool;
                nginx_sys::ngx_close_connection(c);
                if !pool.is_null() {
                    ngx_destroy_pool(pool);
                }
            } else if code != rc::OK {
                return Err("no live servers in the upstream".into());
            }
            self.is_chosen = true;
            Ok(Address::of((*peer).sockaddr, (*peer).socklen))
        }
    }

    /// Tells the balancer how it went with the server that was chosen last.
    pub fn report(&mut self, is_failed: bool) {
        if !std::mem::take(&mut self.is_chosen) || executor::is_over() {
            return;
        }
        // SAFETY: as in `next`.
        unsafe {
            let peer = self.peer();
            if let Some(free) = (*peer).free {
                free(peer, (*peer).data, if is_failed { NGX_PEER_FAILED as ngx_uint_t } else { 0 });
            }
        }
    }

    fn peer(&self) -> *mut ngx_peer_connection_t {
        // SAFETY: `new` gave the request its upstream.
        unsafe { &raw mut (*(*self.r).upstream).peer }
    }

    /// A request without anything that comes from a client: round robin looks at none of that.
    unsafe fn bare_request(&self, log: *mut ngx_log_t) -> Option<(*mut ngx_http_request_t, *mut ngx_connection_t)> {
        // SAFETY: see `new`.
        unsafe {
            let r = self.zeroed::<ngx_http_request_t>(1)?;
            let c = self.zeroed::<ngx_connection_t>(1)?;
            (*c).pool = self.pool;
            (*c).log = log;
            (*c).data = r.cast();
            (*c).fd = -1;
            (*r).signature = NGX_HTTP_MODULE as _;
            (*r).connection = c;
            (*r).pool = self.pool;
            (*r).main = r;
            (*r).set_count(1);
            (*r).upstream = self.zeroed::<ngx_http_upstream_t>(1)?;
            Some((r, c))
        }
    }

    unsafe fn request(&self, subject: &Subject, log: *mut ngx_log_t) -> Option<*mut ngx_http_request_t> {
        // SAFETY: see `new`.
        unsafe {
            let (r, c) = self.bare_request(log)?;
            let ctx = http_conf()?;
            let core: NonNull<ngx_http_core_main_conf_t> =
                (*ctx).http_main_conf_unchecked(NgxHttpCoreModule::module())?;
            let (address, text) = match &subject.client {
                Some((address, text)) => (address.clone(), text.as_slice()),
                None => (vec![0; size_of::<libc::sockaddr_in>()], b"unix:".as_slice()),
            };
            (*c).socklen = address.len() as _;
            let place = self.zeroed::<libc::sockaddr_storage>(1)?.cast::<u8>();
            let len = address.len().min(size_of::<libc::sockaddr_storage>());
            ptr::copy_nonoverlapping(address.as_ptr(), place, len);
            (*c).sockaddr = place.cast();
            (*c).addr_text = pool::copy(self.pool, text)?;
            (*r).main_conf = (*ctx).main_conf;
            (*r).srv_conf = (*ctx).srv_conf;
            (*r).loc_conf = (*ctx).loc_conf;
            (*r).ctx = self.zeroed::<*mut c_void>(ngx_http_max_module)?;
            (*r).variables = self.zeroed::<ngx_http_variable_value_t>(core.as_ref().variables.nelts)?;
            (*r).http_version = nginx_sys::NGX_HTTP_VERSION_11 as _;
            self.describe(r, subject)?;
            Some(r)
        }
    }

    /// What variables speak of.
    unsafe fn describe(&self, r: *mut ngx_http_request_t, subject: &Subject) -> Option<()> {
        // SAFETY: see `new`.
        unsafe {
            for list in [&raw mut (*r).headers_in.headers, &raw mut (*r).headers_out.headers] {
                let room = subject.headers.len().max(1);
                (*list).part.elts = self.zeroed::<ngx_table_elt_t>(room)?.cast();
                (*list).last = &raw mut (*list).part;
                (*list).size = size_of::<ngx_table_elt_t>();
                (*list).nalloc = room;
                (*list).pool = self.pool;
            }
            let path = pool::copy(self.pool, &subject.path)?;
            let end = subject.path.iter().position(|byte| *byte == b'?');
            (*r).unparsed_uri = path;
            (*r).uri = ngx_str_t { len: end.unwrap_or(path.len), data: path.data };
            if let Some(end) = end {
                (*r).args = ngx_str_t { len: path.len - end - 1, data: path.data.add(end + 1) };
            }
            // What nginx cannot hold of them, its own requests would not have either.
            for (name, value) in &subject.headers {
                let _ = headers::request::add(HttpRequest::from_ptr(r), name, value);
            }
            (*r).method_name = pool::copy(self.pool, subject.method.as_bytes())?;
        }
        Some(())
    }

    unsafe fn zeroed<T>(&self, count: usize) -> Option<*mut T> {
        const { assert!(align_of::<T>() <= nginx_sys::NGX_ALIGNMENT) };
        // SAFETY: the pool is there.
        let place = unsafe { ngx_pcalloc(self.pool, size_of::<T>() * count.max(1)) }.cast::<T>();
        (!place.is_null()).then_some(place)
    }
}

impl Drop for Peers {
    /// A call that nobody waits for any more says nothing about its server.
    fn drop(&mut self) {
        if !self.r.is_null() {
            self.report(false);
        }
        if executor::is_over() {
            return;
        }
        // SAFETY: the pool is this one's own, and the balancer has been told that it is done.
        unsafe {
            let is_plain = (*self.pool).cleanup.is_null() && (*self.pool).large.is_null();
            if is_plain && (*self.pool).d.next.is_null() && SPARE.get().is_null() {
                // As ngx_reset_pool does (src/core/ngx_palloc.c).
                (*self.pool).d.last = self.pool.cast::<u8>().add(size_of::<ngx_pool_t>());
                (*self.pool).d.failed = 0;
                (*self.pool).current = self.pool;
                (*self.pool).chain = ptr::null_mut();
                SPARE.set(self.pool);
            } else {
                ngx_destroy_pool(self.pool);
            }
        }
    }
}
