//! What the module keeps of a request: the contexts of its filters, and what they asked for that happens after a
//! callback. It lives in the request's pool.

use nginx_sys::{
    ngx_chain_t, ngx_event_handler_pt, ngx_event_t, ngx_http_event_handler_pt, ngx_http_post_subrequest_t,
    ngx_http_request_t,
};
use ngx_wasm::proxy_wasm::{ContextId, FilterState, LocalResponse};
use smallvec::SmallVec;

use crate::config::conf::MainConf;
use crate::config::loc_conf::LocConf;
use crate::filters::cycle;
use crate::http::flow::drive::Stop;
use crate::http::flow::{Direction, Flow, Hold, Stage};
use crate::http::phases;
use crate::http::phases::Tunnel;
use crate::http::report::Report;
use crate::http::seat::Seats;
use crate::nginx::headers;
use crate::nginx::module::ngx_http_wasm_module;
use crate::nginx::pool;

/// Where a request is on its way to the handler of the location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Request headers have not gone through the chain.
    New,
    /// A filter holds the headers.
    Waiting,
    /// The body is being read, or a filter holds it.
    Reading,
    /// The filters are done with it, or see the body while the handler reads it.
    Passed,
}

/// A body that nginx has read before filters look at it.
#[derive(Default)]
pub struct Reread {
    /// What the filters make of it, when it is small enough to be kept.
    pub kept: Option<Vec<u8>>,
}

/// A part of a response that waits to go through the filters.
pub struct Waiting {
    /// Who brought it.
    pub from: *mut ngx_http_request_t,
    pub chain: *mut ngx_chain_t,
    /// It was its turn when it came: it only waits for what came before it.
    pub is_next: bool,
}

/// A filter in a request.
#[derive(Clone, Copy)]
pub struct Run {
    /// Place in [`MainConf::filters`].
    pub filter: usize,
    /// The stream context in the filter's VM.
    pub context: ContextId,
    /// Which VM that was.
    pub generation: u64,
}

