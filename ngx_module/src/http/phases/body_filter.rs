//! Body filter: on_response_body and on_response_trailers of each filter. It also swallows the body of a response that a
//! filter has replaced, and makes responses wait whose headers or body a filter holds.

use nginx_sys::{
    NGX_LOG_ERR, ngx_chain_add_copy, ngx_chain_t, ngx_event_t, ngx_http_finalize_request,
    ngx_http_output_body_filter_pt, ngx_http_request_t, ngx_http_run_posted_requests,
    ngx_http_state_e_NGX_HTTP_WRITING_REQUEST_STATE, ngx_http_top_body_filter, ngx_int_t,
};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::hold::{BUFFERED, WAITS, awaits_body, hold, set_waits};
use super::{decode, header_filter, intercept, parts, pause, request_body, upgrade};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chunk, Direction, Hold, Marks, consume, free_links};
use crate::http::local_response::{self, NoMemory};
use crate::http::request::{Request, Waiting};
use crate::nginx::guard::guard;
use crate::nginx::{headers, log, rc};

static mut NEXT: ngx_http_output_body_filter_pt = None;

/// With so many bytes of our own waiting for a slow client, producers have to wait too.
const MOST_WAITING: usize = 256 << 10;

/// Puts this filter before those that are there.
///
/// # Safety
/// Nginx reads its configuration.
pub(super) unsafe fn install() {
    // SAFETY: as in `header_filter::install`.
    unsafe {
        NEXT = ngx_http_top_body_filter;
        ngx_http_top_body_filter = Some(filter);
    }
}

/// Hands a chain to the filters behind this one.
///
/// # Safety
/// `r` is a live request, and `chain` a chain of buffers, or null.
pub unsafe fn next(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: `install` has run, since there are requests.
    unsafe {
        let known = parts::known(r);
        let c = (*r).connection;
        // The mark says that there is something here. Without anything else to send, filters that look at `buffered` would
        // have the last one send nothing, which it takes for a mistake.
        let mark = if chain.is_null() { (*c).buffered() & BUFFERED } else { 0 };
        if mark != 0 {
            (*c).set_buffered((*c).buffered() & !BUFFERED);
        }
        let code = NEXT.map_or(rc::ERROR, |next| next(r, chain));
        // Nothing behind this filter ends the request.
        if mark != 0 {
            (*c).set_buffered((*c).buffered() | BUFFERED);
        }
        parts::note_behind(r, &known);
        code
    }
}

unsafe extern "C" fn filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx calls filters with a live request.
    guard(rc::ERROR, || unsafe {
        let request = Request::of(r);
        if request.is_null() {
            return hand_on(r, r, chain);
        }
        if (*request).is_dead {
            consume(chain);
            return rc::ERROR;
        }
        if (*request).discard_body {
            consume(chain);
            if (*request).intercepted.is_pending() {
                return rc::AGAIN;
            }
            let other = std::mem::replace(&mut (*request).other_body, std::ptr::null_mut());
            return hand_on(r, r, other);
        }
        if !is_filtered(request) {
            return hand_on(r, r, chain);
        }
        if !(*request).response_gone {
            upgrade::suspend(request);
        }
        take(request, r, chain)
    })
}

/// Hands on what has left the filters of `r`: to those of the response that it is a part of, or to nginx. `carrier` is the
/// request that brought it, `r` itself or a subrequest that is a part of it. The result is what the filter returns.
///
/// # Safety
/// Both are live requests, and `chain` a chain of buffers, or null.
pub unsafe fn hand_on(
    r: *mut ngx_http_request_t,
    carrier: *mut ngx_http_request_t,
    chain: *mut ngx_chain_t,
) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        let Some(whole) = parts::whole(r) else { return flush(carrier, chain) };
        if (*whole).is_dead {
            consume(chain);
            return rc::ERROR;
        }
        // Nothing follows the end of an answer.
        if (*whole).discard_body || (*whole).outbound.ended {
            consume(chain);
            return rc::OK;
        }
        if !is_filtered(whole) {
            return hand_on((*whole).r, carrier, chain);
        }
        take(whole, carrier, chain)
    }
}

/// Whether what comes must go through the stages.
unsafe fn is_filtered(request: *mut Request) -> bool {
    // SAFETY: see `filter`.
    unsafe {
        let outbound = &(*request).outbound;
        if !(*request).response_shown || outbound.stages.is_empty() || outbound.ended {
            return false;
        }
        let looks = outbound.wants_body()
            || outbound.wants_trailers()
            || outbound.told_length.is_some()
            || (*request).decoding.is_some();
        !(*request).response_gone || !(*request).input.is_empty() || (looks && !(*request).no_response_body)
    }
}

