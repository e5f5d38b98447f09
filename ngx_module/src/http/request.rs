//! What the module keeps of a request: the contexts of its filters, and what they asked for that happens after a
//! callback. It lives in the request's pool.

mod runs;
mod states;

use std::cell::{Cell, RefCell};

use nginx_sys::ngx_http_event_handler_pt;
use ngx_wasm::proxy_wasm::{FilterState, LocalResponse, StreamToken};
use smallvec::SmallVec;

use crate::config::conf::MainConf;
use crate::http::flow::drive::Stop;
use crate::http::flow::{Direction, Way};
use crate::http::phases::{Decoding, Intercepted, Tunnel};
use crate::http::report::Report;
use crate::http::seat::Seats;
use crate::http::tokens;
use crate::nginx::chain::Chain;
use crate::nginx::event::{AboutRequest, Deed, Event};
use crate::nginx::headers;
use crate::nginx::pool::Kept;
use crate::nginx::request::{Context, HttpRequest, KeptRequest, PostSubrequest};

pub use runs::{Run, Wants};
pub use states::{Progress, Response, Sight};

/// A body that nginx has read before filters look at it.
#[derive(Default)]
pub struct Reread {
    /// What the filters make of it, when it is small enough to be kept.
    pub kept: Option<Vec<u8>>,
}

/// A part of a response that waits to go through the filters.
pub struct Waiting {
    /// Who brought it.
    pub from: KeptRequest,
    pub chain: Chain,
    /// It was its turn when it came: it only waits for what came before it.
    pub is_next: bool,
}

/// A request with filters. Whoever has it shares it: with the guest that runs, which reaches it through `host/`, and with the
/// filters and handlers of nginx that are called meanwhile. So all of it is in cells, and none of them is borrowed while a guest,
/// or nginx, is called.
pub struct Request {
    r: KeptRequest,
    /// By which VMs and calls know it.
    token: Cell<StreamToken>,
    /// This, once it is in its place, until it goes.
    own: Cell<Option<Kept<Request>>>,
    pub main: &'static MainConf,
    /// The chain whose filters run, by its number in [`MainConf::chains`]; `None`: none do.
    pub chain: Cell<Option<usize>>,
    /// The filters of that chain, in order.
    pub runs: RefCell<SmallVec<[Run; 2]>>,
    /// Filters that somebody else runs.
    pub seats: RefCell<Option<Box<dyn Seats>>>,
    /// Filters of chains that an internal redirect has left; their contexts end with the request.
    pub left: RefCell<Vec<Run>>,
    /// What comes from the client.
    pub inbound: Way,
    /// What goes to it.
    pub outbound: Way,
    pub progress: Cell<Progress>,
    /// What filters keep for each other.
    pub filter_state: RefCell<FilterState>,
    /// A filter changed what locations are chosen by, or asked for another choice: nginx matches the location again.
    pub reroute: Cell<bool>,
    /// A filter said that the location stays, whatever becomes of the path.
    pub keeps_route: Cell<bool>,
    /// The path that a filter wrote is none of the location's; nginx was told so.
    pub has_left_location: Cell<bool>,
    /// nginx is matching the location again.
    pub is_rerouted: Cell<bool>,
    /// Filters see a body that nginx has read before.
    pub reread: RefCell<Option<Reread>>,
    /// When filters see the body.
    pub sight: Cell<Sight>,
    /// The phase handler is waiting for nginx to say how far the body has come.
    pub is_entered: Cell<bool>,
    /// nginx has redirected the request since the rewrite phase looked at this.
    pub is_redirected: Cell<bool>,
    /// Why the request does not go on, until that has been acted on.
    pub stopped: Cell<Option<Stop>>,
    /// What nginx would call for the next bytes of the body, while the request waits for a filter.
    pub parked: Cell<ngx_http_event_handler_pt>,
    /// Parts of a request body that is streamed, which cannot go through the filters now.
    pub request_input: Cell<Chain>,
    /// Parts of the response that cannot go through the filters now, in order.
    pub input: RefCell<Vec<Waiting>>,
    /// The request that has brought what goes through the filters of the response: this one, or a subrequest whose output is
    /// a part of the response.
    pub carrier: Cell<KeptRequest>,
    /// Subrequests with data of their own. Only the main request has any.
    pub subrequests: RefCell<Vec<Kept<Request>>>,
    /// Subrequests that filters of nginx behind this module's have made: what they send is put in behind it, too. Only the
    /// main request has any.
    pub behind: RefCell<Vec<KeptRequest>>,
    /// How many of a request and its subrequests hold the connection back. Only the main request counts.
    pub delays: Cell<usize>,
    /// The response has been cut off: nothing of it goes out any more.
    pub is_dead: Cell<bool>,
    /// The connection changes its protocol, and waits for a filter to let the client know.
    pub tunnel: RefCell<Option<Tunnel>>,
    /// The response has no body.
    pub no_response_body: Cell<bool>,
    /// Nginx was told not to write to the client while a filter holds the response.
    pub is_delayed: Cell<bool>,
    /// Whom nginx would tell that the subrequest has its response, while a filter holds that.
    pub told_later: Cell<Option<PostSubrequest>>,
    /// The answer that a filter gave. Most requests have none, and all carry the room for it.
    pub local_response: RefCell<Option<Box<LocalResponse>>>,
    /// It has been sent; another one is ignored.
    pub answered: Cell<bool>,
    /// The client asked with HEAD, whatever filters made of the method.
    pub is_head: bool,
    /// A filter did something that must not go on the wire; the request fails.
    pub refused: Cell<bool>,
    /// Bytes of headers that filters have written, all of which nginx keeps until the request ends.
    pub headers_written: Cell<usize>,
    /// A filter closed the stream.
    pub closed: Cell<bool>,
    pub response: Cell<Response>,
    /// What the handler of the location sends as body is not wanted any more.
    pub discard_body: Cell<bool>,
    /// What goes out in its place, when the body filter is to send it.
    pub other_body: Cell<Chain>,
    /// Lua's header filter has put another response in the place of the one whose body its body filter sees.
    pub is_replaced: Cell<bool>,
    /// A filter failed on the way in. The error page, whose response comes next, goes out without it.
    pub failed: Cell<bool>,
    /// It has been counted that the request fails because of a filter.
    pub is_lost: Cell<bool>,
    /// on_log runs; the response cannot be changed any more.
    pub logging: Cell<bool>,
    /// For logs.
    pub report: RefCell<Report>,
    /// The body of the response is decoded for the filters.
    pub decoding: RefCell<Option<Box<Decoding>>>,
    /// What nginx would call when the client takes more, while `phases/writable.rs` is called in its place.
    pub writer: Cell<ngx_http_event_handler_pt>,
    /// nginx's page of an error is to take the place of a filter's answer.
    pub intercepted: RefCell<Intercepted>,
    /// The server that a filter chose, until nginx asks an upstream.
    pub upstream_host: RefCell<Option<Box<[u8]>>>,
}

