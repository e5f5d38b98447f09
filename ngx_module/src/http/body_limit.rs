//! How much of a body filters may hold in a request, or make of it: what the directives say, or what a plugin for Higress has
//! asked for by the properties `set_decoder_buffer_limit` (requests) and `set_encoder_buffer_limit` (responses), up to
//! `proxy_wasm_body_buffer_max`. Plugins for Higress that ask for nothing have as much where the directives say nothing: they
//! are written for gateways that let whole bodies through. `host/` and `flow/` ask on behalf of a filter.

use crate::config::loc_conf::LocConf;
use crate::http::flow::Direction;
use crate::http::request::Request;

/// What a filter has asked for in a request.
#[derive(Clone, Copy)]
pub struct Asked {
    /// What it got.
    bytes: usize,
    /// It wanted more.
    is_capped: bool,
}

/// How much, and what says so, for the log.
#[derive(Clone, Copy)]
pub struct Limit {
    pub bytes: usize,
    pub source: &'static str,
}

const MAX: &str = "proxy_wasm_body_buffer_max";

/// The direction whose limit a property sets.
pub fn direction_of(property: &[u8]) -> Option<Direction> {
    match property {
        b"set_decoder_buffer_limit" => Some(Direction::Request),
        b"set_encoder_buffer_limit" => Some(Direction::Response),
        _ => None,
    }
}

/// A filter sets the limit of this request to the number that `value` has in decimal digits. Less than there is counts too: who
/// asks for it does not want to hold more. Answers whether it is a number.
pub fn ask(request: &Request, direction: Direction, value: &[u8]) -> bool {
    let digits = value.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let Some(digits) = std::str::from_utf8(digits).ok().filter(|_| is_number) else { return false };
    // A number of too many digits is more than anybody gets.
    let wanted = digits.parse().unwrap_or(usize::MAX);
    let r = request.r();
    let loc = LocConf::of(r);
    let most =
        loc.body_buffer_max(r, direction).max(loc.body_buffer(direction).unwrap_or(LocConf::DEFAULT_BODY_BUFFER));
    request.flow(direction).asked.set(Some(Asked { bytes: wanted.min(most), is_capped: wanted > most }));
    true
}

/// The limit for a filter; `of_higress` is whether it has the ABI of that gateway.
pub fn of(request: &Request, loc: &LocConf, direction: Direction, of_higress: bool) -> Limit {
    let directive = match direction {
        Direction::Request => "proxy_wasm_request_body_buffer",
        Direction::Response => "proxy_wasm_response_body_buffer",
    };
    match (request.flow(direction).asked.get(), loc.body_buffer(direction)) {
        (Some(asked), _) => {
            let source = match direction {
                _ if asked.is_capped => MAX,
                Direction::Request => "set_decoder_buffer_limit of a filter",
                Direction::Response => "set_encoder_buffer_limit of a filter",
            };
            Limit { bytes: asked.bytes, source }
        }
        (None, Some(bytes)) => Limit { bytes, source: directive },
        (None, None) if of_higress && loc.body_buffer_max(request.r(), direction) > LocConf::DEFAULT_BODY_BUFFER => {
            Limit { bytes: loc.body_buffer_max(request.r(), direction), source: MAX }
        }
        (None, None) => Limit { bytes: LocConf::DEFAULT_BODY_BUFFER, source: directive },
    }
}

/// The limit that the filters of a direction have passed, or the smallest that there is.
pub fn exceeded(request: &Request, loc: &LocConf, direction: Direction) -> Limit {
    request.flow(direction).exceeded.get().unwrap_or_else(|| of(request, loc, direction, false))
}
