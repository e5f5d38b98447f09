//! `proxy_wasm_decode`: filters see bodies of responses as they were before gzip or deflate. `header_filter.rs` has the
//! headers changed before filters see them ([`begin`]), `body_filter.rs` sends what comes through [`process`]. What goes on is
//! plain; nginx's gzip filter, behind ours, encodes it again where it is on.
//!
//! What cannot be decoded does not pass: a filter that is to look at bodies would be blind to it, and clients choose what
//! upstreams send. So they are asked for nothing else ([`ask`]), and what they send nevertheless is answered with 502.

use nginx_sys::{NGX_LOG_ERR, ngx_chain_t, ngx_flag_t, ngx_http_request_t, ngx_http_weak_etag};
use ngx_wasm::content_coding::{Coding, Corrupt, Decoder, Encoding, narrowed};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::{body_filter, header_filter};
use crate::config::loc_conf::LocConf;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chunk, Direction, Marks, buf_len};
use crate::http::local_response::NoMemory;
use crate::http::request::Request;
use crate::nginx::headers::{self, list};
use crate::nginx::modules::{self, Known};
use crate::nginx::{log, pool, rc};

/// So much of a body is decoded at a time.
const PIECE: usize = 32 << 10;

/// So much of what is encoded is read from a file at a time.
const WINDOW: usize = 8 << 10;

/// Headers about the encoded bytes.
const ABOUT_BYTES: [&[u8]; 6] =
    [b"content-encoding", b"accept-ranges", b"content-md5", b"digest", b"content-digest", b"repr-digest"];

/// Whether the location has bodies decoded. One with `gunzip on` does, unless it says otherwise: nginx would do that behind
/// the filters.
unsafe fn is_on(r: *mut ngx_http_request_t, loc: &LocConf) -> bool {
    if let Some(said) = loc.decode() {
        return said;
    }
    // SAFETY: the request is live; the configuration of that module begins with the flag of its directive
    // (src/http/modules/ngx_http_gunzip_filter_module.c, ngx_http_gunzip_conf_t).
    unsafe {
        let conf = modules::loc_conf((*r).loc_conf, Known::Gunzip).cast::<ngx_flag_t>();
        !conf.is_null() && *conf == 1
    }
}

/// The state of a response that is being decoded.
pub struct Decoding {
    coding: Coding,
    decoder: Decoder,
    /// So many bytes of the first buffer that waits have been decoded. It counts as sent when all of it is.
    used: usize,
    window: Vec<u8>,
}

/// What has become of the headers.
pub(super) enum Begun {
    /// The filters may look at them.
    Ready,
    /// Another response has to take the place of one that cannot be decoded.
    Refused(LocalResponse),
}

/// Leaves out of Accept-Encoding what cannot be decoded, for the upstream and for filters. nginx's own modules go on seeing
/// what the client said, when they choose how to answer it.
///
/// # Safety
/// `request` belongs to a live request, whose filters are known and whose location has the configuration `loc`; here and
/// below.
pub(super) unsafe fn ask(request: *mut Request, loc: &LocConf) {
    // SAFETY: see above. The lines are in the request's pool, and so is what takes their place.
    unsafe {
        let r = (*request).r;
        if !(*request).outbound.wants_body() || !is_on(r, loc) {
            return;
        }
        for line in list::lines(&raw mut (*r).headers_in.headers) {
            if !list::is(line, b"accept-encoding") {
                continue;
            }
            let Some(value) = narrowed((*line).value.as_bytes()) else { continue };
            let Some(value) = pool::copy((*r).pool, &value) else { return };
            #[cfg(ngx_feature = "http_gzip")]
            if (*r).headers_in.accept_encoding == line {
                let Some(own) = pool::own((*r).pool, *line) else { return };
                (*r).headers_in.accept_encoding = own;
            }
            (*line).value = value;
        }
    }
}

/// Changes the headers of an encoded response into those of a plain one, before filters look at them.
pub(super) unsafe fn begin(request: *mut Request, loc: &LocConf) -> Begun {
    // SAFETY: see `ask`.
    unsafe {
        let r = (*request).r;
        if !(*request).outbound.wants_body() || !is_on(r, loc) {
            return Begun::Ready;
        }
        let coding = {
            let lines = list::lines(&raw mut (*r).headers_out.headers);
            let values = lines.filter(|line| list::is(*line, b"content-encoding")).map(|line| (*line).value.as_bytes());
            match Encoding::of(values) {
                Encoding::Plain => return Begun::Ready,
                Encoding::Known(coding) => Some(coding),
                Encoding::Other => None,
            }
        };
        let status = (*r).headers_out.status as u32;
        let is_never_body = matches!(status, nginx_sys::NGX_HTTP_NO_CONTENT | nginx_sys::NGX_HTTP_NOT_MODIFIED);
        let is_part = status == nginx_sys::NGX_HTTP_PARTIAL_CONTENT;
        let Some(coding) = coding.filter(|_| !is_part) else {
            if is_never_body {
                return Begun::Ready;
            }
            return refuse(r, is_part);
        };
        for name in ABOUT_BYTES {
            if headers::response::remove(r, name).is_err() {
                return Begun::Refused(bad_gateway());
            }
        }
        if (*r).headers_out.content_length_n != 0 {
            headers::response::set_length(r, None);
        }
        (*r).set_allow_ranges(0);
        ngx_http_weak_etag(r);
        if !headers::response::end_stream(r) {
            (*request).decoding =
                Some(Box::new(Decoding { coding, decoder: Decoder::new(coding), used: 0, window: Vec::new() }));
        }
        Begun::Ready
    }
}