// SAFETY: nothing else of this module is kept there.
#[allow(unsafe_code)]
unsafe impl Context for Request {}

impl AboutRequest for Request {
    fn r(&self) -> HttpRequest<'_> {
        self.r.get()
    }
}

impl Request {
    /// The module's data of a request, if it has any.
    ///
    /// An internal redirect clears the place for it (src/http/ngx_http_core_module.c, ngx_http_internal_redirect), but not the
    /// pool, where it is. Subrequests share that of the main request.
    pub fn of(r: HttpRequest<'_>) -> Option<&Request> {
        if let Some(request) = r.context::<Request>() {
            return Some(request);
        }
        if !r.is_internal() && !r.is_filter_finalized() {
            return None;
        }
        let found = if r.is_main() {
            r.pool().find::<Request>(|request| request.r() == r)?
        } else {
            let main = Request::of(r.main())?;
            main.subrequests.borrow().iter().copied().find(|request| request.r() == r)?
        };
        found.is_redirected.set(true);
        r.set_context(found);
        Some(found.in_pool(r.pool()))
    }

    /// Makes the data of a request that has none. `None`: the pool has no memory.
    ///
    /// That of a subrequest is known to the main request, which has data then, too.
    pub fn create(r: HttpRequest<'_>) -> Option<&Request> {
        let of_main = match r.is_main() {
            true => None,
            false => Some(match Request::of(r.main()) {
                Some(main) => main,
                None => Request::create(r.main())?,
            }),
        };
        let kept = r.pool().own_made(|| Request::new(r))?;
        kept.token.set(tokens::give(kept)?);
        kept.own.set(Some(kept));
        if let Some(main) = of_main {
            main.subrequests.borrow_mut().push(kept);
        }
        r.set_context(kept);
        Some(kept.in_pool(r.pool()))
    }

    #[inline]
    fn new(r: HttpRequest<'_>) -> Request {
        Request {
            r: r.keep(),
            token: Cell::new(StreamToken(0)),
            own: Cell::new(None),
            main: MainConf::of_request(r),
            chain: Cell::new(None),
            runs: RefCell::default(),
            left: RefCell::default(),
            seats: RefCell::default(),
            inbound: Way::default(),
            outbound: Way::default(),
            progress: Cell::new(Progress::New),
            filter_state: RefCell::default(),
            reroute: Cell::new(false),
            keeps_route: Cell::new(false),
            has_left_location: Cell::new(false),
            is_rerouted: Cell::new(false),
            reread: RefCell::default(),
            sight: Cell::new(Sight::Held),
            is_entered: Cell::new(false),
            is_redirected: Cell::new(false),
            stopped: Cell::new(None),
            parked: Cell::new(None),
            request_input: Cell::new(Chain::EMPTY),
            input: RefCell::default(),
            carrier: Cell::new(r.keep()),
            subrequests: RefCell::default(),
            behind: RefCell::default(),
            delays: Cell::new(0),
            is_dead: Cell::new(false),
            tunnel: RefCell::default(),
            no_response_body: Cell::new(false),
            is_delayed: Cell::new(false),
            told_later: Cell::new(None),
            local_response: RefCell::default(),
            answered: Cell::new(false),
            is_head: r.is_head(),
            refused: Cell::new(false),
            headers_written: Cell::new(0),
            closed: Cell::new(false),
            response: Cell::new(Response::None),
            discard_body: Cell::new(false),
            other_body: Cell::new(Chain::EMPTY),
            is_replaced: Cell::new(false),
            failed: Cell::new(false),
            is_lost: Cell::new(false),
            logging: Cell::new(false),
            report: RefCell::default(),
            decoding: RefCell::default(),
            writer: Cell::new(None),
            intercepted: RefCell::default(),
            upstream_host: RefCell::default(),
        }
    }

