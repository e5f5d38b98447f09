//! What goes out: a chain of nginx goes through the stages of the response, and what leaves the last of them goes on to nginx, with
//! the headers before it if they have waited for it.

use std::borrow::Cow;

use super::{body_filter, decode, header_filter, parts};
use crate::config::loc_conf::LocConf;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chain, Chunk, Direction, Marks, Piece};
use crate::http::request::{Request, Response};
use crate::nginx::{headers, rc};

/// Sends a chain through the stages.
pub(super) fn process(request: &Request, loc: &LocConf, chain: Chain) -> Result<(), Stop> {
    let r = request.r();
    let (chunk, mut marks) = Chunk::of(chain);
    let is_own = request.carrier.get().get() == r;
    if is_own && request.is_subrequest() {
        marks.last = chain.is_last_in_chain();
    }
    if request.no_response_body.get() {
        // Filters were told so with the headers.
        return pass(request, chunk, marks);
    }
    if request.is_decoding() {
        return decode::process(request, loc, chain, marks);
    }
    let has_trailers = marks.last && is_own && headers::trailers::count(r) > 0;
    if has_trailers {
        // The end comes behind the trailers. A buffer of no bytes may go only if it has another meaning
        // (src/core/ngx_buf.h, ngx_buf_special).
        for buf in chain.bufs() {
            if buf.is_last() {
                buf.set_last(false);
                buf.set_sync(true);
            }
            buf.set_last_in_chain(false);
        }
        marks.last = false;
    }
    drive::data(request, loc, Direction::Response, 0, chunk, marks)?;
    if has_trailers {
        drive::trailers(request, loc, Direction::Response, 0)?;
    }
    Ok(())
}

/// Takes what has passed the last stage.
pub fn pass(request: &Request, chunk: Chunk, marks: Marks) -> Result<(), Stop> {
    let r = request.r();
    let outbound = &request.outbound;
    if !request.has_reached(Response::Gone) {
        if chunk.len() == 0 && !marks.last {
            return Ok(());
        }
        let is_told = outbound.told_length.get().is_some();
        if r.content_length() >= 0 && (is_told || outbound.is_changed()) {
            // All of it is there, or nobody knows how much there will be. Filters' word for it is taken then.
            if marks.last {
                headers::response::set_length(r, Some(chunk.len() as u64));
            } else if !is_told {
                headers::response::set_length(r, None);
            }
        }
        header_filter::send(request)?;
    }
    if request.discard_body.get() {
        // Lua has answered in the response's place when it saw the headers.
        drop_chain(chunk);
        outbound.ended.set(true);
        let other = request.other_body.replace(Chain::EMPTY);
        let code = if other.is_empty() { rc::OK } else { body_filter::hand_on(r, parts::sender(request), other) };
        return if code == rc::ERROR { Err(Stop::Nginx(code)) } else { Ok(()) };
    }
    outbound.passed.set(outbound.passed.get() + chunk.len() as u64);
    outbound.ended.set(outbound.ended.get() | marks.last);
    if outbound.is_changed() || outbound.told_length.get().is_some() {
        check_length(request, marks.last)?;
    }
    if r.is_header_only() {
        // nginx has found out that there is no body.
        drop_chain(chunk);
        return Ok(());
    }
    let (chain, is_own) = match chunk {
        Chunk::Chain { head, .. } => (head, false),
        Chunk::Bytes(bytes) if bytes.is_empty() && !marks.last && !marks.flush => return Ok(()),
        Chunk::Bytes(bytes) => {
            let chain = outbound.output.borrow_mut().chain(r.pool(), bytes, marks, request.is_subrequest());
            (chain.ok_or(Stop::Nginx(rc::ERROR))?, true)
        }
    };
    let code = body_filter::hand_on(r, parts::sender(request), chain);
    if is_own {
        // nginx's filters make links of their own.
        chain.free_links(r.pool());
    }
    outbound.output.borrow_mut().reclaim();
    if code == rc::ERROR { Err(Stop::Nginx(code)) } else { Ok(()) }
}

fn drop_chain(chunk: Chunk) {
    if let Chunk::Chain { head, .. } = chunk {
        head.consume();
    }
}

/// The client has been told a length. With another one, it would take the end of this response for the next.
fn check_length(request: &Request, is_end: bool) -> Result<(), Stop> {
    let r = request.r();
    let passed = request.outbound.passed.get();
    let Ok(told) = u64::try_from(r.content_length()) else { return Ok(()) };
    if passed <= told && (!is_end || passed == told) {
        return Ok(());
    }
    let line: Cow<str> = match request.outbound.told_length.get() {
        Some(_) => format!(
            "a wasm filter gave a response a content-length of {told}, and its body has {}: the connection is closed",
            if passed > told { "more bytes".to_owned() } else { format!("{passed} bytes") }
        )
        .into(),
        None => "a wasm filter changed the length of a response body whose content-length has been sent: remove that \
                 header in on_response_headers; the connection is closed"
            .into(),
    };
    r.log().error(line.as_bytes());
    Err(Stop::Nginx(rc::ERROR))
}
