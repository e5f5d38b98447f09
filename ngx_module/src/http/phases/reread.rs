//! A request body that nginx has read before filters look at it: another location's filters, or another module, came first.
//! The filters see it piece by piece, and what they make of it takes its place.

use nginx_sys::ngx_int_t;

use super::{body_file, rewrite};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chain, Chunk, Direction, Marks};
use crate::http::request::{Progress, Request, Reread};
use crate::nginx::request_body::{self, RequestBody};
use crate::nginx::{headers, rc};

/// The body is shown in pieces of this size.
const PIECE: usize = 64 << 10;

/// Shows the body, which nginx has read, to the filters that have not seen it. The result is what the handler of the rewrite phase
/// returns.
pub(super) fn begin(request: &Request, loc: &LocConf) -> ngx_int_t {
    // The buffers stay as they are while they are read.
    let body = request.r().request_body().map_or(Chain::EMPTY, RequestBody::bufs);
    let len = body.len();
    let inbound = &request.inbound;
    let first = inbound.body_seen();
    // Without any body, a filter that holds the headers is told of the end: it may decide then.
    if inbound.headers_passed() && (len == 0 || first >= inbound.len()) {
        return rc::DECLINED;
    }
    // A larger one can be looked at, but not changed.
    let of_higress = request.runs.borrow().iter().any(|run| run.of_higress);
    let is_small = len <= body_limit::of(request, loc, Direction::Request, of_higress).bytes;
    request.reread.replace(Some(Reread { kept: is_small.then(Vec::new) }));
    request.progress.set(Progress::Reading);
    inbound.ended.set(false);
    inbound.forget_changes();
    inbound.passed.set(0);
    let mut at = 0;
    loop {
        let mut piece = Vec::new();
        let size = PIECE.min(len - at);
        let result = match body.read(at, size, &mut piece) {
            Err(_) => Err(Stop::Nginx(rc::INTERNAL_SERVER_ERROR)),
            Ok(()) => {
                at += size;
                let marks = Marks { last: at == len, ..Marks::default() };
                drive::data(request, loc, Direction::Request, first, Chunk::Bytes(piece), marks)
            }
        };
        if let Err(stop) = result {
            request.reread.take();
            return rewrite::finish(request, stop);
        }
        if at == len {
            break;
        }
    }
    if inbound.ended.get() {
        return match end(request) {
            Ok(()) => rc::DECLINED,
            Err(stop) => rewrite::finish(request, stop),
        };
    }
    match rewrite::wait(request, loc) {
        Ok(()) => rc::DONE,
        Err(_) => rewrite::finish(request, Stop::Nginx(rc::INTERNAL_SERVER_ERROR)),
    }
}

/// Takes what has passed the last filter.
pub(super) fn keep(reread: &mut Reread, chunk: Chunk, is_changed: bool) -> Result<(), Stop> {
    let Some(kept) = &mut reread.kept else {
        return if is_changed { Err(Stop::TooLarge) } else { Ok(()) };
    };
    if let Chunk::Bytes(bytes) = chunk {
        kept.extend_from_slice(&bytes);
    }
    Ok(())
}

/// All of the body has passed the filters.
pub(super) fn end(request: &Request) -> Result<(), Stop> {
    let r = request.r();
    request.progress.set(Progress::Passed);
    request.inbound.end_body();
    let Some(Reread { kept: Some(kept) }) = request.reread.take() else { return Ok(()) };
    if !request.inbound.is_changed() {
        return Ok(());
    }
    headers::request::set_length(r, kept.len() as u64);
    const NO_MEMORY: Stop = Stop::Nginx(rc::INTERNAL_SERVER_ERROR);
    // It shares the structure with the main request, whose body stays as it is.
    let body = if request.is_subrequest() { request_body::own(r) } else { r.request_body() };
    let body = body.ok_or(NO_MEMORY)?;
    body.set_bufs(Chain::EMPTY);
    // The file has what nginx read.
    body.forget_file();
    let mut chain = Chain::EMPTY;
    if !kept.is_empty() {
        let marks = Marks { last: true, ..Marks::default() };
        let made = request.inbound.output.borrow_mut().chain(r.pool(), kept, marks, false);
        chain = made.ok_or(NO_MEMORY)?;
    }
    if r.is_body_in_file_only() {
        return body_file::write(r, chain).map_err(|body_file::Unwritten| NO_MEMORY);
    }
    body.set_bufs(chain);
    Ok(())
}