    /// By which VMs and calls know the request.
    pub fn token(&self) -> StreamToken {
        self.token.get()
    }

    /// To be kept by what lies in the request's pool.
    pub fn kept(&self) -> Option<Kept<Request>> {
        self.own.get()
    }

    /// The request of nginx.
    pub fn r(&self) -> HttpRequest<'_> {
        self.r.get()
    }

    /// Nothing of the response goes out any more, and nothing follows it on the connection. nginx ends that when a filter of its
    /// chains fails, but not where there is a `post_action`: it runs that, and then takes the next request
    /// (src/http/ngx_http_request.c, ngx_http_finalize_request).
    pub fn end_with_connection(&self) {
        self.is_dead.set(true);
        if !self.is_subrequest() {
            self.r().set_keepalive(false);
        }
    }

    /// Whether this is about a subrequest.
    pub fn is_subrequest(&self) -> bool {
        !self.r().is_main()
    }

    /// Whether the body of a response is counted when a filter gives it a length now: filters of the configuration are
    /// looking at its headers.
    pub fn counts_body(r: HttpRequest<'_>) -> bool {
        Request::of(r).is_some_and(|request| request.response.get() == Response::Shown && !request.outbound.is_empty())
    }

    /// Whether any filter runs.
    pub fn has_filters(&self) -> bool {
        !self.runs.borrow().is_empty()
    }

    /// One direction.
    pub fn flow(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Request => &self.inbound,
            Direction::Response => &self.outbound,
        }
    }

    /// The event of one direction, which does `deed`. `None`: the request is about to go.
    pub fn event(&self, direction: Direction, deed: Deed<Request>) -> Option<&Event<Request>> {
        let event = &self.flow(direction).event;
        if event.get().is_none() {
            let _ = event.set(Event::new(self.kept()?, deed));
        }
        event.get()
    }

    /// What a filter decided for the whole request, and nobody has acted on yet.
    pub fn decided(&self) -> Option<Stop> {
        if self.closed.take() {
            return Some(Stop::Closed);
        }
        if self.refused.take() {
            return Some(Stop::Failed);
        }
        self.local_response.borrow().is_some().then_some(Stop::Answered)
    }

    /// Whether there is anything that [`Request::decided`] would give.
    pub fn is_decided(&self) -> bool {
        self.closed.get() || self.refused.get() || self.local_response.borrow().is_some()
    }

    /// Whether the body of the response is decoded for the filters.
    pub fn is_decoding(&self) -> bool {
        self.decoding.borrow().is_some()
    }

    /// Has an answer of this module sent in the place of what there is.
    pub fn answer(&self, response: LocalResponse) {
        self.local_response.replace(Some(Box::new(response)));
    }

    /// Wakes up those who run filters of their own in the request, and wait for what has been decided.
    pub fn wake_seats(&self) {
        let is_decided = self.is_decided();
        if let Some(seats) = &mut *self.seats.borrow_mut() {
            seats.wake(is_decided);
        }
    }

    /// What changes of headers have to know of a request and its filters.
    pub const FOR_HEADERS: headers::Filters = headers::Filters {
        left_location: |r| Request::of(r).map(|request| &request.has_left_location),
        path_changed: |r| {
            if let Some(request) = Request::of(r) {
                request.ask_for_route();
            }
        },
        counts_body: Request::counts_body,
    };

    /// Has nginx match the location again, as long as it can: until the filters are done with the request.
    pub fn ask_for_route(&self) {
        if self.progress.get() != Progress::Passed {
            self.reroute.set(true);
        }
    }

    /// The name of a filter, for the log.
    pub fn filter_name(&self, filter: usize) -> &'static [u8] {
        self.main.filters.get(filter).map_or(b"?", |filter| &filter.name)
    }
}

impl Drop for Request {
    /// The log phase has ended all contexts. When a request goes without one, they end here: no map is touched, because `forget`
    /// looks at nothing but the VMs.
    fn drop(&mut self) {
        self.own.set(None);
        tokens::take_back(self.token.get());
        for direction in [Direction::Request, Direction::Response] {
            self.count_wait(direction, None);
        }
        for run in self.left.get_mut().iter().chain(self.runs.get_mut().iter()) {
            runs::forget(run);
        }
    }
}