/// A request with filters.
pub struct Request {
    pub r: *mut ngx_http_request_t,
    pub main: &'static MainConf,
    /// The chain whose filters run, by its number in [`MainConf::chains`].
    pub chain: usize,
    /// The filters of that chain, in order.
    pub runs: SmallVec<[Run; 2]>,
    /// Filters that somebody else runs.
    pub seats: Option<Box<dyn Seats>>,
    /// Filters of chains that an internal redirect has left; their contexts end with the request.
    pub left: Vec<Run>,
    /// What comes from the client.
    pub inbound: Flow,
    /// What goes to it.
    pub outbound: Flow,
    pub progress: Progress,
    /// What filters keep for each other.
    pub filter_state: FilterState,
    /// A filter changed what locations are chosen by, or asked for another choice: nginx matches the location again.
    pub reroute: bool,
    /// A filter said that the location stays, whatever becomes of the path.
    pub keeps_route: bool,
    /// The path that a filter wrote is none of the location's; nginx was told so.
    pub has_left_location: bool,
    /// nginx is matching the location again.
    pub is_rerouted: bool,
    /// Filters see a body that nginx has read before.
    pub reread: Option<Reread>,
    /// Somebody else reads the body (the handler of the location, or a module of an earlier phase), and filters see it then.
    pub streams_body: bool,
    /// The body is to be read for the filters when all phases that may refuse the request have let it pass.
    pub body_due: bool,
    /// The phase handler is waiting for nginx to say how far the body has come.
    pub is_entered: bool,
    /// nginx has redirected the request since the rewrite phase looked at this.
    pub is_redirected: bool,
    /// Why the request does not go on, until that has been acted on.
    pub stopped: Option<Stop>,
    /// What nginx would call for the next bytes of the body, while the request waits for a filter.
    pub parked: ngx_http_event_handler_pt,
    /// Parts of a request body that is streamed, which cannot go through the filters now.
    pub request_input: *mut ngx_chain_t,
    /// Parts of the response that cannot go through the filters now, in order.
    pub input: Vec<Waiting>,
    /// The request that has brought what goes through the filters of the response: this one, or a subrequest whose output is
    /// a part of the response.
    pub carrier: *mut ngx_http_request_t,
    /// Subrequests with data of their own. Only the main request has any.
    pub subrequests: Vec<*mut Request>,
    /// Subrequests that filters of nginx behind this module's have made: what they send is put in behind it, too. Only the
    /// main request has any.
    pub behind: Vec<*mut ngx_http_request_t>,
    /// How many of a request and its subrequests hold the connection back. Only the main request counts.
    pub delays: usize,
    /// The response has been cut off: nothing of it goes out any more.
    pub is_dead: bool,
    /// The connection changes its protocol, and waits for a filter to let the client know.
    pub tunnel: Option<Tunnel>,
    /// Nginx has the headers of the response.
    pub response_gone: bool,
    /// The response has no body.
    pub no_response_body: bool,
    /// Nginx was told not to write to the client while a filter holds the response.
    pub is_delayed: bool,
    /// Whom nginx would tell that the subrequest has its response, while a filter holds that.
    pub told_later: *mut ngx_http_post_subrequest_t,
    /// The answer that a filter gave. Most requests have none, and all carry the room for it.
    pub local_response: Option<Box<LocalResponse>>,
    /// It has been sent; another one is ignored.
    pub answered: bool,
    /// The client asked with HEAD, whatever filters made of the method.
    pub is_head: bool,
    /// A filter did something that must not go on the wire; the request fails.
    pub refused: bool,
    /// Bytes of headers that filters have written, all of which nginx keeps until the request ends.
    pub headers_written: usize,
    /// A filter closed the stream.
    pub closed: bool,
    /// There is a response, whose headers filters can look at.
    pub response_started: bool,
    /// The filters of the location have begun to look at it.
    pub response_shown: bool,
    /// What the handler of the location sends as body is not wanted any more.
    pub discard_body: bool,
    /// What goes out in its place, when the body filter is to send it.
    pub other_body: *mut ngx_chain_t,
    /// Lua's header filter has put another response in the place of the one whose body its body filter sees.
    pub is_replaced: bool,
    /// A filter failed on the way in. The error page, whose response comes next, goes out without it.
    pub failed: bool,
    /// It has been counted that the request fails because of a filter.
    pub is_lost: bool,
    /// on_log runs; the response cannot be changed any more.
    pub logging: bool,
    /// For logs.
    pub report: Report,
    /// The body of the response is decoded for the filters.
    pub decoding: Option<Box<phases::Decoding>>,
    /// What nginx would call when the client takes more, while `phases/writable.rs` is called in its place.
    pub writer: ngx_http_event_handler_pt,
    /// nginx's page of an error is to take the place of a filter's answer.
    pub intercepted: phases::Intercepted,
    /// The server that a filter chose, until nginx asks an upstream.
    pub upstream_host: Option<Box<[u8]>>,
}

impl Request {
    /// The module's data of a request; null when it has none.
    ///
    /// # Safety
    /// `r` is a live request.
    pub unsafe fn of(r: *mut ngx_http_request_t) -> *mut Request {
        // SAFETY: nginx keeps an array for all HTTP modules. An internal redirect clears it (src/http/ngx_http_core_module.c,
        // ngx_http_internal_redirect), but not the pool, where the data is. Subrequests share that of the main request.
        unsafe {
            let place = (*r).ctx.add(ngx_http_wasm_module.ctx_index);
            if (*place).is_null() && ((*r).internal() != 0 || (*r).filter_finalize() != 0) {
                let found = if r == (*r).main {
                    pool::find::<Request>((*r).pool, |request| request.r == r)
                } else {
                    let subrequests = Request::of((*r).main).as_ref().map(|main| &main.subrequests);
                    subrequests.and_then(|all| all.iter().copied().find(|request| (**request).r == r))
                };
                if let Some(request) = found {
                    (*request).is_redirected = true;
                    *place = request.cast();
                }
            }
            (*place).cast()
        }
    }