/// Sends a chain, or what is left of the one before: nginx calls filters without a chain to have that done.
unsafe fn flush(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: see `filter`. Without anything to send, the last filter takes an empty chain for a mistake.
    unsafe {
        let is_pending = !(*(*r).main).out.is_null()
            || !(*r).postponed.is_null()
            || (*r).buffered() & !WAITS != 0
            || (*(*r).connection).buffered() & !BUFFERED != 0;
        if !chain.is_null() || is_pending { next(r, chain) } else { rc::OK }
    }
}

/// Takes a chain from nginx, of the request itself or of a part of its response. The result is what the body filter returns.
pub(super) unsafe fn take(request: *mut Request, from: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let loc = LocConf::of(r);
        (*request).outbound.output.reclaim();
        let has_turn = parts::has_turn(request, from);
        if has_turn && (*request).input.is_empty() && can_go(request) {
            (*request).carrier = from;
            if chain.is_null() {
                let code = if (*request).response_gone { hand_on(r, from, chain) } else { rc::OK };
                (*request).outbound.output.reclaim();
                set_waits(from, false);
                if code == rc::ERROR || !((*request).outbound.is_held() || awaits_body(request)) {
                    return code;
                }
                // What a filter holds is still to come, whoever has called; and so are headers that wait for the body.
                return match watch_producer(request) {
                    Ok(()) => hold(request, loc),
                    Err(_) => rc::ERROR,
                };
            }
            if let Err(stop) = process(request, loc, chain) {
                consume(chain);
                return finish(request, stop);
            }
            return match watch_producer(request) {
                Ok(()) => hold(request, loc),
                Err(_) => rc::ERROR,
            };
        }
        if !chain.is_null() {
            let known = (*request).input.last_mut().filter(|last| last.from == from && last.is_next == has_turn);
            let place = match known {
                Some(last) => last,
                None => {
                    let waiting = Waiting { from, chain: std::ptr::null_mut(), is_next: has_turn };
                    (*request).input.push(waiting);
                    match (*request).input.last_mut() {
                        Some(last) => last,
                        None => return rc::ERROR,
                    }
                }
            };
            if ngx_chain_add_copy((*r).pool, &raw mut place.chain, chain) != rc::OK {
                return rc::ERROR;
            }
            set_waits(from, true);
        }
        // Parts come next: nginx begins with one when it is called for the request that they belong to.
        if !has_turn && parts::active(from) == from && flush(from, std::ptr::null_mut()) == rc::ERROR {
            return rc::ERROR;
        }
        go_on(request, loc)
    }
}

/// A filter waits for more of the body, or the headers do. Whether any will come shows when nginx has gone on from here.
unsafe fn watch_producer(request: *mut Request) -> Result<(), pause::CannotWait> {
    // SAFETY: see `filter`.
    unsafe {
        let outbound = &(*request).outbound;
        let waits_for_more = (outbound.is_held() && !outbound.waits_for_filter()) || awaits_body(request);
        if waits_for_more { pause::post(request, Direction::Response) } else { Ok(()) }
    }
}

/// Whether a filter, or the headers, wait for more of a body that its producer has given up: an upstream broke off. Nginx then
/// only waits for what it has to be sent (src/http/ngx_http_request.c, ngx_http_set_write_handler).
unsafe fn is_abandoned(request: *mut Request) -> bool {
    // SAFETY: see `filter`.
    unsafe {
        let outbound = &(*request).outbound;
        let is_done = (*(*request).r).http_state() == ngx_http_state_e_NGX_HTTP_WRITING_REQUEST_STATE;
        let r = (*request).r;
        // The file of a response may be read by threads meanwhile.
        let is_read = (*r).aio() == 0 && (*r).buffered() & !WAITS == 0;
        is_done
            && is_read
            && ((outbound.is_held() && !outbound.waits_for_filter()) || awaits_body(request))
            && (*request).input.is_empty()
            && !parts::are_to_come(r)
    }
}

