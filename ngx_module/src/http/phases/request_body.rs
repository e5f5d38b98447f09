//! The body of a request: read before the handler of the location runs, when a filter looks at it, and shown to the filters
//! as it comes. That is behind the phases that may refuse the request, unless a filter holds the headers for it. nginx keeps what leaves the last filter, in memory or in its temporary file, as the location says.
//!
//! Where the handler streams the body to an upstream (`proxy_request_buffering off`, gRPC), filters see it then, while the
//! upstream is being served.

use nginx_sys::{
    NGX_LOG_ERR, ngx_chain_add_copy, ngx_chain_t, ngx_event_t, ngx_http_block_reading, ngx_http_core_run_phases,
    ngx_http_finalize_request, ngx_http_read_client_request_body, ngx_http_request_body_filter_pt, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_http_top_request_body_filter, ngx_int_t,
};

use super::pause::{self, CannotWait};
use super::{body_file, intercept, reread, rewrite, streaming};
use crate::config::loc_conf::{LocConf, Phase};
use crate::http::body_limit;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chunk, Direction, Marks, consume, free_links};
use crate::http::request::{Progress, Request};
use crate::nginx::guard::guard;
use crate::nginx::{headers, log, rc, returns};

static mut NEXT: ngx_http_request_body_filter_pt = None;

/// With so many bytes of our own waiting for a slow upstream, the client has to wait too.
const MOST_WAITING: usize = 256 << 10;

/// Puts this filter before those that are there. Nginx calls them with what it has decoded of a body.
///
/// # Safety
/// Nginx reads its configuration.
pub(super) unsafe fn install() {
    // SAFETY: as in `header_filter::install`.
    unsafe {
        NEXT = ngx_http_top_request_body_filter;
        ngx_http_top_request_body_filter = Some(filter);
    }
}

unsafe fn next(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: `install` has run, since there are requests.
    unsafe { NEXT.map_or(rc::INTERNAL_SERVER_ERROR, |next| next(r, chain)) }
}

/// Has the body read if a filter wants to see it: now, or behind the phases that may refuse the request ([`read_due`]). The
/// result is what the handler of `phase` returns.
///
/// # Safety
/// `request` belongs to a live request in that phase, here and below.
pub(super) unsafe fn read(request: *mut Request, loc: &LocConf, phase: Phase) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let is_passed = (*request).inbound.headers_passed();
        (*request).progress = Progress::Passed;
        if !(*request).inbound.wants_body() || headers::request::end_stream(r) {
            return rc::DECLINED;
        }
        if (*r).discard_body() != 0 {
            // Somebody has thrown it away. A filter that holds the headers is waited for nevertheless.
            if is_passed {
                return rc::DECLINED;
            }
            (*request).progress = Progress::Waiting;
            return match rewrite::wait(request, loc) {
                Ok(()) => rc::DONE,
                Err(CannotWait) => rewrite::finish(request, Stop::Nginx(rc::INTERNAL_SERVER_ERROR)),
            };
        }
        if !(*r).request_body.is_null() {
            return reread::begin(request, loc);
        }
        // A filter that holds the headers wants the body to decide by. A location that answers by `return` does so before any
        // later phase.
        if is_passed && phase == Phase::Rewrite && !returns::answers(r) {
            // Who reads it before that (Lua in the access phase) reads what filters make of it.
            (*request).streams_body = true;
            (*request).body_due = true;
            return rc::DECLINED;
        }
        if is_passed && (is_refused(r) || streaming::is_wanted(r, small_body(loc))) {
            (*request).streams_body = true;
            return rc::DECLINED;
        }
        read_now(request)
    }
}