    /// Makes the data of a request that has none.
    ///
    /// That of a subrequest is known to the main request, which has data then, too. Null: the pool has no memory.
    ///
    /// # Safety
    /// `r` is a live request, whose location has the configuration `loc`.
    pub unsafe fn create(r: *mut ngx_http_request_t, loc: &LocConf) -> *mut Request {
        let request = Request {
            r,
            main: loc.main(),
            chain: crate::config::loc_conf::NO_CHAIN,
            runs: SmallVec::new(),
            left: Vec::new(),
            seats: None,
            inbound: Flow::default(),
            outbound: Flow::default(),
            progress: Progress::New,
            filter_state: FilterState::default(),
            reroute: false,
            keeps_route: false,
            has_left_location: false,
            is_rerouted: false,
            reread: None,
            streams_body: false,
            body_due: false,
            is_entered: false,
            is_redirected: false,
            stopped: None,
            parked: None,
            request_input: std::ptr::null_mut(),
            input: Vec::new(),
            carrier: r,
            subrequests: Vec::new(),
            behind: Vec::new(),
            delays: 0,
            is_dead: false,
            tunnel: None,
            response_gone: false,
            no_response_body: false,
            is_delayed: false,
            told_later: std::ptr::null_mut(),
            local_response: None,
            answered: false,
            // SAFETY: the request is live.
            is_head: unsafe { (*r).method } == nginx_sys::NGX_HTTP_HEAD as usize,
            refused: false,
            headers_written: 0,
            closed: false,
            response_started: false,
            response_shown: false,
            discard_body: false,
            other_body: std::ptr::null_mut(),
            is_replaced: false,
            failed: false,
            is_lost: false,
            logging: false,
            report: Report::default(),
            decoding: None,
            writer: None,
            intercepted: phases::Intercepted::default(),
            upstream_host: None,
        };
        // SAFETY: the pool is the request's, and the array of contexts has room for this module. A main request is live as
        // long as its subrequests.
        unsafe {
            let main = (*r).main;
            let mut of_main = std::ptr::null_mut();
            if r != main {
                of_main = Request::of(main);
                if of_main.is_null() {
                    of_main = Request::create(main, LocConf::of(main));
                }
                if of_main.is_null() {
                    return of_main;
                }
            }
            let Some(request) = pool::own((*r).pool, request) else { return std::ptr::null_mut() };
            if r != main {
                (*of_main).subrequests.push(request);
            }
            *(*r).ctx.add(ngx_http_wasm_module.ctx_index) = request.cast();
            request
        }
    }

    /// Nothing of the response goes out any more, and nothing follows it on the connection. nginx ends that when a filter of its
    /// chains fails, but not where there is a `post_action`: it runs that, and then takes the next request
    /// (src/http/ngx_http_request.c, ngx_http_finalize_request).
    ///
    /// # Safety
    /// The request is live.
    pub unsafe fn end_with_connection(&mut self) {
        self.is_dead = true;
        if !self.is_subrequest() {
            // SAFETY: see above.
            unsafe { (*self.r).set_keepalive(0) };
        }
    }

    /// Whether this is about a subrequest.
    pub fn is_subrequest(&self) -> bool {
        // SAFETY: the data lives in the pool of its request.
        unsafe { self.r != (*self.r).main }
    }

    /// Whether the body of a response is counted when a filter gives it a length now: filters of the configuration are
    /// looking at its headers.
    ///
    /// # Safety
    /// `r` is a live request.
    pub unsafe fn counts_body(r: *mut ngx_http_request_t) -> bool {
        // SAFETY: see above.
        unsafe { Request::of(r).as_ref() }.is_some_and(|request| {
            request.response_shown && !request.response_gone && !request.outbound.stages.is_empty()
        })
    }

    /// Whether any filter runs.
    pub fn has_filters(&self) -> bool {
        !self.runs.is_empty()
    }