/// Goes on with what nginx brought before.
unsafe fn go_on(request: *mut Request, loc: &LocConf) -> ngx_int_t {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        if (*request).outbound.output.waiting() > MOST_WAITING {
            if hand_on(r, parts::sender(request), std::ptr::null_mut()) == rc::ERROR {
                return rc::ERROR;
            }
            (*request).outbound.output.reclaim();
        }
        while can_go(request)
            && let Some(n) = next_input(request)
        {
            let Waiting { from, chain, .. } = (*request).input.remove(n);
            if !(*request).input.iter().any(|other| other.from == from) {
                set_waits(from, false);
            }
            (*request).carrier = from;
            let result = process(request, loc, chain);
            if result.is_err() {
                consume(chain);
            }
            free_links((*r).pool, chain);
            if let Err(stop) = result {
                return finish(request, stop);
            }
        }
        hold(request, loc)
    }
}

/// Which of what waits goes through the filters next.
unsafe fn next_input(request: *mut Request) -> Option<usize> {
    // SAFETY: see `filter`.
    unsafe {
        let input = &(*request).input;
        let first = input.iter().position(|waiting| waiting.is_next);
        first.or_else(|| input.iter().position(|waiting| parts::has_turn(request, waiting.from)))
    }
}

/// Whether the stages can take more: no filter holds the headers from the body, and the client keeps up.
pub(super) unsafe fn can_go(request: *mut Request) -> bool {
    // SAFETY: see `filter`.
    unsafe {
        let outbound = &(*request).outbound;
        outbound.stages.iter().all(|stage| stage.hold != Hold::Headers) && outbound.output.waiting() <= MOST_WAITING
    }
}

/// Sends a chain through the stages.
unsafe fn process(request: *mut Request, loc: &LocConf, chain: *mut ngx_chain_t) -> Result<(), Stop> {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let (chunk, mut marks) = Chunk::of(chain);
        let is_own = (*request).carrier == r;
        if is_own && (*request).is_subrequest() {
            marks.last = Chunk::is_last_in_chain(chain);
        }
        if (*request).no_response_body {
            // Filters were told so with the headers.
            return pass(request, loc, chunk, marks);
        }
        if (*request).decoding.is_some() {
            return decode::process(request, loc, chain, marks);
        }
        let has_trailers = marks.last && is_own && headers::trailers::count(r) > 0;
        if has_trailers {
            // The end comes behind the trailers. A buffer of no bytes may go only if it has another meaning
            // (src/core/ngx_buf.h, ngx_buf_special).
            let mut link = chain;
            while !link.is_null() {
                let buf = (*link).buf;
                if (*buf).last_buf() != 0 {
                    (*buf).set_last_buf(0);
                    (*buf).set_sync(1);
                }
                (*buf).set_last_in_chain(0);
                link = (*link).next;
            }
            marks.last = false;
        }
        drive::data(request, loc, Direction::Response, 0, chunk, marks)?;
        if has_trailers {
            drive::trailers(request, loc, Direction::Response, 0)?;
        }
        Ok(())
    }
}

/// Takes what has passed the last stage.
///
/// # Safety
/// `request` belongs to a live request whose response has begun.
pub unsafe fn pass(request: *mut Request, _: &LocConf, chunk: Chunk, marks: Marks) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let outbound = &raw mut (*request).outbound;
        if !(*request).response_gone {
            if chunk.len() == 0 && !marks.last {
                return Ok(());
            }
            let is_told = (*outbound).told_length.is_some();
            if (*r).headers_out.content_length_n >= 0 && (is_told || (*outbound).changed) {
                // All of it is there, or nobody knows how much there will be. Filters' word for it is taken then.
                if marks.last {
                    headers::response::set_length(r, Some(chunk.len() as u64));
                } else if !is_told {
                    headers::response::set_length(r, None);
                }
            }
            header_filter::send(request)?;
        }
        if (*request).discard_body {
            // Lua has answered in the response's place when it saw the headers.
            if let Chunk::Chain { head, .. } = chunk {
                consume(head);
            }
            (*outbound).ended = true;
            let other = std::mem::replace(&mut (*request).other_body, std::ptr::null_mut());
            let code = if other.is_null() { rc::OK } else { hand_on(r, parts::sender(request), other) };
            return if code == rc::ERROR { Err(Stop::Nginx(code)) } else { Ok(()) };
        }
        (*outbound).passed += chunk.len() as u64;
        (*outbound).ended |= marks.last;
        if (*outbound).changed || (*outbound).told_length.is_some() {
            check_length(request, marks.last)?;
        }
        if (*r).header_only() != 0 {
            // nginx has found out that there is no body.
            if let Chunk::Chain { head, .. } = chunk {
                consume(head);
            }
            return Ok(());
        }
        let (link, is_own) = match chunk {
            Chunk::Chain { head, .. } => (head, false),
            Chunk::Bytes(bytes) if bytes.is_empty() && !marks.last && !marks.flush => return Ok(()),
            Chunk::Bytes(bytes) => {
                let link = (*outbound).output.chain((*r).pool, bytes, marks, (*request).is_subrequest());
                (link.ok_or(Stop::Nginx(rc::ERROR))?, true)
            }
        };
        let code = hand_on(r, parts::sender(request), link);
        if is_own {
            // nginx's filters make links of their own.
            free_links((*r).pool, link);
        }
        (*outbound).output.reclaim();
        if code == rc::ERROR { Err(Stop::Nginx(code)) } else { Ok(()) }
    }
}