/// Whether nginx has refused the request, and answers it by an `error_page`, before anybody has read the body: that page does
/// not wait for it. (A page with `=` or `=200` goes on with the request in another location.)
unsafe fn is_refused(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `read`. nginx asks for no body that it has refused (src/http/ngx_http_special_response.c,
    // ngx_http_send_error_page); otherwise this is said when somebody reads the body.
    unsafe { (*r).expect_tested() != 0 && (*r).request_body.is_null() }
}

/// The request has been redirected. If its body was being read, nginx has given that up: the body is too large, say, or took too
/// long, and the redirect leads to the page of that error.
///
/// # Safety
/// `request` belongs to a live request in the rewrite phase.
pub(super) unsafe fn give_up_reading(request: *mut Request) {
    // SAFETY: see above.
    unsafe {
        if (*request).progress != Progress::Reading {
            return;
        }
        pause::end(request, Direction::Request);
        (*request).progress = Progress::Passed;
        (*request).streams_body = false;
        (*request).body_due = false;
        (*request).stopped = None;
        (*request).parked = None;
        (*request).inbound.ended = true;
    }
}

/// Has the body read that [`read`] has put off, when the request is about to leave the filters that look at it: a `rewrite`
/// of their location, or Lua, has chosen another one. The result is what the handler of the rewrite phase returns.
///
/// # Safety
/// `request` belongs to a live request in that phase, or is null.
pub(super) unsafe fn read_before_leaving(request: *mut Request, loc: &LocConf) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        if request.is_null() || (*request).is_rerouted || (*request).chain == loc.chain {
            return rc::DECLINED;
        }
        if (*request).progress == Progress::Reading {
            return rc::DONE;
        }
        read_due(request, loc, false)
    }
}

/// Whether the handler of the location may read the body, as far as that can be known before it runs: it then gets what these
/// filters do not see, when they are left.
unsafe fn is_read_by_handler(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `read`.
    unsafe { (*r).content_handler.is_some() || body_file::is_put(r) }
}

/// Has the body read that [`read`] has put off, unless the handler of the location passes it on as it comes and
/// `may_stream`. The result is what the phase handler returns.
///
/// # Safety
/// As [`read`].
pub(super) unsafe fn read_due(request: *mut Request, loc: &LocConf, may_stream: bool) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let is_due = std::mem::take(&mut (*request).body_due);
        // The handler that was to pass the body on leads elsewhere instead (`try_files`, Lua).
        let is_left = !may_stream && (*request).streams_body && (*r).request_body.is_null();
        if !is_due && !is_left {
            return rc::DECLINED;
        }
        if (*r).discard_body() != 0 || (*request).inbound.ended || headers::request::end_stream(r) {
            (*request).streams_body = false;
            return rc::DECLINED;
        }
        if !(*r).request_body.is_null() {
            // Another module has made one, without reading what the client sent.
            (*request).streams_body = false;
            return if (*request).inbound.passed == 0 { reread::begin(request, loc) } else { rc::DECLINED };
        }
        let may_wait = may_stream || !is_read_by_handler(r);
        if (is_refused(r) && may_wait) || (may_stream && streaming::is_wanted(r, small_body(loc))) {
            return rc::DECLINED;
        }
        (*request).streams_body = false;
        read_now(request)
    }
}

/// A body that is read at once, also where the handler of the location streams.
fn small_body(loc: &LocConf) -> usize {
    loc.body_buffer(Direction::Request).unwrap_or(LocConf::DEFAULT_BODY_BUFFER)
}

/// Has the body read. The result is what the phase handler returns.
unsafe fn read_now(request: *mut Request) -> ngx_int_t {
    // SAFETY: see `read`. nginx counts who uses a request: reading takes one, which goes back when the body is there.
    unsafe {
        let r = (*request).r;
        body_file::prepare(r);
        (*request).progress = Progress::Reading;
        (*request).is_entered = true;
        let result = ngx_http_read_client_request_body(r, Some(on_body_read));
        (*request).is_entered = false;
        if result >= rc::SPECIAL_RESPONSE {
            (*request).progress = Progress::Passed;
            (*request).stopped = None;
            return result;
        }
        if let Some(stop) = (*request).stopped.take() {
            (*(*r).main).set_count((*(*r).main).count() - 1);
            stop_reading(request);
            return rewrite::finish(request, stop);
        }
        if (*request).progress == Progress::Passed {
            (*(*r).main).set_count((*(*r).main).count() - 1);
            // nginx may have waited for more of it, and nobody would be called when a subrequest has ended
            // (src/http/ngx_http_request_body.c, ngx_http_read_client_request_body).
            (*r).write_event_handler = Some(ngx_http_core_run_phases);
            return rc::DECLINED;
        }
        ngx_http_finalize_request(r, rc::DONE);
        rc::DONE
    }
}

