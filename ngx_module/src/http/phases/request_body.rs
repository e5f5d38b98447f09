//! The body of a request: read before the handler of the location runs, when a filter looks at it, and shown to the filters
//! as it comes (`request_body_filter.rs`). That is behind the phases that may refuse the request, unless a filter holds the headers
//! for it. nginx keeps what leaves the last filter, in memory or in its temporary file, as the location says.
//!
//! Where the handler streams the body to an upstream (`proxy_request_buffering off`, gRPC), filters see it then, while the
//! upstream is being served.

use nginx_sys::{ngx_http_request_t, ngx_int_t};

use super::pause::{self, CannotWait};
use super::{body_file, reread, rewrite, streaming};
use crate::config::loc_conf::{LocConf, Phase};
use crate::http::body_limit;
use crate::http::flow::drive::Stop;
use crate::http::flow::{Chain, Direction};
use crate::http::request::{Progress, Request, Sight};
use crate::nginx::after::After;
use crate::nginx::callback::callback;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, rc, request_body, returns};

/// Has the body read if a filter wants to see it: now, or behind the phases that may refuse the request ([`read_due`]). The
/// result is what the handler of `phase` returns.
pub(super) fn read(request: &Request, loc: &LocConf, phase: Phase) -> ngx_int_t {
    let r = request.r();
    let is_passed = request.inbound.headers_passed();
    request.progress.set(Progress::Passed);
    if !request.inbound.wants_body() || headers::request::end_stream(r) {
        return rc::DECLINED;
    }
    if r.discards_body() {
        // Somebody has thrown it away. A filter that holds the headers is waited for nevertheless.
        if is_passed {
            return rc::DECLINED;
        }
        request.progress.set(Progress::Waiting);
        return match rewrite::wait(request, loc) {
            Ok(()) => rc::DONE,
            Err(CannotWait) => rewrite::finish(request, Stop::Nginx(rc::INTERNAL_SERVER_ERROR)),
        };
    }
    if r.request_body().is_some() {
        return reread::begin(request, loc);
    }
    // A filter that holds the headers wants the body to decide by. A location that answers by `return` does so before any
    // later phase.
    if is_passed && phase == Phase::Rewrite && !returns::answers(r) {
        // Who reads it before that (Lua in the access phase) reads what filters make of it.
        request.sight.set(Sight::Due);
        return rc::DECLINED;
    }
    if is_passed && (is_refused(r) || streaming::is_wanted(r, small_body(loc))) {
        request.sight.set(Sight::Streamed);
        return rc::DECLINED;
    }
    read_now(request)
}

/// Whether nginx has refused the request, and answers it by an `error_page`, before anybody has read the body: that page does
/// not wait for it. (A page with `=` or `=200` goes on with the request in another location.)
///
/// nginx asks for no body that it has refused (src/http/ngx_http_special_response.c, ngx_http_send_error_page); otherwise this is
/// said when somebody reads the body.
fn is_refused(r: HttpRequest<'_>) -> bool {
    r.is_expect_tested() && r.request_body().is_none()
}

/// The request has been redirected, in the rewrite phase. If its body was being read, nginx has given that up: the body is too
/// large, say, or took too long, and the redirect leads to the page of that error.
pub(super) fn give_up_reading(request: &Request) {
    if request.progress.get() != Progress::Reading {
        return;
    }
    pause::end(request, Direction::Request);
    request.progress.set(Progress::Passed);
    request.sight.set(Sight::Held);
    request.stopped.set(None);
    request.parked.set(None);
    request.inbound.ended.set(true);
}

/// Has the body read that [`read`] has put off, when the request is about to leave the filters that look at it: a `rewrite`
/// of their location, or Lua, has chosen another one. The result is what the handler of the rewrite phase returns.
pub(super) fn read_before_leaving(request: &Request, loc: &LocConf) -> ngx_int_t {
    if request.is_rerouted.get() || request.chain.get() == loc.chain {
        return rc::DECLINED;
    }
    if request.progress.get() == Progress::Reading {
        return rc::DONE;
    }
    read_due(request, loc, false)
}

/// Whether the handler of the location may read the body, as far as that can be known before it runs: it then gets what these
/// filters do not see, when they are left.
fn is_read_by_handler(r: HttpRequest<'_>) -> bool {
    r.has_content_handler() || body_file::is_put(r)
}

