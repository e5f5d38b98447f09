//! `proxy_wasm_decode`: filters see bodies of responses as they were before gzip or deflate. `header_filter.rs` has the
//! headers changed before filters see them ([`begin`]), `body_filter.rs` sends what comes through [`process`]. What goes on is
//! plain; nginx's gzip filter, behind ours, encodes it again where it is on.
//!
//! What cannot be decoded does not pass: a filter that is to look at bodies would be blind to it, and clients choose what
//! upstreams send. So they are asked for nothing else ([`ask`]), and what they send nevertheless is answered with 502.

use nginx_sys::{NGX_HTTP_NO_CONTENT, NGX_HTTP_NOT_MODIFIED, NGX_HTTP_PARTIAL_CONTENT};
use ngx_wasm::content_coding::{Coding, Corrupt, Decoder, Encoding, narrowed};
use ngx_wasm::proxy_wasm::LocalResponse;

use super::{body_filter, header_filter, outgoing};
use crate::config::loc_conf::LocConf;
use crate::http::flow::drive::{self, Stop};
use crate::http::flow::{Chain, Chunk, Direction, Marks};
use crate::http::request::{Request, Response};
use crate::nginx::chain::NoMemory;
use crate::nginx::headers::{self, list};
use crate::nginx::request::HttpRequest;
use crate::nginx::{log, modules, rc};

/// So much of a body is decoded at a time.
const PIECE: usize = 32 << 10;

/// So much of what is encoded is read from a file at a time.
const WINDOW: usize = 8 << 10;

/// Headers about the encoded bytes.
const ABOUT_BYTES: [&[u8]; 6] =
    [b"content-encoding", b"accept-ranges", b"content-md5", b"digest", b"content-digest", b"repr-digest"];

