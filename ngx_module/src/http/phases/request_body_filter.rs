//! Filter of request bodies: what nginx has decoded of a body goes through the filters, on_request_body of each, and what leaves
//! the last one goes on to nginx, which keeps it or passes it on.

use nginx_sys::{ngx_chain_t, ngx_http_request_t, ngx_int_t, ngx_uint_t};

use super::pause::{self, CannotWait};
use super::{intercept, request_body, reread, rewrite};
use crate::config::loc_conf::LocConf;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chain, Chunk, Direction, Marks, Piece};
use crate::http::request::{Progress, Request, Sight};
use crate::nginx::callback::callback;
use crate::nginx::chain::Buf;
use crate::nginx::filters::next_request_body;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, rc};

/// As nginx has it, in versions that know HTTP/3 (src/http/ngx_http_request.h, NGX_HTTP_VERSION_30).
const HTTP_3: ngx_uint_t = 3000;

/// With so many bytes of our own waiting for a slow upstream, the client has to wait too.
const MOST_WAITING: usize = 256 << 10;

callback! {
    pub(super) fn filter(r: HttpRequest<'_> = *mut ngx_http_request_t, chain: Chain = *mut ngx_chain_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => take
}

fn take(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    if !r.is_main() {
        return next_request_body(r, chain);
    }
    let Some(request) = Request::of(r) else { return next_request_body(r, chain) };
    if r.http_version() != HTTP_3 {
        return go_through(request, chain);
    }
    let has_come = request.inbound.has_come.get();
    request.inbound.has_come.set(has_come || chain.bufs().any(Buf::is_last));
    let code = go_through(request, chain);
    // nginx takes it that there is more to be read whenever it asks filters for what they have kept, and would wait for that for ever
    // (src/http/v3/ngx_http_v3_request.c, ngx_http_v3_request_body_filter).
    if has_come {
        r.request_body().into_iter().for_each(|body| body.set_rest(0));
    }
    code
}

fn go_through(request: &Request, chain: Chain) -> ngx_int_t {
    let r = request.r();
    if let Some(stop) = request.stopped.take() {
        request.stopped.set(Some(stop));
        chain.consume();
        return rc::OK;
    }
    let is_shown = request.progress.get() == Progress::Reading || request.streams_body();
    if !is_shown || request.inbound.ended.get() {
        // nginx asks for what is left when a filter has let the end go; it has all of it then, and would put the body into
        // its file once more (src/http/ngx_http_request_body.c, ngx_http_request_body_save_filter).
        if is_shown && chain.is_empty() && r.request_body().is_some_and(|body| body.is_last_saved()) {
            return rc::OK;
        }
        return next_request_body(r, chain);
    }
    request.inbound.output.borrow_mut().reclaim();
    let is_full = request.streams_body() && request.inbound.output.borrow().waiting() > MOST_WAITING;
    if chain.is_empty() {
        if !is_full && !request.request_input.get().is_empty() {
            let input = request.request_input.replace(Chain::EMPTY);
            let code = show(request, input);
            input.free_links(r.pool());
            if code != rc::OK {
                return code;
            }
        }
        return match park_later(request) {
            Ok(()) => next_request_body(r, chain),
            Err(CannotWait) => rc::INTERNAL_SERVER_ERROR,
        };
    }
    let mut input = request.request_input.get();
    if is_full || !input.is_empty() {
        // The upstream is slower than the client. nginx reads no more while a buffer of its own is not used up, and
        // asks again when the upstream has taken something (src/http/ngx_http_request_body.c,
        // ngx_http_do_read_client_request_body).
        let result = input.append_copy(r.pool(), chain);
        request.request_input.set(input);
        return result.map_or(rc::INTERNAL_SERVER_ERROR, |()| rc::OK);
    }
    show(request, chain)
}

/// Shows a part of the body to the filters. The result is what the body filter returns.
fn show(request: &Request, chain: Chain) -> ngx_int_t {
    let (chunk, marks) = Chunk::of(chain);
    match drive::data(request, LocConf::of(request.r()), Direction::Request, 0, chunk, marks) {
        Ok(()) => park_later(request).map_or(rc::INTERNAL_SERVER_ERROR, |()| rc::OK),
        Err(stop) => {
            chain.consume();
            refuse(request, stop)
        }
    }
}

/// A filter has stopped the request while its body is read. The result is what the body filter returns.
fn refuse(request: &Request, stop: Stop) -> ngx_int_t {
    let r = request.r();
    if let Stop::Nginx(code) = stop {
        return code;
    }
    if request.streams_body() {
        // The upstream is being served. Its module ends that, and the header filter sends an answer in the place of
        // nginx's page.
        request.sight.set(Sight::Held);
        request_body::end_connection(r);
        return match stop {
            Stop::Answered => refuse_with_answer(request),
            stop => rewrite::finish(request, stop),
        };
    }
    request.stopped.set(Some(stop));
    // Nothing is done any more with what has passed the filters before. Nginx wants to use the room again.
    if let Some(body) = r.request_body() {
        body.bufs().consume();
    }
    if request.is_entered.get() {
        return rc::OK;
    }
    pause::post(request, Direction::Request).map_or(rc::INTERNAL_SERVER_ERROR, |()| rc::OK)
}

/// A filter has answered while an upstream is being served.
fn refuse_with_answer(request: &Request) -> ngx_int_t {
    let response = request.local_response.take();
    if let Some(status) = response.as_ref().and_then(|response| intercept::in_phase(request, response)) {
        return status;
    }
    request.local_response.replace(response);
    request.r().set_error_page(true);
    rc::SERVICE_UNAVAILABLE
}

/// nginx starts its clock for the client's next bytes when it returns from a body filter. When there are none, and the
/// request waits for a filter, the event of the direction stops it.
fn park_later(request: &Request) -> Result<(), CannotWait> {
    if request.inbound.waits_for_filter() { pause::post(request, Direction::Request) } else { Ok(()) }
}

/// Takes what has passed the last filter.
pub fn pass(request: &Request, chunk: Chunk, marks: Marks) -> Result<(), Stop> {
    let r = request.r();
    let inbound = &request.inbound;
    inbound.passed.set(inbound.passed.get() + chunk.len() as u64);
    inbound.ended.set(inbound.ended.get() | marks.last);
    if request.streams_body() && inbound.is_changed() {
        check_length(request, marks.last)?;
    }
    if let Some(reread) = &mut *request.reread.borrow_mut() {
        return reread::keep(reread, chunk, inbound.is_changed());
    }
    let (chain, is_own) = match chunk {
        Chunk::Chain { head, .. } => (head, false),
        Chunk::Bytes(bytes) if bytes.is_empty() && !marks.last => return Ok(()),
        Chunk::Bytes(bytes) => {
            let marks = Marks { flush: marks.flush && r.is_body_unbuffered(), ..marks };
            let chain = inbound.output.borrow_mut().chain(r.pool(), bytes, marks, false);
            (chain.ok_or(Stop::Nginx(rc::INTERNAL_SERVER_ERROR))?, true)
        }
    };
    let result = next_request_body(r, chain);
    if is_own {
        // nginx's filters make links of their own.
        chain.free_links(r.pool());
    }
    if result == rc::OK { Ok(()) } else { Err(Stop::Nginx(result)) }
}

/// The upstream has been told the length of a body that is streamed to it, unless all of it came with the headers.
fn check_length(request: &Request, is_end: bool) -> Result<(), Stop> {
    let r = request.r();
    let passed = request.inbound.passed.get();
    if is_end && !is_upstream_begun(r) {
        headers::request::set_length(r, passed);
        return Ok(());
    }
    let Ok(told) = u64::try_from(r.body_length()) else { return Ok(()) };
    if r.is_body_chunked() || (passed <= told && (!is_end || passed == told)) {
        return Ok(());
    }
    r.log().error(
        "a wasm filter changed the length of a request body that is streamed to an upstream, which knows its \
         content-length: remove that header in on_request_headers, or turn proxy_request_buffering on",
    );
    Err(Stop::Failed)
}

/// Whether the request to the upstream has been made. Nginx counts the bytes of chunks for it before filters see them. The
/// connection to an upstream begins when its request is complete (src/http/ngx_http_upstream.c, ngx_http_upstream_init_request),
/// which is also when its cleanup is there.
fn is_upstream_begun(r: HttpRequest<'_>) -> bool {
    r.upstream().is_some_and(|upstream| upstream.is_at_work())
}