/// The client has been told a length. With another one, it would take the end of this response for the next.
unsafe fn check_length(request: *mut Request, is_end: bool) -> Result<(), Stop> {
    // SAFETY: see `pass`.
    unsafe {
        let r = (*request).r;
        let passed = (*request).outbound.passed;
        let Ok(told) = u64::try_from((*r).headers_out.content_length_n) else { return Ok(()) };
        if passed <= told && (!is_end || passed == told) {
            return Ok(());
        }
        let line = match (*request).outbound.told_length {
            Some(_) => format!(
                "a wasm filter gave a response a content-length of {told}, and its body has {}: the connection is closed",
                if passed > told { "more bytes".to_owned() } else { format!("{passed} bytes") }
            ),
            None => {
                "a wasm filter changed the length of a response body whose content-length has been sent: remove that \
                     header in on_response_headers; the connection is closed"
                    .to_owned()
            }
        };
        log::write(NGX_LOG_ERR, (*(*r).connection).log, line);
        Err(Stop::Nginx(rc::ERROR))
    }
}

/// Lets the rest of a chain wait that has begun to go through the filters. It goes on before all else.
///
/// # Safety
/// As [`pass`]; `chain` is what the request's carrier has brought.
pub(super) unsafe fn wait_first(request: *mut Request, chain: *mut ngx_chain_t) -> Result<(), NoMemory> {
    // SAFETY: see `filter`.
    unsafe {
        let from = (*request).carrier;
        let mut waiting = Waiting { from, chain: std::ptr::null_mut(), is_next: true };
        if ngx_chain_add_copy((*(*request).r).pool, &raw mut waiting.chain, chain) != rc::OK {
            return Err(NoMemory);
        }
        (*request).input.insert(0, waiting);
        set_waits(from, true);
    }
    Ok(())
}

/// Throws away what waits to go through the filters.
///
/// # Safety
/// As [`pass`].
pub(super) unsafe fn drop_input(request: *mut Request) {
    // SAFETY: see `filter`.
    unsafe {
        for waiting in std::mem::take(&mut (*request).input) {
            set_waits(waiting.from, false);
            consume(waiting.chain);
            free_links((*(*request).r).pool, waiting.chain);
        }
    }
}

/// Ends a response that does not go on. The result is what the filter returns.
unsafe fn finish(request: *mut Request, stop: Stop) -> ngx_int_t {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let log = (*(*r).connection).log;
        for stage in &mut (*request).outbound.stages {
            stage.hold = Hold::Open;
            stage.held = Vec::new();
        }
        (*request).outbound.ended = true;
        drop_input(request);
        hold(request, LocConf::of(r));
        let plain = |status: ngx_int_t| LocalResponse { status: status as u32, ..LocalResponse::default() };
        let response = match stop {
            Stop::Answered => (*request).local_response.take().map(|response| *response),
            Stop::Failed => Some(plain(rc::SERVICE_UNAVAILABLE)),
            Stop::TooLarge => {
                let body_limit::Limit { bytes, source } =
                    body_limit::exceeded(request, LocConf::of(r), Direction::Response);
                let line =
                    format!("a wasm filter holds a response body, or made one, of more than {bytes} bytes ({source})");
                log::write(NGX_LOG_ERR, log, line);
                Some(plain(rc::INTERNAL_SERVER_ERROR))
            }
            // An error would end the main request too, see `rewrite.rs`; or Lua would take the status of the response that the
            // filter did not let go for the answer.
            Stop::Closed | Stop::Nginx(_) if (*request).is_subrequest() && !(*request).response_gone => {
                Some(plain(rc::SERVICE_UNAVAILABLE))
            }
            Stop::Closed | Stop::Nginx(_) => None,
        };
        replace(request, response)
    }
}

