//! The upstreams of the configuration, for filters that look at their servers or choose one (`http/host/`), and for calls
//! (`balancer.rs`).
//!
//! Each `upstream { }` says how a request begins to ask it (`peer.init`). A function of `choice.rs` stands in
//! the place of that of the balancer, with the balancer's behind it. A `keepalive` stays in front of both: it asks for a server first, and
//! then looks for a connection to that one.

#[allow(unsafe_code)]
pub mod choice;
#[allow(unsafe_code)]
pub mod list;
#[allow(unsafe_code)]
pub mod round_robin;
pub mod servers;

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::nginx::conf::Conf;
use crate::nginx::upstream_block::{Init, UpstreamBlock};

pub use servers::all as hosts;

/// How requests begin with each upstream of a configuration, without this module.
#[derive(Default)]
pub struct Balancers {
    /// By the address of the upstream.
    known: Vec<(usize, Init)>,
    /// What stands before them.
    ours: Option<Init>,
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
    /// Puts `ours` before the balancer of each upstream: something that calls that of [`Balancers::of`]. This is a part of the
    /// configuration, and nginx calls `postconfiguration`: after `init_main_conf` of all modules (src/http/ngx_http.c), where the
    /// upstream module has had every upstream choose its balancer, and before any request. Each cycle has upstreams and a
    /// `keepalive` of its own, so that this is done once for each.
    pub fn install(&mut self, conf: &Conf, ours: Init) {
        self.ours = Some(ours);
        self.known.extend(conf.upstreams().filter_map(|us| Some((key(us), us.stand_before(ours)?))));
        self.known.sort_unstable_by_key(|(us, _)| *us);
    }

    /// The balancer's own function, with neither this module nor a `keepalive` before it. That of an upstream which another
    /// module has made since is what it says.
    pub fn of(&self, us: UpstreamBlock<'_>) -> Option<Init> {
        match self.known.binary_search_by_key(&key(us), |(us, _)| *us) {
            Ok(n) => Some(self.known[n].1),
            Err(_) => us.init().filter(|init| self.ours != Some(*init)),
        }
    }

    /// Nginx goes over to this configuration.
    pub fn enter(&mut self) {
        CURRENT.store(self, Ordering::Relaxed);
    }

    /// Those of the configuration that this process has.
    #[allow(unsafe_code)]
    pub fn current<'a>() -> Option<&'a Balancers> {
        // SAFETY: cleared before what it points to goes; nothing keeps the reference for longer than it asks.
        unsafe { CURRENT.load(Ordering::Relaxed).as_ref() }
    }
}

fn key(us: UpstreamBlock<'_>) -> usize {
    us.as_ptr() as usize
}
