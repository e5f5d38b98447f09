//! A request body that nginx has read before filters look at it: another location's filters, or another module, came first.
//! The filters see it piece by piece, and what they make of it takes its place.

use nginx_sys::{ngx_http_request_body_t, ngx_int_t, ngx_pcalloc};

use super::{body_file, rewrite};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chunk, Direction, Marks};
use crate::http::request::{Progress, Request, Reread};
use crate::nginx::{headers, rc};

/// The body is shown in pieces of this size.
const PIECE: usize = 64 << 10;

/// Shows the body to the filters that have not seen it. The result is what the phase handler returns.
///
/// # Safety
/// `request` belongs to a live request in the rewrite phase, whose body nginx has read.
pub(super) unsafe fn begin(request: *mut Request, loc: &LocConf) -> ngx_int_t {
    // SAFETY: see above. The buffers stay as they are while they are read.
    unsafe {
        let r = (*request).r;
        let (body, _) = Chunk::of((*(*r).request_body).bufs);
        let len = body.len();
        let inbound = &raw mut (*request).inbound;
        let first = (*inbound).body;
        // Without any body, a filter that holds the headers is told of the end: it may decide then.
        if (*inbound).headers_passed() && (len == 0 || first >= (*inbound).stages.len()) {
            return rc::DECLINED;
        }
        // A larger one can be looked at, but not changed.
        let of_higress = (*inbound).stages.iter().any(|stage| stage.of_higress);
        let is_small = len <= body_limit::of(request, loc, Direction::Request, of_higress).bytes;
        (*request).reread = Some(Reread { kept: is_small.then(Vec::new) });
        (*request).progress = Progress::Reading;
        (*inbound).ended = false;
        (*inbound).changed = false;
        (*inbound).passed = 0;
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
                (*request).reread = None;
                return rewrite::finish(request, stop);
            }
            if at == len {
                break;
            }
        }
        if (*inbound).ended {
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
///
/// # Safety
/// As [`begin`].
pub(super) unsafe fn end(request: *mut Request) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        (*request).progress = Progress::Passed;
        (*request).inbound.body = (*request).inbound.stages.len();
        let Some(Reread { kept: Some(kept) }) = (*request).reread.take() else { return Ok(()) };
        if !(*request).inbound.changed {
            return Ok(());
        }
        headers::request::set_length(r, kept.len() as u64);
        if (*request).is_subrequest() {
            // It shares the structure with the main request, whose body stays as it is.
            let own = ngx_pcalloc((*r).pool, size_of::<ngx_http_request_body_t>()).cast::<ngx_http_request_body_t>();
            if own.is_null() {
                return Err(Stop::Nginx(rc::INTERNAL_SERVER_ERROR));
            }
            own.write((*r).request_body.read());
            (*r).request_body = own;
        }
        let body = (*r).request_body;
        (*body).bufs = std::ptr::null_mut();
        // The file has what nginx read.
        (*body).temp_file = std::ptr::null_mut();
        let mut chain = std::ptr::null_mut();
        if !kept.is_empty() {
            let marks = Marks { last: true, ..Marks::default() };
            let made = (*request).inbound.output.chain((*r).pool, kept, marks, false);
            chain = made.ok_or(Stop::Nginx(rc::INTERNAL_SERVER_ERROR))?;
        }
        if (*r).request_body_in_file_only() != 0 {
            let written = body_file::write(r, chain);
            return written.map_err(|body_file::Unwritten| Stop::Nginx(rc::INTERNAL_SERVER_ERROR));
        }
        (*body).bufs = chain;
    }
    Ok(())
}
