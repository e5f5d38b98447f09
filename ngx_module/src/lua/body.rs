//! on_request_body and on_response_body of filters that Lua runs. Lua brings the bytes, and takes what the filter makes of
//! them.

use std::rc::Rc;

use nginx_sys::{ngx_int_t, ngx_str_t};
use ngx_wasm::proxy_wasm::{Action, BufferType, Callback};

use super::context::PluginContext;
use super::pause::PAUSED;
use super::run::{ANSWER, CallbackEnd, call, waits_for_calls};
use super::runs::{note_failure, run_of};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::flow::Direction;
use crate::http::request::Request;
use crate::http::seat::{Seat, SeatBody};
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

/// `ngx_http_wasm_on_body`: the filter has changed the body.
pub const CHANGED: ngx_int_t = 2;
/// `ngx_http_wasm_on_body`: the filter holds the body until more of it comes.
pub const HELD: ngx_int_t = 3;

/// A piece of a body, as Lua has it.
pub struct Piece<'a> {
    /// Of the response, and not of the request.
    pub is_response: bool,
    pub bytes: &'a [u8],
    /// Nothing comes behind it.
    pub is_end: bool,
}

/// Runs on_request_body or on_response_body: 0, [`ANSWER`], [`CHANGED`] with the bytes in `changed`, which Lua
/// copies at once, [`HELD`], [`PAUSED`]. `None`: it failed, and the log says why.
pub fn on_body(
    plugin: &Rc<PluginContext>,
    r: HttpRequest<'_>,
    piece: &Piece<'_>,
    changed: &mut ngx_str_t,
) -> Option<ngx_int_t> {
    let result = run(plugin, r, piece, changed);
    if result.is_none() {
        let request = Request::of(r);
        if !piece.is_response {
            if let Some(request) = request {
                note_failure(request, plugin);
            }
        } else if !request.is_some_and(|request| request.is_replaced.get()) {
            // What Lua sees now would not leave where an answer has taken its place.
            spoil(r);
        }
    }
    result
}

fn run(
    plugin: &Rc<PluginContext>,
    r: HttpRequest<'_>,
    piece: &Piece<'_>,
    changed: &mut ngx_str_t,
) -> Option<ngx_int_t> {
    let Piece { is_response, bytes, is_end } = *piece;
    let (direction, buffer, callback) = match is_response {
        true => (Direction::Response, BufferType::ResponseBody, Callback::OnResponseBody),
        false => (Direction::Request, BufferType::RequestBody, Callback::OnRequestBody),
    };
    // What the filter holds comes first, and all of it is shown again.
    let known = Request::of(r);
    let held = known.and_then(|request| run_of(request, plugin)).map(|run| run.held.take());
    let mut all = held.unwrap_or_default();
    let was_held = !all.is_empty();
    all.extend_from_slice(bytes);
    if let Some(request) = known.filter(|_| was_held)
        && all.len() > limit_of(request, plugin, direction)
    {
        plugin.log_failed_callback(request, "holds more of a body than its buffer may have");
        return None;
    }
    let len = u32::try_from(all.len()).ok()?;
    let shown = SeatBody { buffer, bytes: all, is_changed: false, was_held, is_too_large: false };
    let (request, outcome) = call(plugin, r, is_response, Some(shown), |context, vm, host| {
        if !vm.has(callback) {
            return Ok(Action::Continue);
        }
        match is_response {
            true => vm.on_response_body(context, len, is_end, host),
            false => vm.on_request_body(context, len, is_end, host),
        }
    })?;
    if let CallbackEnd::Skipped = outcome {
        return Some(rc::OK);
    }
    let run = run_of(request, plugin)?;
    let body = run.body.take()?;
    if body.is_too_large {
        return too_large(request, plugin);
    }
    match outcome {
        CallbackEnd::Answered if is_response => {
            request.local_response.take();
            plugin.log_failed_callback(request, "answered after the headers of the response had gone");
            None
        }
        CallbackEnd::Answered => Some(ANSWER),
        CallbackEnd::Done(Action::Continue) if !is_response && waits_for_calls(request, plugin) => {
            run.body.replace(Some(body));
            Some(PAUSED)
        }
        CallbackEnd::Skipped | CallbackEnd::Done(Action::Continue) => show(request, plugin, body, changed),
        CallbackEnd::Done(_) if is_end && is_response => {
            plugin.log_failed_callback(request, "paused at the end of a response body, for which Lua cannot wait");
            None
        }
        CallbackEnd::Done(action) if is_end => {
            let dropped = action == Action::PauseAndDrop;
            let kept = if dropped { SeatBody { bytes: Vec::new(), is_changed: true, ..body } } else { body };
            run.body.replace(Some(kept));
            Some(PAUSED)
        }
        CallbackEnd::Done(action) => {
            let held = if action == Action::PauseAndDrop { Vec::new() } else { body.bytes };
            if held.len() > limit_of(request, plugin, direction) {
                plugin.log_failed_callback(request, "holds more of a body than its buffer may have");
                return None;
            }
            run.held.replace(held);
            Some(HELD)
        }
    }
}

/// Lets no more of a response leave. What the filter could not look at is missing from it, and whoever gets it must not take it for
/// whole, nor the next response on the connection for the rest: nginx closes that.
pub fn spoil(r: HttpRequest<'_>) {
    r.set_keepalive(false);
    r.connection().set_error();
}

/// Gives Lua what the filter has made of a body. Lua copies `changed` at once.
pub fn show(
    request: &Request,
    plugin: &Rc<PluginContext>,
    body: SeatBody,
    changed: &mut ngx_str_t,
) -> Option<ngx_int_t> {
    if body.is_too_large {
        return too_large(request, plugin);
    }
    if !body.is_changed && !body.was_held {
        return Some(rc::OK);
    }
    // The next piece takes its place.
    let run = run_of(request, plugin)?;
    let mut kept = run.changed.borrow_mut();
    *kept = body.bytes;
    *changed = ngx_str_t { len: kept.len(), data: kept.as_mut_ptr() };
    Some(CHANGED)
}

fn too_large(request: &Request, plugin: &PluginContext) -> Option<ngx_int_t> {
    plugin.log_failed_callback(request, "made a body larger than its buffer may be");
    None
}

/// How much of a body it may hold.
fn limit_of(request: &Request, plugin: &PluginContext, direction: Direction) -> usize {
    body_limit::of(request, LocConf::of(request.r()), direction, plugin.plugin().module.of_higress()).bytes
}
