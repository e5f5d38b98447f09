//! on_request_body and on_response_body of filters that Lua runs. Lua brings the bytes, and takes what the filter makes of
//! them.

use std::ffi::{c_int, c_void};
use std::rc::Rc;

use nginx_sys::{ngx_http_request_t, ngx_int_t, ngx_str_t, u_char};
use ngx_wasm::proxy_wasm::{Action, BufferType, Callback};

use super::plugin::PluginContext;
use super::{ANSWER, Outcome, PAUSED, bytes, call, note_failure, request_of, waits_for_calls};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::flow::Direction;
use crate::http::request::Request;
use crate::http::seat::{Seat, SeatBody};
use crate::nginx::guard::guard;
use crate::nginx::rc;

/// `ngx_http_wasm_on_body`: the filter has changed the body.
const CHANGED: ngx_int_t = 2;
/// `ngx_http_wasm_on_body`: the filter holds the body until more of it comes.
const HELD: ngx_int_t = 3;

/// Runs on_request_body, or on_response_body when `is_response`: 0, [`ANSWER`], [`CHANGED`] with the bytes in `changed`,
/// [`HELD`], [`PAUSED`], or NGX_ERROR with the reason in the log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_on_body(
    context: *mut c_void,
    r: *mut ngx_http_request_t,
    is_response: c_int,
    body: *const u_char,
    size: usize,
    is_end: c_int,
    changed: *mut ngx_str_t,
) -> ngx_int_t {
    // SAFETY: Lua holds the plugin context, passes its current request, a string, and a string to fill.
    guard(rc::ERROR, || unsafe {
        let context = context.cast::<PluginContext>();
        Rc::increment_strong_count(context);
        let plugin = Rc::from_raw(context);
        let result = run(&plugin, r, is_response != 0, bytes(body, size), is_end != 0, changed);
        // What Lua sees now does not leave where an answer has taken its place.
        let is_replaced = request_of(r).is_some_and(|request| request.is_replaced.get());
        if result.is_none() {
            if is_response == 0 {
                note_failure(&plugin, r);
            } else if !is_replaced {
                spoil(r);
            }
        }
        result.unwrap_or(rc::ERROR)
    })
}

unsafe fn run(
    plugin: &Rc<PluginContext>,
    r: *mut ngx_http_request_t,
    is_response: bool,
    piece: &[u8],
    is_end: bool,
    changed: *mut ngx_str_t,
) -> Option<ngx_int_t> {
    // SAFETY: see `ngx_http_wasm_on_body`.
    unsafe {
        let (direction, buffer, callback) = match is_response {
            true => (Direction::Response, BufferType::ResponseBody, Callback::OnResponseBody),
            false => (Direction::Request, BufferType::RequestBody, Callback::OnRequestBody),
        };
        // What the filter holds comes first, and all of it is shown again.
        let mut all = take_held(r, plugin);
        let was_held = !all.is_empty();
        all.extend_from_slice(piece);
        if was_held && all.len() > limit_of(r, plugin, direction) {
            plugin.complain(r, "holds more of a body than its buffer may have");
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
        if let Outcome::Skipped = outcome {
            return Some(rc::OK);
        }
        let body = request.lua_run(plugin)?.body.take()?;
        if body.is_too_large {
            return too_large(r, plugin);
        }
        match outcome {
            Outcome::Answered if is_response => {
                request.local_response.take();
                plugin.complain(r, "answered after the headers of the response had gone");
                None
            }
            Outcome::Answered => Some(ANSWER),
            Outcome::Done(Action::Continue) if !is_response && waits_for_calls(request, plugin) => {
                request.lua_run(plugin)?.body = Some(body);
                Some(PAUSED)
            }
            Outcome::Skipped | Outcome::Done(Action::Continue) => show(request, plugin, body, changed),
            Outcome::Done(_) if is_end && is_response => {
                plugin.complain(r, "paused at the end of a response body, for which Lua cannot wait");
                None
            }
            Outcome::Done(action) if is_end => {
                let dropped = action == Action::PauseAndDrop;
                let kept = if dropped { SeatBody { bytes: Vec::new(), is_changed: true, ..body } } else { body };
                request.lua_run(plugin)?.body = Some(kept);
                Some(PAUSED)
            }
            Outcome::Done(action) => {
                let held = if action == Action::PauseAndDrop { Vec::new() } else { body.bytes };
                if held.len() > limit_of(r, plugin, direction) {
                    plugin.complain(r, "holds more of a body than its buffer may have");
                    return None;
                }
                request.lua_run(plugin)?.held = held;
                Some(HELD)
            }
        }
    }
}

/// Lets no more of a response leave. What the filter could not look at is missing from it, and whoever gets it must not take it for
/// whole, nor the next response on the connection for the rest: nginx closes that.
pub unsafe fn spoil(r: *mut ngx_http_request_t) {
    // SAFETY: Lua's current request is live, and has a connection.
    unsafe {
        (*r).set_keepalive(0);
        (*(*r).connection).set_error(1);
    }
}

/// Gives Lua what the filter has made of a body.
///
/// # Safety
/// `request` belongs to a live request, and `changed` to Lua, which copies the string at once.
pub unsafe fn show(
    request: &Request,
    plugin: &Rc<PluginContext>,
    body: SeatBody,
    changed: *mut ngx_str_t,
) -> Option<ngx_int_t> {
    // SAFETY: see above.
    unsafe {
        if body.is_too_large {
            return too_large(request.r().as_ptr(), plugin);
        }
        if !body.is_changed && !body.was_held {
            return Some(rc::OK);
        }
        // The next piece takes its place.
        let run = request.lua_run(plugin)?;
        run.changed = body.bytes;
        *changed = ngx_str_t { len: run.changed.len(), data: run.changed.as_mut_ptr() };
        Some(CHANGED)
    }
}

unsafe fn too_large(r: *mut ngx_http_request_t, plugin: &PluginContext) -> Option<ngx_int_t> {
    // SAFETY: the callers pass a live request.
    unsafe { plugin.complain(r, "made a body larger than its buffer may be") };
    None
}

/// How much of a body it may hold.
unsafe fn limit_of(r: *mut ngx_http_request_t, plugin: &PluginContext, direction: Direction) -> usize {
    // SAFETY: the callers pass a live request, which is known since the filter holds something of it.
    unsafe {
        request_of(r).map_or(0, |request| {
            body_limit::of(request, LocConf::of(request.r()), direction, plugin.plugin().of_higress()).bytes
        })
    }
}

/// What the filter holds of a body in this request.
unsafe fn take_held(r: *mut ngx_http_request_t, plugin: &Rc<PluginContext>) -> Vec<u8> {
    // SAFETY: see `ngx_http_wasm_on_body`.
    unsafe {
        let Some(request) = request_of(r) else { return Vec::new() };
        request.lua_run(plugin).map(|run| std::mem::take(&mut run.held)).unwrap_or_default()
    }
}