/// nginx has read the body, and all of it has passed the filters.
unsafe extern "C" fn on_body_read(r: *mut ngx_http_request_t) {
    // SAFETY: nginx calls this with the live request that `read` gave it.
    guard((), || unsafe {
        let request = Request::of(r);
        if request.is_null() {
            return;
        }
        (*request).progress = Progress::Passed;
        (*request).inbound.body = (*request).inbound.stages.len();
        pause::end(request, Direction::Request);
        if (*request).inbound.changed {
            headers::request::set_length(r, (*request).inbound.passed);
        }
        if !(*request).is_entered {
            (*r).write_event_handler = Some(ngx_http_core_run_phases);
            ngx_http_core_run_phases(r);
        }
    });
}

unsafe extern "C" fn filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx calls filters with a live request.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe {
        if r != (*r).main {
            return next(r, chain);
        }
        let request = Request::of(r);
        if request.is_null() {
            return next(r, chain);
        }
        if (*request).stopped.is_some() {
            consume(chain);
            return rc::OK;
        }
        let is_shown = (*request).progress == Progress::Reading || (*request).streams_body;
        if !is_shown || (*request).inbound.ended {
            // nginx asks for what is left when a filter has let the end go; it has all of it then, and would put the body into
            // its file once more (src/http/ngx_http_request_body.c, ngx_http_request_body_save_filter).
            let body = (*r).request_body;
            if is_shown && chain.is_null() && !body.is_null() && (*body).last_saved() != 0 {
                return rc::OK;
            }
            return next(r, chain);
        }
        (*request).inbound.output.reclaim();
        let is_full = (*request).streams_body && (*request).inbound.output.waiting() > MOST_WAITING;
        if chain.is_null() {
            if !is_full && !(*request).request_input.is_null() {
                let input = std::mem::replace(&mut (*request).request_input, std::ptr::null_mut());
                let code = show(request, input);
                free_links((*r).pool, input);
                if code != rc::OK {
                    return code;
                }
            }
            return match settle_later(request) {
                Ok(()) => next(r, chain),
                Err(CannotWait) => rc::INTERNAL_SERVER_ERROR,
            };
        }
        if is_full || !(*request).request_input.is_null() {
            // The upstream is slower than the client. nginx reads no more while a buffer of its own is not used up, and
            // asks again when the upstream has taken something (src/http/ngx_http_request_body.c,
            // ngx_http_do_read_client_request_body).
            let code = ngx_chain_add_copy((*r).pool, &raw mut (*request).request_input, chain);
            return if code == rc::OK { rc::OK } else { rc::INTERNAL_SERVER_ERROR };
        }
        show(request, chain)
    })
}

/// Shows a part of the body to the filters. The result is what the body filter returns.
unsafe fn show(request: *mut Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: see `read`.
    unsafe {
        let (chunk, marks) = Chunk::of(chain);
        match drive::data(request, LocConf::of((*request).r), Direction::Request, 0, chunk, marks) {
            Ok(()) => settle_later(request).map_or(rc::INTERNAL_SERVER_ERROR, |()| rc::OK),
            Err(stop) => {
                consume(chain);
                refuse(request, stop)
            }
        }
    }
}

