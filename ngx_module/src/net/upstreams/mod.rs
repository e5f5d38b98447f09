//! The upstreams of the configuration, for filters that look at their servers or choose one (`http/host/`), and for calls
//! (`balancer.rs`).
//!
//! Each `upstream { }` says how a request begins to ask it (`peer.init`). A function of `choice.rs` stands in
//! the place of that of the balancer, with the balancer's behind it. A `keepalive` stays in front of both: it asks for a server first, and
//! then looks for a connection to that one.

pub mod choice;
pub mod list;
pub mod round_robin;
pub mod servers;

use std::ffi::c_void;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use nginx_sys::{
    ngx_conf_t, ngx_http_upstream_free_round_robin_peer, ngx_http_upstream_init_peer_pt, ngx_http_upstream_main_conf_t,
    ngx_http_upstream_srv_conf_t, ngx_module_t, ngx_peer_connection_t,
};
use ngx::http::{HttpModule, HttpModuleConfExt, NgxHttpUpstreamModule};

pub use servers::all as hosts;

/// How requests begin with each upstream of a configuration, without this module: an upstream and the balancer's function.
#[derive(Default)]
pub struct Balancers {
    known: Vec<(*mut ngx_http_upstream_srv_conf_t, ngx_http_upstream_init_peer_pt)>,
    /// What stands before them.
    ours: ngx_http_upstream_init_peer_pt,
}

/// Those of the configuration that this process went over to last.
static CURRENT: AtomicPtr<Balancers> = AtomicPtr::new(ptr::null_mut());

impl Drop for Balancers {
    fn drop(&mut self) {
        let own = ptr::from_mut(self);
        let _ = CURRENT.compare_exchange(own, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Balancers {
    /// Puts `ours` before the balancer of each upstream.
    ///
    /// # Safety
    /// `cf` is what nginx passed to `postconfiguration`, and this is part of its configuration. `ours` is a `peer.init` that
    /// calls that of [`Balancers::of`].
    pub unsafe fn install(&mut self, cf: *mut ngx_conf_t, ours: ngx_http_upstream_init_peer_pt) {
        self.ours = ours;
        // SAFETY: nginx calls `postconfiguration` after `init_main_conf` of all modules (src/http/ngx_http.c), where the
        // upstream module has had every upstream choose its balancer, and before any request. Each cycle has upstreams and
        // a `keepalive` of its own, so that this is done once for each.
        unsafe {
            let main: Option<NonNull<ngx_http_upstream_main_conf_t>> =
                (*cf).http_main_conf_unchecked(NgxHttpUpstreamModule::module());
            let Some(main) = main else { return };
            for us in main.as_ref().upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>() {
                let place = &mut *behind_keepalive(*us).unwrap_or(&raw mut (**us).peer.init);
                if place.is_some() {
                    self.known.push((*us, std::mem::replace(place, ours)));
                }
            }
        }
        self.known.sort_unstable_by_key(|(us, _)| *us);
    }

    /// The balancer's own function, with neither this module nor a `keepalive` before it. That of an upstream which another
    /// module has made since is what it says.
    pub fn of(&self, us: *mut ngx_http_upstream_srv_conf_t) -> ngx_http_upstream_init_peer_pt {
        match self.known.binary_search_by_key(&us, |(us, _)| *us) {
            Ok(n) => self.known[n].1,
            // SAFETY: it is an upstream.
            Err(_) => {
                unsafe { (*us).peer.init }.filter(|init| self.ours.is_none_or(|ours| *init as usize != ours as usize))
            }
        }
    }

    /// Nginx goes over to this configuration.
    pub fn enter(&mut self) {
        CURRENT.store(self, Ordering::Relaxed);
    }

    /// Those of the configuration that this process has.
    pub fn current<'a>() -> Option<&'a Balancers> {
        // SAFETY: cleared before what it points to goes; nothing keeps the reference for longer than it asks.
        unsafe { CURRENT.load(Ordering::Relaxed).as_ref() }
    }
}

/// Whether a balancer keeps the lists of round robin, and what this function reads for each request: it gets that as data.
/// The balancers of nginx do; they only choose otherwise.
pub fn keeps_round_robin(peer: &ngx_peer_connection_t) -> bool {
    let free = peer.free.map(|free| free as usize);
    free == Some(ngx_http_upstream_free_round_robin_peer as *const () as usize)
}

/// Where `keepalive` of an upstream keeps what it has put itself before. Its structure is private to nginx: the function that
/// begins a request stands behind that which begins an upstream, and these are the only ones in it (1.19.10 to 1.28:
/// src/http/modules/ngx_http_upstream_keepalive_module.c), or is the only one (1.29.7). `None` without `keepalive`, or in an
/// nginx where it looks different.
unsafe fn behind_keepalive(us: *mut ngx_http_upstream_srv_conf_t) -> Option<*mut ngx_http_upstream_init_peer_pt> {
    const WORDS: usize = 10;
    // SAFETY: the module is nginx's, and so has a configuration of at least so many words in each `upstream { }`; those that
    // nginx makes for `proxy_pass http://host` have none. A word that lies in the code of a loaded object is a function; no
    // other of that structure does.
    unsafe {
        let module =
            libc::dlsym(libc::RTLD_DEFAULT, c"ngx_http_upstream_keepalive_module".as_ptr()).cast::<ngx_module_t>();
        if module.is_null() || (*us).srv_conf.is_null() {
            return None;
        }
        let conf = (*(*us).srv_conf.add((*module).ctx_index)).cast::<usize>();
        if conf.is_null() {
            return None;
        }
        let is_function = |n: &usize| {
            let word = *conf.add(*n) as *const c_void;
            let mut info = mem::zeroed::<libc::Dl_info>();
            !word.is_null() && libc::dladdr(word, &mut info) != 0
        };
        let first = (0..WORDS).find(is_function)?;
        let second = Some(first + 1).filter(|n| *n < WORDS && is_function(n));
        Some(conf.add(second.unwrap_or(first)).cast())
    }
}