/// Sends another response in the place of one whose headers nginx does not have yet; otherwise the connection ends, since
/// its client has seen a part of the old one.
unsafe fn replace(request: *mut Request, response: Option<LocalResponse>) -> ngx_int_t {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let Some(response) = response else {
            (*request).end_with_connection();
            return rc::ERROR;
        };
        if (*request).response_gone {
            (*request).end_with_connection();
            let line = "a wasm filter stopped a response that is on its way: the connection is closed";
            log::write(NGX_LOG_ERR, (*(*r).connection).log, line);
            return rc::ERROR;
        }
        if intercept::begin(request, &response) {
            return rc::AGAIN;
        }
        let Ok(body) = local_response::replace(request, response) else { return rc::ERROR };
        (*request).outbound.headers = (*request).outbound.stages.len();
        (*request).response_gone = true;
        header_filter::keep_framing(request);
        local_response::send_replaced(request, body)
    }
}

/// The event of the response's direction: a filter lets it go on, or nothing did for too long.
pub(super) unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an armed or posted event, whose request is live then.
    guard((), || unsafe {
        let request = (*event).data.cast::<Request>();
        let r = (*request).r;
        let c = (*r).connection;
        let is_timeout = (*event).timedout() != 0;
        (*event).set_timedout(0);
        // In the background, a request has ended when its handler has.
        if (*r).done() != 0 {
            return;
        }
        if (*request).intercepted.is_pending() {
            intercept::go_on(request);
            ngx_http_run_posted_requests(c);
            return;
        }
        // Without any news, the event is that of `watch_producer`. Calling whoever makes the response would have it send again
        // what it sends when it may go on.
        let is_news = is_timeout || (*request).outbound.is_resumed() || (*request).is_decided();
        if ((*request).outbound.is_held() && is_news) || is_abandoned(request) {
            let mut has_tunnel = (*request).tunnel.is_some();
            if has_tunnel {
                upgrade::wake(request);
                if upgrade::is_given_up(request) {
                    (*request).tunnel = None;
                    has_tunnel = false;
                }
            }
            let code = if is_timeout { time_out(request) } else { resume(request) };
            if has_tunnel {
                upgrade::go_on(request, code);
            } else if code == rc::ERROR {
                request_body::end_upstream(r);
                // An error would end the main request, too.
                let is_background = (*r).background() != 0;
                ngx_http_finalize_request(r, if is_background { rc::OK } else { rc::ERROR });
            } else if !(*request).outbound.waits_for_filter() {
                // Who makes the response, or waits for it to be sent, goes on.
                let producer = parts::sender(request);
                let has_ended = (*r).http_state() == ngx_http_state_e_NGX_HTTP_WRITING_REQUEST_STATE;
                let is_delayed = (*(*c).write).delayed() != 0;
                if is_delayed
                    && has_ended
                    && producer == r
                    && (*request).is_subrequest()
                    && !(*request).outbound.is_held()
                {
                    // nginx's writer would do that, but not as long as another filter holds the connection back, and nobody
                    // asks again on behalf of a request whose turn it is not.
                    ngx_http_finalize_request(r, rc::OK);
                } else if let Some(handler) = (*producer).write_event_handler {
                    handler(producer);
                }
            }
        }
        ngx_http_run_posted_requests(c);
    });
}

unsafe fn time_out(request: *mut Request) -> ngx_int_t {
    // SAFETY: see `filter`.
    unsafe {
        pause::log_timeout(request, Direction::Response);
        (*request).local_response =
            Some(Box::new(LocalResponse { status: rc::GATEWAY_TIME_OUT as u32, ..LocalResponse::default() }));
        finish(request, Stop::Answered)
    }
}

unsafe fn resume(request: *mut Request) -> ngx_int_t {
    // SAFETY: see `filter`.
    unsafe {
        let loc = LocConf::of((*request).r);
        let stop = match (*request).decided() {
            Some(stop) => Some(stop),
            None => drive::resume(request, loc, Direction::Response).err(),
        };
        match stop {
            Some(stop) => finish(request, stop),
            None if is_abandoned(request) => {
                let status = rc::BAD_GATEWAY as u32;
                (*request).local_response = Some(Box::new(LocalResponse { status, ..LocalResponse::default() }));
                finish(request, Stop::Answered)
            }
            None => go_on(request, loc),
        }
    }
}