fn bad_gateway() -> LocalResponse {
    LocalResponse { status: rc::BAD_GATEWAY as u32, ..LocalResponse::default() }
}

/// A response that filters cannot be shown.
unsafe fn refuse(r: *mut ngx_http_request_t, is_part: bool) -> Begun {
    // SAFETY: see `ask`.
    unsafe {
        let line = if is_part {
            "a part (206) of an encoded response cannot be decoded for wasm filters (proxy_wasm_decode): it is answered with \
             502; say \"proxy_set_header Range '';\" or \"proxy_wasm_decode off;\""
                .to_owned()
        } else {
            let mut value = Vec::new();
            headers::response::get(r, b"content-encoding", &mut value);
            format!(
                "a response with content-encoding \"{}\" cannot be decoded for wasm filters (proxy_wasm_decode): it is \
                 answered with 502; say \"proxy_set_header Accept-Encoding gzip;\" or \"proxy_wasm_decode off;\"",
                value.escape_ascii()
            )
        };
        log::write(NGX_LOG_ERR, (*(*r).connection).log, log::printable(&line));
        Begun::Refused(bad_gateway())
    }
}

/// Sends an encoded chain through the stages, decoded, as far as they take it now. What is left waits in the request's input.
pub(super) unsafe fn process(
    request: *mut Request,
    loc: &LocConf,
    chain: *mut ngx_chain_t,
    marks: Marks,
) -> Result<(), Stop> {
    // SAFETY: see `ask`.
    unsafe {
        let r = (*request).r;
        let mut link = chain;
        loop {
            let Some(decoding) = (*request).decoding.as_mut() else { return Err(Stop::Nginx(rc::ERROR)) };
            let piece = match decoding.next(&mut link) {
                Ok(piece) => piece,
                Err(why) => return Err(spoiled(request, why)),
            };
            let is_end = link.is_null();
            if is_end
                && marks.last
                && let Err(why) = decoding.decoder.finish()
            {
                return Err(spoiled(request, Failure::Corrupt(why)));
            }
            let is_flushed = decoding.decoder.is_flushed();
            let has_trailers = is_end && marks.last && headers::trailers::count(r) > 0;
            let mut piece_marks = marks;
            piece_marks.last = is_end && marks.last && !has_trailers;
            drive::data(request, loc, Direction::Response, 0, Chunk::Bytes(piece), piece_marks)?;
            if has_trailers {
                drive::trailers(request, loc, Direction::Response, 0)?;
            }
            let outbound = &(*request).outbound;
            if is_end && is_flushed && outbound.headers_passed() && !outbound.is_held() {
                // The client may wait for the headers before it does what the body comes from.
                let was_gone = (*request).response_gone;
                header_filter::send(request)?;
                if !was_gone && marks.flush {
                    let mut flush = marks;
                    flush.last = false;
                    body_filter::pass(request, loc, Chunk::Bytes(Vec::new()), flush)?;
                }
            }
            if is_end {
                return Ok(());
            }
            if !body_filter::can_go(request) {
                return body_filter::wait_first(request, link).map_err(|NoMemory| Stop::Nginx(rc::ERROR));
            }
        }
    }
}

/// Why there is no next piece.
enum Failure {
    Corrupt(Corrupt),
    /// Nginx has logged the reason.
    Unreadable,
}

impl Decoding {
    /// The next piece, from the buffers that begin at `link`, which moves behind those that are done.
    ///
    /// # Safety
    /// `link` is a chain of live buffers, of which nobody else takes anything meanwhile.
    unsafe fn next(&mut self, link: &mut *mut ngx_chain_t) -> Result<Vec<u8>, Failure> {
        let mut piece = Vec::with_capacity(PIECE);
        // SAFETY: see above.
        unsafe {
            while !link.is_null() {
                let len = buf_len((**link).buf);
                self.window.clear();
                let chunk = Chunk::Chain { head: *link, len };
                let size = WINDOW.min(len - self.used);
                chunk.read(self.used, size, &mut self.window).map_err(|_| Failure::Unreadable)?;
                self.used += self.decoder.decode(&self.window, &mut piece).map_err(Failure::Corrupt)?;
                if piece.len() == piece.capacity() {
                    // The decoder may have more of what it took.
                    return Ok(piece);
                }
                if self.used == len {
                    // Its producer may use the buffer again.
                    let buf = (**link).buf;
                    (*buf).pos = (*buf).last;
                    (*buf).file_pos = (*buf).file_last;
                    self.used = 0;
                    *link = (**link).next;
                }
            }
        }
        piece.shrink_to_fit();
        Ok(piece)
    }
}

/// Says in the log why a body cannot be decoded, and what becomes of it.
unsafe fn spoiled(request: *mut Request, why: Failure) -> Stop {
    // SAFETY: see `ask`.
    unsafe {
        let Failure::Corrupt(why) = why else { return Stop::Nginx(rc::ERROR) };
        let coding = match (*request).decoding.as_ref().map(|decoding| decoding.coding) {
            Some(Coding::Deflate) => "deflate",
            _ => "gzip",
        };
        let is_gone = (*request).response_gone;
        let outcome = if is_gone { "the connection is closed" } else { "it is answered with 502" };
        let line = format!(
            "the {coding} body of a response cannot be decoded for wasm filters (proxy_wasm_decode): {why}; {outcome}"
        );
        log::write(NGX_LOG_ERR, (*(*(*request).r).connection).log, line);
        if is_gone {
            return Stop::Nginx(rc::ERROR);
        }
        (*request).local_response = Some(Box::new(bad_gateway()));
        Stop::Answered
    }
}