    /// One direction.
    pub fn flow(&mut self, direction: Direction) -> *mut Flow {
        match direction {
            Direction::Request => &raw mut self.inbound,
            Direction::Response => &raw mut self.outbound,
        }
    }

    /// What a filter decided for the whole request, and nobody has acted on yet.
    pub fn decided(&mut self) -> Option<Stop> {
        if std::mem::take(&mut self.closed) {
            return Some(Stop::Closed);
        }
        if std::mem::take(&mut self.refused) {
            return Some(Stop::Failed);
        }
        self.local_response.is_some().then_some(Stop::Answered)
    }

    /// Whether there is anything that [`Request::decided`] would give.
    pub fn is_decided(&self) -> bool {
        self.closed || self.refused || self.local_response.is_some()
    }

    /// Wakes up those who run filters of their own in the request, and wait for what has been decided.
    ///
    /// # Safety
    /// `request` belongs to a live request.
    pub unsafe fn wake_seats(request: *mut Request) {
        // SAFETY: see above.
        unsafe {
            let is_decided = (*request).is_decided();
            if let Some(seats) = &mut (*request).seats {
                seats.wake(is_decided);
            }
        }
    }

    /// What changes of headers have to know of a request and its filters.
    pub const FOR_HEADERS: headers::Filters = headers::Filters {
        // SAFETY: a live request is passed.
        left_location: |r| unsafe {
            Request::of(r).as_mut().map_or(std::ptr::null_mut(), |request| &raw mut request.has_left_location)
        },
        // SAFETY: as above.
        path_changed: |r| unsafe {
            if let Some(request) = Request::of(r).as_mut() {
                request.ask_for_route();
            }
        },
        counts_body: Request::counts_body,
    };

    /// Has nginx match the location again, as long as it can: until the filters are done with the request.
    pub fn ask_for_route(&mut self) {
        self.reroute |= self.progress != Progress::Passed;
    }

    /// Number `n` of the filters that run.
    pub fn run(&self, n: usize) -> Option<Run> {
        self.runs.get(n).copied()
    }

    /// The place of a filter among those that run.
    pub fn run_of(&self, filter: usize) -> Option<usize> {
        self.runs.iter().position(|run| run.filter == filter)
    }

    /// The name of a filter, for the log.
    pub fn filter_name(&self, filter: usize) -> &'static [u8] {
        self.main.filters.get(filter).map_or(b"?", |filter| &filter.name)
    }

    /// Leaves the chain of the location before, if any, for another.
    pub fn enter_chain(&mut self, chain: usize) {
        if !self.runs.is_empty() {
            self.left.extend(self.runs.drain(..));
        }
        self.chain = chain;
        self.inbound.restart();
        self.outbound.restart();
        self.progress = Progress::New;
        self.reroute = false;
        self.reread = None;
        self.streams_body = false;
        self.body_due = false;
        self.response_started = false;
        self.response_shown = false;
        self.response_gone = false;
        self.no_response_body = false;
        self.decoding = None;
        if self.intercepted.leave() {
            // It was that of the filters before.
            self.answered = false;
        }
    }

    /// Adds the chain of another location to the one that has begun.
    pub fn add_chain(&mut self, chain: usize) {
        self.chain = chain;
        self.progress = Progress::New;
    }

    /// A filter has answered: those behind it, which have not seen the request, do not see the answer either. So it is in
    /// Envoy.
    pub fn skip_unseen(&mut self) {
        let last_seen = self.inbound.headers;
        for stage in self.outbound.stages.iter_mut().filter(|stage| stage.run > last_seen) {
            stage.is_skipped = true;
            stage.wants_body = false;
            stage.wants_trailers = false;
        }
    }

    /// Does without a filter from now on. What its stages hold goes on.
    pub fn skip(&mut self, run: usize) {
        for flow in [&mut self.inbound, &mut self.outbound] {
            for stage in flow.stages.iter_mut().filter(|stage| stage.run == run) {
                stage.is_skipped = true;
                stage.wants_body = false;
                stage.wants_trailers = false;
                stage.resumed |= stage.hold != Hold::Open;
            }
        }
    }

    /// Whether the request does without a filter.
    pub fn is_skipped(&self, filter: usize) -> bool {
        let Some(run) = self.run_of(filter) else { return false };
        self.outbound.stages.iter().any(|stage| stage.run == run && stage.is_skipped)
    }

    /// Adds the stages of both directions, of filters that have these callbacks.
    pub fn make_stages(&mut self, wants: &[Wants], declared_order: bool) {
        let before = self.inbound.stages.len();
        let count = wants.len();
        let stage = |run: usize, wants_body: bool, wants_trailers: bool| Stage {
            run: before + run,
            of_higress: wants[run].of_higress,
            wants_body,
            wants_trailers,
            ..Stage::default()
        };
        self.inbound
            .stages
            .extend((0..count).map(|run| stage(run, wants[run].request_body, wants[run].request_trailers)));
        // Those of a chain that is added come last on the way in, and first on the way out.
        let mut stages: SmallVec<[Stage; 2]> = (0..count)
            .map(|n| {
                let run = if declared_order { n } else { count - 1 - n };
                stage(run, wants[run].response_body, wants[run].response_trailers)
            })
            .collect();
        let known = &mut self.outbound.stages;
        if declared_order {
            known.append(&mut stages);
        } else {
            stages.append(known);
            *known = stages;
        }
    }
}