/// A filter has stopped the request while its body is read. The result is what the body filter returns.
unsafe fn refuse(request: *mut Request, stop: Stop) -> ngx_int_t {
    // SAFETY: see `read`.
    unsafe {
        if let Stop::Nginx(code) = stop {
            return code;
        }
        if (*request).streams_body {
            // The upstream is being served. Its module ends that, and the header filter sends an answer in the place of
            // nginx's page.
            let r = (*request).r;
            (*request).streams_body = false;
            end_connection(r);
            return match stop {
                Stop::Answered => {
                    match (*request).local_response.as_ref().and_then(|response| intercept::in_phase(request, response))
                    {
                        Some(status) => {
                            (*request).local_response = None;
                            status
                        }
                        None => {
                            (*r).set_error_page(1);
                            rc::SERVICE_UNAVAILABLE
                        }
                    }
                }
                stop => rewrite::finish(request, stop),
            };
        }
        (*request).stopped = Some(stop);
        // Nothing is done any more with what has passed the filters before. Nginx wants to use the room again.
        let body = (*(*request).r).request_body;
        if !body.is_null() {
            consume((*body).bufs);
        }
        if (*request).is_entered {
            return rc::OK;
        }
        pause::post(request, Direction::Request).map_or(rc::INTERNAL_SERVER_ERROR, |()| rc::OK)
    }
}

/// Nothing more of the body is read, so the connection cannot serve another request.
unsafe fn stop_reading(request: *mut Request) {
    // SAFETY: see `read`.
    unsafe {
        let r = (*request).r;
        if (*request).is_subrequest() {
            // The body that its filters look at is the main request's, which has been read, and is not theirs to end.
            (*request).reread = None;
            rewrite::stop_watching(r);
            return;
        }
        let read = (*(*r).connection).read;
        (*r).read_event_handler = Some(ngx_http_block_reading);
        if (*read).timer_set() != 0 {
            nginx_sys::ngx_del_timer(read);
        }
        skip_frames(r);
        let body = (*r).request_body;
        // Of a body in chunks, nginx may have read more than the body: the next request, which would be lost.
        let is_left = !body.is_null() && !(*body).buf.is_null() && (*(*body).buf).pos != (*(*body).buf).last;
        if body.is_null() || (*body).rest != 0 || is_left {
            end_connection(r);
        }
        drop_body(r);
    }
}

/// What has come of the body is of no use, and the rest will not come: whoever answers now, such as the upstream of an error
/// page, must not wait for it.
unsafe fn drop_body(r: *mut ngx_http_request_t) {
    // SAFETY: see `read`. Upstreams are sent what the body's chain has, as many bytes as the headers say.
    unsafe {
        let body = (*r).request_body;
        if !body.is_null() {
            (*body).bufs = std::ptr::null_mut();
        }
        (*r).headers_in.set_chunked(0);
        headers::request::set_length(r, 0);
    }
}

unsafe fn end_connection(r: *mut ngx_http_request_t) {
    // SAFETY: see `read`.
    unsafe {
        (*r).set_keepalive(0);
        (*r).set_lingering_close(1);
        skip_frames(r);
        drop_body(r);
    }
}

/// Over HTTP/2 nginx takes what comes of a body whether or not the request reads it, and ends the request when it is more than
/// the headers say: that would be a second end, in the middle of what the request does now (`post_action`, an error page).
unsafe fn skip_frames(r: *mut ngx_http_request_t) {
    // SAFETY: see `read`. A stream lives as long as its request; nginx sets this when it refuses a body itself
    // (src/http/v2/ngx_http_v2.c, ngx_http_v2_state_read_data).
    unsafe {
        if !(*r).stream.is_null() {
            (*(*r).stream).set_skip_data(1);
        }
    }
}

/// nginx starts its clock for the client's next bytes when it returns from a body filter. When there are none, and the
/// request waits for a filter, [`on_event`] stops it.
unsafe fn settle_later(request: *mut Request) -> Result<(), CannotWait> {
    // SAFETY: see `read`.
    unsafe { if (*request).inbound.waits_for_filter() { pause::post(request, Direction::Request) } else { Ok(()) } }
}