/// Whether the location has bodies decoded. One with `gunzip on` does, unless it says otherwise: nginx would do that behind
/// the filters.
fn is_on(r: HttpRequest<'_>, loc: &LocConf) -> bool {
    loc.decode().unwrap_or_else(|| modules::is_gunzip_on(r))
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

/// Leaves out of Accept-Encoding what cannot be decoded, for the upstream and for filters, which are known. nginx's own modules go
/// on seeing what the client said, when they choose how to answer it.
pub(super) fn ask(request: &Request, loc: &LocConf) {
    let r = request.r();
    if !request.outbound.wants_body() || !is_on(r, loc) {
        return;
    }
    for line in list::of_request(r).lines().filter(|line| line.is(b"accept-encoding")) {
        let Some(value) = narrowed(line.value()) else { continue };
        let is_kept = headers::encoding::keep_accept_encoding(r, line).is_ok();
        if !is_kept || line.set_value(r.pool(), &value).is_err() {
            return;
        }
    }
}

/// Changes the headers of an encoded response into those of a plain one, before filters look at them.
pub(super) fn begin(request: &Request, loc: &LocConf) -> Begun {
    let r = request.r();
    if !request.outbound.wants_body() || !is_on(r, loc) {
        return Begun::Ready;
    }
    let lines = list::of_response(r).lines().filter(|line| line.is(b"content-encoding"));
    let coding = match Encoding::of(lines.map(|line| line.value())) {
        Encoding::Plain => return Begun::Ready,
        Encoding::Known(coding) => Some(coding),
        Encoding::Other => None,
    };
    let status = r.status() as u32;
    let is_never_body = matches!(status, NGX_HTTP_NO_CONTENT | NGX_HTTP_NOT_MODIFIED);
    let is_part = status == NGX_HTTP_PARTIAL_CONTENT;
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
    if r.content_length() != 0 {
        headers::response::set_length(r, None);
    }
    r.set_allow_ranges(false);
    headers::encoding::weaken_etag(r);
    if !headers::response::end_stream(r) {
        let decoding = Decoding { coding, decoder: Decoder::new(coding), used: 0, window: Vec::new() };
        request.decoding.replace(Some(Box::new(decoding)));
    }
    Begun::Ready
}

fn bad_gateway() -> LocalResponse {
    LocalResponse { status: rc::BAD_GATEWAY as u32, ..LocalResponse::default() }
}

/// A response that filters cannot be shown.
fn refuse(r: HttpRequest<'_>, is_part: bool) -> Begun {
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
    r.log().error(log::printable(&line));
    Begun::Refused(bad_gateway())
}

/// Sends an encoded chain through the stages, decoded, as far as they take it now. What is left waits in the request's input.
pub(super) fn process(request: &Request, loc: &LocConf, chain: Chain, marks: Marks) -> Result<(), Stop> {
    let r = request.r();
    let mut rest = chain;
    loop {
        let Piece { bytes, is_end, is_flushed } = match next(request, &mut rest, marks.last) {
            Ok(piece) => piece,
            Err(why) => return Err(spoiled(request, why)),
        };
        let has_trailers = is_end && marks.last && headers::trailers::count(r) > 0;
        let mut piece_marks = marks;
        piece_marks.last = is_end && marks.last && !has_trailers;
        drive::data(request, loc, Direction::Response, 0, Chunk::Bytes(bytes), piece_marks)?;
        if has_trailers {
            drive::trailers(request, loc, Direction::Response, 0)?;
        }
        let outbound = &request.outbound;
        if is_end && is_flushed && outbound.headers_passed() && !outbound.is_held() {
            // The client may wait for the headers before it does what the body comes from.
            let was_gone = request.has_reached(Response::Gone);
            header_filter::send(request)?;
            if !was_gone && marks.flush {
                let mut flush = marks;
                flush.last = false;
                outgoing::pass(request, Chunk::Bytes(Vec::new()), flush)?;
            }
        }
        if is_end {
            return Ok(());
        }
        if !body_filter::can_go(request) {
            return body_filter::wait_first(request, rest).map_err(|NoMemory| Stop::Nginx(rc::ERROR));
        }
    }
}

/// What has been decoded at a time.
struct Piece {
    bytes: Vec<u8>,
    /// All of the chain has been decoded.
    is_end: bool,
    /// The decoder holds nothing back.
    is_flushed: bool,
}

/// Why there is no next piece.
enum Failure {
    Corrupt(Corrupt),
    /// Nginx has logged the reason.
    Unreadable,
    /// Nothing is being decoded.
    Over,
}

/// The next piece from `chain`, which moves behind the buffers that are done. `is_last`: nothing comes behind it.
fn next(request: &Request, chain: &mut Chain, is_last: bool) -> Result<Piece, Failure> {
    let mut decoding = request.decoding.borrow_mut();
    let decoding = decoding.as_mut().ok_or(Failure::Over)?;
    let bytes = decoding.next(chain)?;
    let is_end = chain.is_empty();
    if is_end && is_last {
        decoding.decoder.finish().map_err(Failure::Corrupt)?;
    }
    Ok(Piece { bytes, is_end, is_flushed: decoding.decoder.is_flushed() })
}

impl Decoding {
    /// The next piece, from the buffers of `chain`, which moves behind those that are done. Nobody else takes anything of it
    /// meanwhile.
    fn next(&mut self, chain: &mut Chain) -> Result<Vec<u8>, Failure> {
        let mut piece = Vec::with_capacity(PIECE);
        while let Some((buf, behind)) = chain.split_first() {
            let len = buf.len();
            self.window.clear();
            let size = WINDOW.min(len - self.used);
            buf.read(self.used, size, &mut self.window).map_err(|_| Failure::Unreadable)?;
            self.used += self.decoder.decode(&self.window, &mut piece).map_err(Failure::Corrupt)?;
            if piece.len() == piece.capacity() {
                // The decoder may have more of what it took.
                return Ok(piece);
            }
            if self.used == len {
                // Its producer may use the buffer again.
                buf.consume();
                self.used = 0;
                *chain = behind;
            }
        }
        piece.shrink_to_fit();
        Ok(piece)
    }
}

/// Says in the log why a body cannot be decoded, and what becomes of it.
fn spoiled(request: &Request, why: Failure) -> Stop {
    let Failure::Corrupt(why) = why else { return Stop::Nginx(rc::ERROR) };
    let coding = match request.decoding.borrow().as_ref().map(|decoding| decoding.coding) {
        Some(Coding::Deflate) => "deflate",
        _ => "gzip",
    };
    let is_gone = request.has_reached(Response::Gone);
    let outcome = if is_gone { "the connection is closed" } else { "it is answered with 502" };
    request.r().log().error(format!(
        "the {coding} body of a response cannot be decoded for wasm filters (proxy_wasm_decode): {why}; {outcome}"
    ));
    if is_gone {
        return Stop::Nginx(rc::ERROR);
    }
    request.answer(bad_gateway());
    Stop::Answered
}