impl Drop for Request {
    /// The log phase has ended all contexts. When a request goes without one, they end here.
    fn drop(&mut self) {
        // SAFETY: the pool is being destroyed, and `self` is still whole; no map is touched, because `end` looks at nothing
        // but the VMs.
        unsafe {
            for event in [self.inbound.event, self.outbound.event] {
                disarm(event);
            }
            for run in self.left.iter().chain(&self.runs) {
                forget(self.main, run);
            }
        }
    }
}

/// Takes an event out of nginx's hands.
///
/// # Safety
/// `event` is null, or one that [`event`] made for a request whose pool is there.
pub unsafe fn disarm(event: *mut ngx_event_t) {
    // SAFETY: see above.
    unsafe {
        if event.is_null() {
            return;
        }
        if (*event).timer_set() != 0 {
            nginx_sys::ngx_del_timer(event);
        }
        if (*event).posted() != 0 {
            nginx_sys::ngx_delete_posted_event(event);
        }
    }
}

/// The event of one direction, made if it is not there. `None`: the pool has no memory.
///
/// # Safety
/// `request` belongs to a live request. The event lives in its pool; `Request::drop` disarms it before that goes.
pub unsafe fn event(
    request: *mut Request,
    direction: Direction,
    handler: ngx_event_handler_pt,
) -> Option<*mut ngx_event_t> {
    // SAFETY: see above; an event of zeros is one that nobody has armed.
    unsafe {
        let flow = (*request).flow(direction);
        if (*flow).event.is_null() {
            let r = (*request).r;
            let event = nginx_sys::ngx_pcalloc((*r).pool, size_of::<ngx_event_t>()).cast::<ngx_event_t>();
            if event.is_null() {
                return None;
            }
            (*event).handler = handler;
            (*event).data = request.cast();
            (*event).log = (*(*r).connection).log;
            (*flow).event = event;
        }
        Some((*flow).event)
    }
}

/// Which callbacks a filter has.
pub struct Wants {
    pub request_body: bool,
    pub request_trailers: bool,
    pub response_body: bool,
    pub response_trailers: bool,
    pub of_higress: bool,
}

/// Tells the VM of a filter that a stream is no more, without running the guest.
fn forget(main: &MainConf, run: &Run) {
    if let Some(Ok(mut instances)) = cycle::instances(main, run.filter).map(|instances| instances.try_borrow_mut())
        && let Some(instance) = instances.get(run.generation)
    {
        instance.vm.forget(run.context);
        instances.leave(run.generation, false);
    }
}