/// The event of the request's direction: the wait is over, or something has happened that nginx could not be told at once.
pub(super) unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an armed or posted event, whose request is live then.
    guard((), || unsafe {
        let request = (*event).data.cast::<Request>();
        let r = (*request).r;
        let c = (*r).connection;
        let is_timeout = (*event).timedout() != 0;
        (*event).set_timedout(0);
        if is_timeout {
            time_out(request);
        } else {
            match (*request).progress {
                // The rewrite handler looks at what was decided.
                Progress::Waiting => ngx_http_core_run_phases(r),
                Progress::Reading => go_on(request),
                Progress::Passed if (*request).streams_body => go_on(request),
                Progress::Passed | Progress::New => {}
            }
        }
        ngx_http_run_posted_requests(c);
    });
}

unsafe fn time_out(request: *mut Request) {
    // SAFETY: see `read`.
    unsafe {
        let r = (*request).r;
        let waits = match (*request).progress {
            Progress::Waiting | Progress::Reading => true,
            Progress::Passed => (*request).streams_body && (*request).inbound.is_held(),
            Progress::New => false,
        };
        if !waits {
            return;
        }
        pause::log_timeout(request, Direction::Request);
        if (*request).progress == Progress::Reading {
            (*request).stopped = Some(Stop::Failed);
            stop_reading(request);
        }
        (*request).progress = Progress::Passed;
        if std::mem::take(&mut (*request).streams_body) {
            end_connection(r);
            end_upstream(r);
        }
        let has_begun = (*request).response_started;
        ngx_http_finalize_request(r, if has_begun { rc::ERROR } else { rc::GATEWAY_TIME_OUT });
    }
}

/// Goes on with a body that waits.
unsafe fn go_on(request: *mut Request) {
    // SAFETY: see `read`.
    unsafe {
        let r = (*request).r;
        let loc = LocConf::of(r);
        let mut stop = (*request).stopped.take().or_else(|| (*request).decided());
        let was_resumed = (*request).inbound.is_resumed();
        if stop.is_none() && was_resumed {
            (*request).inbound.output.reclaim();
            stop = drive::resume(request, loc, Direction::Request).err();
        }
        if let Some(stop) = stop {
            // Whatever nginx still reads of the body is thrown away.
            (*request).stopped = Some(Stop::Failed);
            stop_reading(request);
            if std::mem::take(&mut (*request).streams_body) {
                pause::end(request, Direction::Request);
                end_connection(r);
                end_upstream(r);
            }
            let result = match stop {
                _ if (*request).response_started => rc::ERROR,
                stop => rewrite::finish(request, stop),
            };
            ngx_http_finalize_request(r, result);
            return;
        }
        if (*request).inbound.waits_for_filter() {
            if park(request, loc).is_err() {
                ngx_http_finalize_request(r, rc::INTERNAL_SERVER_ERROR);
            }
            return;
        }
        if was_resumed {
            pause::end(request, Direction::Request);
            if (*request).reread.is_some() {
                if (*request).inbound.ended {
                    if let Err(stop) = reread::end(request) {
                        ngx_http_finalize_request(r, rewrite::finish(request, stop));
                        return;
                    }
                    (*r).read_event_handler = Some(ngx_http_block_reading);
                    (*r).write_event_handler = Some(ngx_http_core_run_phases);
                    ngx_http_core_run_phases(r);
                }
                return;
            }
            if let Some(parked) = (*request).parked.take() {
                (*r).read_event_handler = Some(parked);
            }
            // Nginx takes what has passed the filters, and goes on with what comes next.
            if let Some(handler) = (*r).read_event_handler {
                handler(r);
            }
        }
    }
}

/// All of the body has come, and waits for a filter: the client has nothing to send, so its clock stops.
unsafe fn park(request: *mut Request, loc: &LocConf) -> Result<(), CannotWait> {
    // SAFETY: see `read`.
    unsafe {
        let r = (*request).r;
        let read = (*(*r).connection).read;
        if (*read).timer_set() != 0 {
            nginx_sys::ngx_del_timer(read);
        }
        if (*request).streams_body {
            return pause::begin(request, loc, Direction::Request);
        }
        if (*request).parked.is_none() {
            (*request).parked = (*r).read_event_handler;
        }
        rewrite::wait(request, loc)
    }
}

