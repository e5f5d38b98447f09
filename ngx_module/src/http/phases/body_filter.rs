//! Body filter: on_response_body and on_response_trailers of each filter. It also swallows the body of a response that a
//! filter has replaced, and makes responses wait whose headers or body a filter holds.

use nginx_sys::{ngx_chain_t, ngx_http_request_t, ngx_int_t};

use super::hold::{BUFFERED, WAITS, awaits_body, hold, set_waits};
use super::outgoing::process;
use super::{parts, pause, response_event, upgrade};
use crate::config::loc_conf::LocConf;
use crate::http::flow::{Chain, Direction};
use crate::http::request::{Request, Response, Waiting};
use crate::nginx::callback::callback;
use crate::nginx::chain::NoMemory;
use crate::nginx::filters::next_body;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

/// With so many bytes of our own waiting for a slow client, producers have to wait too.
const MOST_WAITING: usize = 256 << 10;

callback! {
    pub(super) fn filter(r: HttpRequest<'_> = *mut ngx_http_request_t, chain: Chain = *mut ngx_chain_t) -> ngx_int_t,
    otherwise rc::ERROR => enter
}

fn enter(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    let Some(request) = Request::of(r) else { return hand_on(r, r, chain) };
    if request.is_dead.get() {
        chain.consume();
        return rc::ERROR;
    }
    if request.discard_body.get() {
        chain.consume();
        if request.intercepted.borrow().is_pending() {
            return rc::AGAIN;
        }
        return hand_on(r, r, request.other_body.replace(Chain::EMPTY));
    }
    if !is_filtered(request) {
        return hand_on(r, r, chain);
    }
    if !request.has_reached(Response::Gone) {
        upgrade::suspend(request);
    }
    take(request, r, chain)
}

/// Hands a chain to the filters behind this one.
fn next(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    if !parts::may_have_any(r) {
        return next_body(r, chain);
    }
    let known = parts::known(r);
    let c = r.connection();
    // The mark says that there is something here. Without anything else to send, filters that look at `buffered` would
    // have the last one send nothing, which it takes for a mistake.
    let mark = if chain.is_empty() { c.buffered() & BUFFERED } else { 0 };
    c.set_buffered(c.buffered() & !mark);
    let code = next_body(r, chain);
    // Nothing behind this filter ends the request.
    c.set_buffered(c.buffered() | mark);
    parts::note_behind(r, &known);
    code
}

/// Hands on what has left the filters of `r`: to those of the response that it is a part of, or to nginx. `carrier` is the
/// request that brought it, `r` itself or a subrequest that is a part of it. The result is what the filter returns.
pub fn hand_on(r: HttpRequest<'_>, carrier: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    let Some(whole) = parts::whole(r) else { return flush(carrier, chain) };
    if whole.is_dead.get() {
        chain.consume();
        return rc::ERROR;
    }
    // Nothing follows the end of an answer.
    if whole.discard_body.get() || whole.outbound.ended.get() {
        chain.consume();
        return rc::OK;
    }
    if !is_filtered(whole) {
        return hand_on(whole.r(), carrier, chain);
    }
    take(whole, carrier, chain)
}

/// Whether what comes must go through the stages.
fn is_filtered(request: &Request) -> bool {
    let outbound = &request.outbound;
    if !request.has_reached(Response::Shown) || outbound.is_empty() || outbound.ended.get() {
        return false;
    }
    let looks = outbound.wants_body()
        || outbound.wants_trailers()
        || outbound.told_length.get().is_some()
        || request.is_decoding();
    !request.has_reached(Response::Gone)
        || !request.input.borrow().is_empty()
        || (looks && !request.no_response_body.get())
}

/// Sends a chain, or what is left of the one before: nginx calls filters without a chain to have that done. Without anything to
/// send, the last filter takes an empty chain for a mistake.
fn flush(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    let is_pending = r.main().has_unsent()
        || r.has_postponed()
        || r.buffered() & !WAITS != 0
        || r.connection().buffered() & !BUFFERED != 0;
    if !chain.is_empty() || is_pending { next(r, chain) } else { rc::OK }
}

/// Takes a chain from nginx, of the request itself or of a part of its response. The result is what the body filter returns.
pub(super) fn take(request: &Request, from: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    request.outbound.output.borrow_mut().reclaim();
    let has_turn = parts::has_turn(request, from);
    let has_input = !request.input.borrow().is_empty();
    if has_turn && !has_input && can_go(request) {
        return take_now(request, from, chain);
    }
    if !chain.is_empty() && wait_last(request, from, chain, has_turn).is_err() {
        return rc::ERROR;
    }
    // Parts come next: nginx begins with one when it is called for the request that they belong to.
    if !has_turn && from.active() == from && flush(from, Chain::EMPTY) == rc::ERROR {
        return rc::ERROR;
    }
    go_on(request, LocConf::of(request.r()))
}

/// Takes a chain whose turn it is, and that nothing is before.
fn take_now(request: &Request, from: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    let r = request.r();
    let loc = LocConf::of(r);
    request.carrier.set(from.keep());
    if chain.is_empty() {
        let code = if request.has_reached(Response::Gone) { hand_on(r, from, chain) } else { rc::OK };
        request.outbound.output.borrow_mut().reclaim();
        set_waits(from, false);
        // What a filter holds is still to come, whoever has called; and so are headers that wait for the body.
        if code == rc::ERROR || !(request.outbound.is_held() || awaits_body(request)) {
            return code;
        }
    } else if let Err(stop) = process(request, loc, chain) {
        chain.consume();
        return response_event::finish(request, stop);
    }
    match watch_producer(request) {
        Ok(()) => hold(request, loc),
        Err(_) => rc::ERROR,
    }
}

/// A filter waits for more of the body, or the headers do. Whether any will come shows when nginx has gone on from here.
fn watch_producer(request: &Request) -> Result<(), pause::CannotWait> {
    let outbound = &request.outbound;
    let waits_for_more = (outbound.is_held() && !outbound.waits_for_filter()) || awaits_body(request);
    if waits_for_more { pause::post(request, Direction::Response) } else { Ok(()) }
}

/// Goes on with what nginx brought before.
pub(super) fn go_on(request: &Request, loc: &LocConf) -> ngx_int_t {
    let r = request.r();
    let is_full = request.outbound.output.borrow().waiting() > MOST_WAITING;
    if is_full {
        if hand_on(r, parts::sender(request), Chain::EMPTY) == rc::ERROR {
            return rc::ERROR;
        }
        request.outbound.output.borrow_mut().reclaim();
    }
    while can_go(request)
        && let Some(Waiting { from, chain, .. }) = take_next_input(request)
    {
        let is_more = request.input.borrow().iter().any(|other| other.from == from);
        if !is_more {
            set_waits(from.get(), false);
        }
        request.carrier.set(from);
        let result = process(request, loc, chain);
        if result.is_err() {
            chain.consume();
        }
        chain.free_links(r.pool());
        if let Err(stop) = result {
            return response_event::finish(request, stop);
        }
    }
    hold(request, loc)
}

/// Takes out what goes through the filters next of what waits.
fn take_next_input(request: &Request) -> Option<Waiting> {
    let mut input = request.input.borrow_mut();
    let first = input.iter().position(|waiting| waiting.is_next);
    let n = first.or_else(|| input.iter().position(|waiting| parts::has_turn(request, waiting.from.get())))?;
    Some(input.remove(n))
}

/// Whether the stages can take more: no filter holds the headers from the body, and the client keeps up.
pub(super) fn can_go(request: &Request) -> bool {
    !request.outbound.holds_headers() && request.outbound.output.borrow().waiting() <= MOST_WAITING
}

/// Lets a chain wait behind all that waits.
fn wait_last(request: &Request, from: HttpRequest<'_>, chain: Chain, is_next: bool) -> Result<(), NoMemory> {
    let pool = request.r().pool();
    let mut input = request.input.borrow_mut();
    match input.last_mut().filter(|last| last.from.get() == from && last.is_next == is_next) {
        Some(last) => last.chain.append_copy(pool, chain)?,
        None => {
            let mut copy = Chain::EMPTY;
            copy.append_copy(pool, chain)?;
            input.push(Waiting { from: from.keep(), chain: copy, is_next });
        }
    }
    set_waits(from, true);
    Ok(())
}

/// Lets the rest of a chain wait that has begun to go through the filters, and that the request's carrier has brought. It goes on
/// before all else.
pub(super) fn wait_first(request: &Request, chain: Chain) -> Result<(), NoMemory> {
    let from = request.carrier.get();
    let mut copy = Chain::EMPTY;
    copy.append_copy(request.r().pool(), chain)?;
    request.input.borrow_mut().insert(0, Waiting { from, chain: copy, is_next: true });
    set_waits(from.get(), true);
    Ok(())
}

/// Throws away what waits to go through the filters.
pub(super) fn drop_input(request: &Request) {
    for waiting in request.input.take() {
        set_waits(waiting.from.get(), false);
        waiting.chain.consume();
        waiting.chain.free_links(request.r().pool());
    }
}
