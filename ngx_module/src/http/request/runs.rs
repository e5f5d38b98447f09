//! The filters of a request: which chain's they are, their stages in both directions, and those that the request does without.

use std::cell::RefCell;

use ngx_wasm::flow::Stage;
use ngx_wasm::proxy_wasm::ContextId;

use super::{Progress, Request, Response, Sight};
use crate::filters::instances::Instances;
use crate::http::flow::Direction;

/// A filter in a request.
#[derive(Clone, Copy)]
pub struct Run {
    /// Place in [`MainConf::filters`].
    pub filter: usize,
    /// The instances of that filter, of which one has the context.
    pub instances: &'static RefCell<Instances>,
    /// The stream context in the filter's VM.
    pub context: ContextId,
    /// Which VM that was.
    pub generation: u64,
    /// The filter has the ABI of Higress.
    pub of_higress: bool,
    /// Its callbacks about the request are traced.
    pub is_traced: bool,
}

/// Which callbacks a filter has.
pub struct Wants {
    pub request_headers: bool,
    pub response_headers: bool,
    pub request_body: bool,
    pub request_trailers: bool,
    pub response_body: bool,
    pub response_trailers: bool,
}

impl Wants {
    /// The stage of filter number `run` on the way in.
    fn of_request(&self, run: usize) -> Stage {
        let stage = Stage::new(run, self.request_body, self.request_trailers);
        if self.request_headers { stage } else { stage.ignoring_headers() }
    }

    /// Its stage on the way out.
    fn of_response(&self, run: usize) -> Stage {
        let stage = Stage::new(run, self.response_body, self.response_trailers);
        if self.response_headers { stage } else { stage.ignoring_headers() }
    }
}

impl Request {
    /// Number `n` of the filters that run.
    pub fn run(&self, n: usize) -> Option<Run> {
        self.runs.borrow().get(n).copied()
    }

    /// The place of a filter among those that run.
    pub fn run_of(&self, filter: usize) -> Option<usize> {
        self.runs.borrow().iter().position(|run| run.filter == filter)
    }

    /// Leaves the chain of the location before, if any, for another.
    pub fn enter_chain(&self, chain: Option<usize>) {
        self.left.borrow_mut().extend(self.runs.take());
        self.chain.set(chain);
        self.inbound.restart();
        self.outbound.restart();
        self.progress.set(Progress::New);
        self.reroute.set(false);
        self.reread.take();
        self.sight.set(Sight::Held);
        self.response.set(Response::None);
        self.no_response_body.set(false);
        self.decoding.take();
        if self.intercepted.borrow_mut().leave() {
            // It was that of the filters before.
            self.answered.set(false);
        }
    }

    /// Adds the chain of another location to the one that has begun.
    pub fn add_chain(&self, chain: usize) {
        self.chain.set(Some(chain));
        self.progress.set(Progress::New);
    }

    /// A filter has answered: those behind it, which have not seen the request, do not see the answer either. So it is in
    /// Envoy.
    pub fn skip_unseen(&self) {
        self.outbound.skip_behind(self.inbound.headers_seen());
    }

    /// Does without a filter from now on. What its stages hold goes on.
    pub fn skip(&self, run: usize) {
        self.inbound.skip(run);
        self.outbound.skip(run);
    }

    /// Whether the request does without a filter.
    pub fn is_skipped(&self, filter: usize) -> bool {
        self.run_of(filter).is_some_and(|run| self.outbound.is_skipped(run))
    }

    /// Counts that a direction waits for a filter, by its place in the configuration, and for no other one.
    pub fn count_wait(&self, direction: Direction, filter: Option<usize>) {
        let counted = &self.flow(direction).waits_for;
        let before = counted.get();
        if before == filter {
            return;
        }
        counted.set(filter);
        for (filter, is_more) in [(before, false), (filter, true)] {
            if let Some(filter) = filter {
                self.main.status.filter(filter).paused(is_more);
            }
        }
    }

    /// Adds the stages of both directions of a filter that has these callbacks.
    pub fn add_stages(&self, wants: &Wants, declared_order: bool) {
        let run = self.inbound.len();
        self.inbound.add_behind([wants.of_request(run)]);
        // On the way out, the filter that comes last on the way in is the first, as a rule.
        if declared_order {
            self.outbound.add_behind([wants.of_response(run)]);
        } else {
            self.outbound.add_before([wants.of_response(run)]);
        }
    }
}

/// Tells the VM of a filter that a stream is no more, without running the guest.
pub(super) fn forget(run: &Run) {
    if let Ok(mut instances) = run.instances.try_borrow_mut()
        && let Some(instance) = instances.get(run.generation)
    {
        instance.vm.forget(run.context);
        instances.leave(run.generation, false);
    }
}
