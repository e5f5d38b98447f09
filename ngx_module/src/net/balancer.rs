//! Servers of an `upstream { }`, chosen by its balancer: weights, `max_fails`, `backup`, `least_conn`, `hash` and the rest
//! work as they do for `proxy_pass`, on the same state.
//!
//! Balancers are made for requests, and a call has none: they get one that is made up for them (`nginx/made_up.rs`), of which they
//! see the path, the headers and the client.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::address::Address;
use super::upstreams::Balancers;
use crate::nginx::made_up::{MadeUp, NoServer, NotBegun};
use crate::nginx::upstream_block::{self, Init, UpstreamBlock};
use crate::nginx::{cycle, executor};

pub use crate::nginx::made_up::BalancerInput;

/// An `upstream { }` of the configuration that runs, for what goes by that and ends with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Upstream(UpstreamBlock<'static>);

impl Upstream {
    /// The block with this name; names are compared without regard to case, as in `proxy_pass`.
    pub fn find(name: &[u8]) -> Option<Upstream> {
        let is_wanted = |us: &UpstreamBlock<'_>| us.is_of_configuration() && us.name().eq_ignore_ascii_case(name);
        upstream_block::all().find(is_wanted).map(Upstream)
    }

    /// Whether servers take turns, whatever the request.
    pub fn is_round_robin(self) -> bool {
        init(self.0).is_some_and(Init::is_round_robin)
    }
}

/// How an upstream chooses a server. The `keepalive` of nginx would hand out connections of its own, in a state that only nginx's
/// own clients know; what it stands before is taken in its place.
fn init(us: UpstreamBlock<'_>) -> Option<Init> {
    Balancers::current()?.of(us)
}

/// Whether the balancer of an upstream has servers and what becomes of them in the lists of nginx's round robin.
pub fn keeps_round_robin(us: UpstreamBlock<'_>) -> bool {
    thread_local! {
        /// What was found in this cycle; there are as many as upstreams in the configuration, and no more.
        static KNOWN: RefCell<Known> = const { RefCell::new((0, BTreeMap::new())) };
    }
    type Known = (u64, BTreeMap<usize, bool>);
    let Some(init) = init(us) else { return false };
    if init.is_round_robin() {
        return true;
    }
    let key = us.as_ptr() as usize;
    let cycle = cycle::number();
    let known = KNOWN.with_borrow(|(of, known)| if *of == cycle { known.get(&key).copied() } else { None });
    known.unwrap_or_else(|| {
        // A balancer tells by what it does for a request.
        let Ok(made) = MadeUp::new(us, init, &BalancerInput::default()) else { return false };
        let found = made.keeps_round_robin();
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

/// A server that the balancer chose; it hears how that went when this is dropped.
pub struct Peers {
    made: MadeUp,
    is_chosen: bool,
}

impl Peers {
    /// Begins with an upstream.
    pub fn new(upstream: Upstream, subject: &BalancerInput) -> Result<Peers, String> {
        let Some(init) = init(upstream.0) else { return Err("the upstream has no balancer".into()) };
        match MadeUp::new(upstream.0, init, subject) {
            Ok(made) => Ok(Peers { made, is_chosen: false }),
            Err(NotBegun::NoMemory) => Err("no memory".into()),
            Err(NotBegun::Failed) => Err("the balancer of the upstream failed".into()),
        }
    }

    /// How many servers may be tried, the first included.
    pub fn tries(&self) -> usize {
        self.made.tries()
    }

    /// The next server.
    pub fn next(&mut self) -> Result<Address, String> {
        let address = self.made.next().map_err(|NoServer| "no live servers in the upstream")?;
        self.is_chosen = true;
        Ok(address)
    }

    /// Tells the balancer how it went with the server that was chosen last.
    pub fn report(&mut self, is_failed: bool) {
        if std::mem::take(&mut self.is_chosen) && !executor::is_over() {
            self.made.free(is_failed);
        }
    }
}

impl Drop for Peers {
    /// A call that nobody waits for any more says nothing about its server.
    fn drop(&mut self) {
        self.report(false);
    }
}