/// Has the body read that [`read`] has put off, unless the handler of the location passes it on as it comes and
/// `may_stream`. The result is what the phase handler returns.
pub(super) fn read_due(request: &Request, loc: &LocConf, may_stream: bool) -> ngx_int_t {
    let r = request.r();
    let is_due = request.put_off_no_longer();
    // The handler that was to pass the body on leads elsewhere instead (`try_files`, Lua).
    let is_left = !may_stream && request.streams_body() && r.request_body().is_none();
    if !is_due && !is_left {
        return rc::DECLINED;
    }
    if r.discards_body() || request.inbound.ended.get() || headers::request::end_stream(r) {
        request.sight.set(Sight::Held);
        return rc::DECLINED;
    }
    if r.request_body().is_some() {
        // Another module has made one, without reading what the client sent.
        request.sight.set(Sight::Held);
        return if request.inbound.passed.get() == 0 { reread::begin(request, loc) } else { rc::DECLINED };
    }
    let may_wait = may_stream || !is_read_by_handler(r);
    if (is_refused(r) && may_wait) || (may_stream && streaming::is_wanted(r, small_body(loc))) {
        return rc::DECLINED;
    }
    request.sight.set(Sight::Held);
    read_now(request)
}

/// A body that is read at once, also where the handler of the location streams.
fn small_body(loc: &LocConf) -> usize {
    loc.body_buffer(Direction::Request).unwrap_or(LocConf::DEFAULT_BODY_BUFFER)
}

/// Has the body read. The result is what the phase handler returns.
fn read_now(request: &Request) -> ngx_int_t {
    let r = request.r();
    body_file::prepare(r);
    request.progress.set(Progress::Reading);
    request.is_entered.set(true);
    let result = request_body::read(r, on_body_read);
    request.is_entered.set(false);
    if result >= rc::SPECIAL_RESPONSE {
        request.progress.set(Progress::Passed);
        request.stopped.set(None);
        return result;
    }
    if let Some(stop) = request.stopped.take() {
        r.drop_count();
        stop_reading(request);
        return rewrite::finish(request, stop);
    }
    if request.progress.get() == Progress::Passed {
        r.drop_count();
        // nginx may have waited for more of it, and nobody would be called when a subrequest has ended
        // (src/http/ngx_http_request_body.c, ngx_http_read_client_request_body).
        r.run_phases_when_called();
        return rc::DECLINED;
    }
    r.release();
    rc::DONE
}

callback! {
    /// nginx has read the body, and all of it has passed the filters.
    fn on_body_read(r: HttpRequest<'_> = *mut ngx_http_request_t), otherwise () => body_read
}

fn body_read(r: HttpRequest<'_>) -> After<'_> {
    let Some(request) = Request::of(r) else { return After::Nothing };
    request.progress.set(Progress::Passed);
    request.parked.set(None);
    request.inbound.end_body();
    pause::end(request, Direction::Request);
    if request.inbound.is_changed() {
        headers::request::set_length(r, request.inbound.passed.get());
    }
    if request.is_entered.get() {
        return After::Nothing;
    }
    r.run_phases_when_called();
    After::RunPhases(r)
}

/// Nothing more of the body is read, so the connection cannot serve another request.
pub(super) fn stop_reading(request: &Request) {
    let r = request.r();
    if request.is_subrequest() {
        // The body that its filters look at is the main request's, which has been read, and is not theirs to end.
        request.reread.take();
        r.block_reading();
        return;
    }
    r.block_reading();
    r.connection().stop_read_timer();
    r.skip_frames();
    // Of a body in chunks, nginx may have read more than the body: the next request, which would be lost.
    let is_whole =
        r.request_body().is_some_and(|body| body.rest() == 0 && body.buf().is_none_or(|buf| buf.is_used_up()));
    if !is_whole {
        end_connection(r);
    }
    drop_body(r);
}

/// What has come of the body is of no use, and the rest will not come: whoever answers now, such as the upstream of an error
/// page, must not wait for it. (Upstreams are sent what the body's chain has, as many bytes as the headers say.)
fn drop_body(r: HttpRequest<'_>) {
    if let Some(body) = r.request_body() {
        body.set_bufs(Chain::EMPTY);
    }
    r.set_body_chunked(false);
    headers::request::set_length(r, 0);
}

/// Nothing follows the request on its connection, and nobody reads the rest of its body.
pub(super) fn end_connection(r: HttpRequest<'_>) {
    r.set_keepalive(false);
    r.set_lingering_close(true);
    r.skip_frames();
    drop_body(r);
}

/// Ends what an upstream does for a request that is finalized from an event of this module.
pub(super) fn end_upstream(r: HttpRequest<'_>) {
    if let Some(upstream) = r.upstream() {
        upstream.end(r);
    }
}

/// Says in the log that a filter would have to hold too much.
pub(super) fn log_too_large(request: &Request) {
    let r = request.r();
    let body_limit::Limit { bytes, source } = body_limit::exceeded(request, LocConf::of(r), Direction::Request);
    r.log().error(format!("a wasm filter holds a request body, or made one, of more than {bytes} bytes ({source})"));
}