/// Takes what has passed the last filter.
///
/// # Safety
/// `request` belongs to a live request whose body is being read.
pub unsafe fn pass(request: *mut Request, chunk: Chunk, marks: Marks) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let inbound = &raw mut (*request).inbound;
        (*inbound).passed += chunk.len() as u64;
        (*inbound).ended |= marks.last;
        if (*request).streams_body && (*inbound).changed {
            check_length(request, marks.last)?;
        }
        if let Some(reread) = &mut (*request).reread {
            return reread::keep(reread, chunk, (*inbound).changed);
        }
        let (link, is_own) = match chunk {
            Chunk::Chain { head, .. } => (head, false),
            Chunk::Bytes(bytes) if bytes.is_empty() && !marks.last => return Ok(()),
            Chunk::Bytes(bytes) => {
                let marks = Marks { flush: marks.flush && (*r).request_body_no_buffering() != 0, ..marks };
                let link = (*inbound).output.chain((*r).pool, bytes, marks, false);
                (link.ok_or(Stop::Nginx(rc::INTERNAL_SERVER_ERROR))?, true)
            }
        };
        let result = next(r, link);
        if is_own {
            // nginx's filters make links of their own.
            free_links((*r).pool, link);
        }
        if result == rc::OK { Ok(()) } else { Err(Stop::Nginx(result)) }
    }
}

/// The upstream has been told the length of a body that is streamed to it, unless all of it came with the headers.
unsafe fn check_length(request: *mut Request, is_end: bool) -> Result<(), Stop> {
    // SAFETY: see `pass`.
    unsafe {
        let r = (*request).r;
        let passed = (*request).inbound.passed;
        if is_end && !is_upstream_begun(r) {
            headers::request::set_length(r, passed);
            return Ok(());
        }
        let Ok(told) = u64::try_from((*r).headers_in.content_length_n) else { return Ok(()) };
        if (*r).headers_in.chunked() != 0 || (passed <= told && (!is_end || passed == told)) {
            return Ok(());
        }
        let line = "a wasm filter changed the length of a request body that is streamed to an upstream, which knows its \
                    content-length: remove that header in on_request_headers, or turn proxy_request_buffering on";
        log::write(NGX_LOG_ERR, (*(*r).connection).log, line);
        Err(Stop::Failed)
    }
}

/// Whether the request to the upstream has been made. Nginx counts the bytes of chunks for it before filters see them.
unsafe fn is_upstream_begun(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see `pass`. The connection to an upstream begins when its request is complete
    // (src/http/ngx_http_upstream.c, ngx_http_upstream_init_request), which is also when this cleanup is there.
    unsafe { !(*r).upstream.is_null() && !(*(*r).upstream).cleanup.is_null() }
}

/// Ends what an upstream does for a request that is finalized from an event of this module. Otherwise it would finalize the
/// request too, which would be freed in the middle of that.
///
/// # Safety
/// `r` is a live request.
pub(super) unsafe fn end_upstream(r: *mut ngx_http_request_t) {
    // SAFETY: see `pass`. The upstream's cleanup gives back the use of the request that it has; another one keeps the
    // request alive (src/http/ngx_http_upstream.c, ngx_http_upstream_cleanup).
    unsafe {
        let upstream = (*r).upstream;
        if upstream.is_null() || (*upstream).cleanup.is_null() {
            return;
        }
        if let Some(cleanup) = *(*upstream).cleanup {
            (*(*r).main).set_count((*(*r).main).count() + 1);
            cleanup(r.cast());
        }
    }
}

/// Says in the log that a filter would have to hold too much.
pub(super) unsafe fn log_too_large(request: *mut Request) {
    // SAFETY: see `read`.
    unsafe {
        let r = (*request).r;
        let body_limit::Limit { bytes, source } = body_limit::exceeded(request, LocConf::of(r), Direction::Request);
        let line = format!("a wasm filter holds a request body, or made one, of more than {bytes} bytes ({source})");
        log::write(NGX_LOG_ERR, (*(*r).connection).log, line);
    }
}
