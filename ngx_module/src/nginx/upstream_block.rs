//! Upstreams of the configuration, and which of them a request is for.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use nginx_sys::{
    ngx_http_conf_ctx_t, ngx_http_request_t, ngx_http_upstream_conf_t, ngx_http_upstream_init_peer_pt,
    ngx_http_upstream_init_round_robin_peer, ngx_http_upstream_main_conf_t, ngx_http_upstream_srv_conf_t, ngx_int_t,
    ngx_module_t, ngx_uint_t,
};
use ngx::http::{HttpModule, HttpModuleConfExt, NgxHttpUpstreamModule};

use super::bits::{bits, fields};
use super::modules::{self, OtherModule};
use super::request::{HttpRequest, bytes};
use super::upstream::Upstream;
use super::{cycle, rc, symbols};

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

impl UpstreamBlock<'_> {
    /// Whether it is one of the configuration. Those that nginx makes for `proxy_pass http://host` have no configuration of their
    /// own.
    pub fn is_of_configuration(self) -> bool {
        // SAFETY: the upstream is there.
        unsafe { !(*self.as_ptr()).srv_conf.is_null() }
    }

    /// What its balancer keeps.
    pub fn balancer_data(self) -> *mut c_void {
        // SAFETY: the upstream is there.
        unsafe { (*self.as_ptr()).peer.data }
    }

    /// How requests begin to ask it (`peer.init`).
    pub fn init(self) -> Option<Init> {
        // SAFETY: the upstream is there.
        unsafe { (*self.as_ptr()).peer.init }.map(Init)
    }

    /// Has requests begin in another way, and answers with that of its balancer. A `keepalive` stays in front of both. `None`: it
    /// has no balancer, and stays as it is.
    pub fn stand_before(self, ours: Init) -> Option<Init> {
        let place = self.behind_keepalive().or_else(|| self.init_place());
        // SAFETY: the place is in the upstream, or in what a `keepalive` keeps of it, and nobody has a reference to it.
        let place = unsafe { place?.as_mut() };
        place.is_some().then(|| place.replace(ours.0))?.map(Init)
    }

    fn init_place(self) -> Option<InitPlace> {
        // SAFETY: the upstream is there.
        NonNull::new(unsafe { &raw mut (*self.as_ptr()).peer.init })
    }

    /// Where `keepalive` of the upstream keeps what it has put itself before. Its structure is private to nginx: the function that
    /// begins a request stands behind that which begins an upstream, and these are the only ones in it (1.19.10 to 1.28:
    /// src/http/modules/ngx_http_upstream_keepalive_module.c), or is the only one (1.29.7). `None` without `keepalive`, or in an
    /// nginx where it looks different.
    fn behind_keepalive(self) -> Option<InitPlace> {
        const WORDS: usize = 10;
        let module = symbols::find(c"ngx_http_upstream_keepalive_module")?.cast::<ngx_module_t>();
        if !self.is_of_configuration() {
            return None;
        }
        // SAFETY: that is what has this name.
        let place = unsafe { module.as_ref() }.ctx_index;
        // SAFETY: an `upstream { }` has a configuration of each module.
        let conf = unsafe { *(*self.as_ptr()).srv_conf.add(place) }.cast::<*const c_void>();
        if conf.is_null() {
            return None;
        }
        // SAFETY: the module is nginx's, and its configuration has at least so many words. They are copied.
        let words = unsafe { conf.cast::<[*const c_void; WORDS]>().read() };
        // A word that lies in the code of a loaded object is a function; no other of that structure does.
        let is_function = |n: &usize| symbols::object(words[*n]).is_some();
        let first = (0..WORDS).find(is_function)?;
        let second = Some(first + 1).filter(|n| *n < WORDS && is_function(n));
        NonNull::new(conf.wrapping_add(second.unwrap_or(first)).cast())
    }
}

type InitPlace = NonNull<ngx_http_upstream_init_peer_pt>;

/// What nginx calls when a request begins to ask an upstream.
type InitFunction = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_http_upstream_srv_conf_t) -> ngx_int_t;

/// Such a function, as it stands in an upstream, or is to stand there.
#[derive(Clone, Copy)]
pub struct Init(InitFunction);

impl PartialEq for Init {
    fn eq(&self, other: &Init) -> bool {
        ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Init {
    /// # Safety
    /// nginx may call the function as it calls those of balancers.
    pub const unsafe fn new(function: InitFunction) -> Init {
        Init(function)
    }

    /// Has a request begin, which has an upstream that is to ask this one. A code of nginx is the answer.
    pub fn begin(self, r: HttpRequest<'_>, us: UpstreamBlock<'_>) -> ngx_int_t {
        if r.upstream().is_none() {
            return rc::ERROR;
        }
        // SAFETY: the request is live, and has an upstream (src/http/ngx_http_upstream.c, ngx_http_upstream_init_request).
        unsafe { (self.0)(r.as_ptr(), us.as_ptr()) }
    }

    /// Whether servers take turns, whatever the request.
    pub fn is_round_robin(self) -> bool {
        self == Init(ngx_http_upstream_init_round_robin_peer)
    }
}

/// The upstreams of the cycle that runs, while it is complete. Nobody keeps them for longer than the cycle.
pub fn all() -> impl Iterator<Item = UpstreamBlock<'static>> {
    cycle::http().into_iter().flat_map(of_level)
}

/// The upstreams of a configuration.
pub(super) fn of_level<'c>(http: &'c ngx_http_conf_ctx_t) -> impl Iterator<Item = UpstreamBlock<'c>> {
    let main: Option<NonNull<ngx_http_upstream_main_conf_t>> =
        // SAFETY: this is what the upstream module keeps of the main level.
        unsafe { http.http_main_conf_unchecked(NgxHttpUpstreamModule::module()) };
    // SAFETY: the elements of the array are upstreams, and it is as long there as the configuration.
    let all = main.map(|main| unsafe { main.as_ref().upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>() });
    // SAFETY: an upstream is as long there as the configuration.
    all.unwrap_or_default().iter().filter_map(|us| unsafe { UpstreamBlock::from_ptr(*us) })
}

/// Modules that may say an upstream for a location.
pub const PASSING: [OtherModule; 6] = modules::PASSING;

/// The upstream that one of [`PASSING`] passes requests of the location on to, when it says that without variables.
pub fn named(r: HttpRequest<'_>, module: OtherModule) -> Option<UpstreamBlock<'_>> {
    let conf = modules::upstream_conf(r, module)?;
    // SAFETY: a configuration of a location lives as long as the cycle, and its upstream with it.
    unsafe { UpstreamBlock::from_ptr(conf.upstream) }
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
        self.peer_of_balancer().getter().is_some()
    }

    /// Whether this is no upstream that a location before an internal redirect has asked: nginx leaves it in the request.
    pub fn is_of_location(self, r: HttpRequest<'_>) -> bool {
        let conf = self.conf().cast();
        // SAFETY: the array of the location has an element for each HTTP module.
        let all = unsafe { std::slice::from_raw_parts(r.location_confs(), modules::count()) };
        !r.is_internal() || all.contains(&conf)
    }

    bits! {
        /// Whether the headers of its response have gone to the client.
        get is_header_sent: header_sent;
    }

    fields! {
        get status: ngx_uint_t = headers_in.status_n;
        get conf: *mut ngx_http_upstream_conf_t = conf;
    }

    /// Whether the status of its response has come.
    pub fn has_status(self) -> bool {
        self.status() != 0
    }
}
