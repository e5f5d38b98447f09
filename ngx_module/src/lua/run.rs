//! Callbacks of filters that Lua runs: what they ask for, and what Lua is told. `body.rs` has those about bodies.

use std::ffi::c_int;
use std::rc::Rc;

use nginx_sys::{ngx_int_t, ngx_str_t};
use ngx_wasm::proxy_wasm::{Action, CallError, Callback, ContextId, LocalResponse, Vm};

use super::body;
use super::context::PluginContext;
use super::pause::PAUSED;
use super::runs::{is_told_of_failure, note_failure, run_for, run_of};
use crate::config::rules::Without;
use crate::filters::instances::Filter;
use crate::http::host::RequestHost;
use crate::http::local_response;
use crate::http::request::{Request, Response};
use crate::http::seat::SeatBody;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, rc};

/// `ngx_http_wasm_on_http`: headers of the request.
const REQUEST_HEADERS: c_int = 1;
/// `ngx_http_wasm_on_http`: headers of the response.
const RESPONSE_HEADERS: c_int = 4;

/// `ngx_http_wasm_on_http`: Lua is to send the answer that `ngx_http_wasm_fetch_local_body` completes.
pub const ANSWER: ngx_int_t = 1;

/// What becomes of a callback: a filter that answered, or a result.
pub enum CallbackEnd {
    Answered,
    /// The filter has failed before, and never saw this request; the request does without it.
    Skipped,
    Done(Action),
}

/// Runs a callback of a filter in Lua's current request, and looks at what it asked for beside its answer. `None`: it failed, and the
/// log says why.
pub fn call<'r>(
    plugin: &Rc<PluginContext>,
    r: HttpRequest<'r>,
    is_response: bool,
    body: Option<SeatBody>,
    callback: impl FnOnce(ContextId, &mut Vm, &mut RequestHost<'_>) -> Result<Action, CallError>,
) -> Option<(&'r Request, CallbackEnd)> {
    // Those of timers and the like.
    if r.is_made_up() {
        return None;
    }
    let request = match Request::of(r) {
        Some(request) => request,
        None => Request::create(r)?,
    };
    let Some(run) = run_for(request, plugin) else {
        if without(plugin) == Without::Closed {
            return None;
        }
        let Some(run) = run_of(request, plugin) else { return Some((request, CallbackEnd::Skipped)) };
        run.body.replace(body);
        return Some((request, CallbackEnd::Done(Action::Continue)));
    };
    if is_response {
        request.reach(Response::Started);
    }
    request.refused.set(false);
    run.is_response.set(is_response);
    run.resumed.set(false);
    // A wait that Lua gave up has left what it was for.
    run.paused.for_calls.set(false);
    run.body.replace(body);
    let action = match plugin.call(request, run.generation, |vm, host| callback(run.context, vm, host)) {
        Some(action) => action,
        None if plugin.plugin().module.policy().without_for_failed() == Without::Open => Action::Continue,
        None => return None,
    };
    if request.closed.take() {
        plugin.log_failed_callback(request, "closed the stream");
        return None;
    }
    if request.refused.get() {
        return None;
    }
    if request.local_response.borrow().is_some() {
        return Some((request, CallbackEnd::Answered));
    }
    Some((request, CallbackEnd::Done(if run.resumed.take() { Action::Continue } else { action })))
}

/// Runs on_request_headers or on_response_headers: 0, [`ANSWER`], [`PAUSED`]. `None`: it failed, and the log says why.
pub fn on_headers(plugin: &Rc<PluginContext>, r: HttpRequest<'_>, kind: c_int) -> Option<ngx_int_t> {
    let is_response = kind == RESPONSE_HEADERS;
    let called = call(plugin, r, is_response, None, |context, vm, host| match kind {
        REQUEST_HEADERS if vm.has(Callback::OnRequestHeaders) => {
            vm.on_request_headers(context, headers::request::count(r), headers::request::end_stream(r), host)
        }
        RESPONSE_HEADERS if vm.has(Callback::OnResponseHeaders) => {
            vm.on_response_headers(context, headers::response::count(r), headers::response::end_stream(r), host)
        }
        _ => Ok(Action::Continue),
    });
    let Some((request, outcome)) = called else {
        if let Some(request) = Request::of(r) {
            match is_response {
                true => refuse(plugin, request),
                false => note_failure(request, plugin),
            }
        }
        return None;
    };
    match outcome {
        CallbackEnd::Answered if !is_response => Some(ANSWER),
        CallbackEnd::Answered => {
            let response = request.local_response.take()?;
            local_response::replace_later(request, *response).ok().map(|()| rc::OK)
        }
        CallbackEnd::Done(Action::Continue) if !is_response && waits_for_calls(request, plugin) => Some(PAUSED),
        CallbackEnd::Skipped | CallbackEnd::Done(Action::Continue) => Some(rc::OK),
        CallbackEnd::Done(_) if !is_response => Some(PAUSED),
        CallbackEnd::Done(_) => {
            // The response goes on: usually such a filter wants to see the body first, and is asked about that.
            plugin.log_failed_callback(request, "paused a response, for which Lua cannot wait");
            None
        }
    }
}

/// Puts 503 in the place of a response that a filter could not look at: Lua may go on after an error, and the client must not
/// get what the filter was to see. A request that goes on without the filter since Lua, which was told that, has it so stays as
/// it is.
fn refuse(plugin: &Rc<PluginContext>, request: &Request) {
    if is_told_of_failure(request, plugin) {
        return;
    }
    let response = LocalResponse { status: rc::SERVICE_UNAVAILABLE as u32, ..LocalResponse::default() };
    if local_response::replace_later(request, response).is_err() {
        body::spoil(request.r());
    }
}

/// Whether a filter that lets a request go on has made calls for it that have not ended, and is to be waited for: the library
/// of Apache APISIX does so, and its filters answer in the callback of the call, without having paused.
pub fn waits_for_calls(request: &Request, plugin: &Rc<PluginContext>) -> bool {
    let Some(run) = run_of(request, plugin) else { return false };
    run.paused.for_calls.set(plugin.plugin().has_calls(run.context, run.generation));
    run.paused.for_calls.get()
}

/// What calls do while there is no instance that knows their request.
pub fn without(plugin: &PluginContext) -> Without {
    plugin.plugin().module.policy().without()
}

/// Fills in the headers of the answer that a filter gave, and stores its body. `None` when there is none.
pub fn fetch_answer(r: HttpRequest<'_>, body: &mut ngx_str_t) -> Option<()> {
    let request = Request::of(r)?;
    let response = request.local_response.take()?;
    *body = r.pool().copy(&local_response::fill_in(request, *response))?;
    Some(())
}
