//! Requests that a filter pauses while Lua runs it. The Lua function waits at a semaphore of the Lua module, so other requests
//! go on; a callback that decides about the request posts to it. `lua/resty/proxy-wasm.lua` has [`begin`] and [`go_on`] called.
//!
//! Lua owns the semaphore and the [`Pause`], and frees the semaphore after that. The request knows the pause as long as Lua
//! holds it, so whatever ends first (the request, the coroutine, the Lua VM), nobody posts to what is not there.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::rc::{Rc, Weak};

use nginx_sys::{NGX_LOG_ERR, ngx_int_t, ngx_str_t};
use ngx_wasm::proxy_wasm::{Callback, Vm};

use super::body;
use super::context::PluginContext;
use super::ffi::Semaphore;
use super::module::LoadedModule;
use super::run::{ANSWER, without};
use super::runs::{note_failure, run_of, runs_of};
use crate::config::loc_conf::LocConf;
use crate::config::rules::Without;
use crate::http::request::Request;
use crate::nginx::executor;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

/// A filter has paused the request.
pub const PAUSED: ngx_int_t = 4;

/// A Lua function that waits for a filter.
pub struct Pause(Semaphore);

/// What a run has of its pause.
#[derive(Default)]
pub struct Paused {
    pause: RefCell<Weak<Pause>>,
    /// The filter goes on with the request as soon as its calls have ended, and did not ask for a pause.
    pub for_calls: Cell<bool>,
    /// The callback in which the VM of the filter has trapped meanwhile.
    failed: Cell<Option<Callback>>,
}

impl Paused {
    /// Has the Lua function look at the request again.
    pub fn wake(&self) {
        // When the process ends, Lua frees its objects in any order.
        if let Some(pause) = self.pause.borrow().upgrade()
            && !executor::is_over()
        {
            pause.0.post();
        }
    }

    /// Ends it. Answers whether it was for calls, and in which callback the VM has trapped.
    fn end(&self) -> (bool, Option<Callback>) {
        self.pause.take();
        (self.for_calls.take(), self.failed.take())
    }
}

/// A call that was made for the request, or may have been, has ended.
pub fn call_ended(request: &Request, module: &LoadedModule, generation: u64, vm: &Vm) {
    for run in runs_of(request, module, generation) {
        if run.paused.for_calls.get() && !vm.waits_for_calls(run.context) {
            run.paused.wake();
        }
    }
}

/// An instance has trapped in `callback`.
pub fn fail(request: &Request, module: &LoadedModule, generation: u64, callback: Callback) {
    for run in runs_of(request, module, generation) {
        run.paused.failed.set(Some(callback));
        run.paused.wake();
    }
}

/// Prepares a wait of at most `timeout` milliseconds for a filter that has paused the request. `None` when it does not run in it.
pub fn begin(
    context: &Rc<PluginContext>,
    r: HttpRequest<'_>,
    semaphore: Semaphore,
    timeout: &mut u32,
) -> Option<Rc<Pause>> {
    let run = run_of(Request::of(r)?, context)?;
    let pause = Rc::new(Pause(semaphore));
    run.paused.pause.replace(Rc::downgrade(&pause));
    // The semaphore counts milliseconds as int.
    *timeout = LocConf::of(r).pause_timeout().min(c_int::MAX as usize) as u32;
    Some(pause)
}

/// What has become of a request that was paused: as callbacks say it, or [`PAUSED`] again, unless the time is up. `None`: it
/// fails. After a trap in a callback about a call, `failed` is its name. Lua copies the strings at once.
pub fn go_on(
    context: &Rc<PluginContext>,
    r: HttpRequest<'_>,
    is_timeout: bool,
    changed: &mut ngx_str_t,
    failed: &mut ngx_str_t,
) -> Option<ngx_int_t> {
    let request = Request::of(r)?;
    run_of(request, context)?;
    let result = conclude(context, request, is_timeout, changed, failed);
    if result.is_none() {
        note_failure(request, context);
    }
    result
}

fn conclude(
    plugin: &Rc<PluginContext>,
    request: &Request,
    is_timeout: bool,
    changed: &mut ngx_str_t,
    failed: &mut ngx_str_t,
) -> Option<ngx_int_t> {
    let run = run_of(request, plugin)?;
    let goes_on = match run.paused.for_calls.get() {
        true => !plugin.plugin().has_calls(run.context, run.generation),
        false => run.resumed.get(),
    };
    if run.paused.failed.get().is_none() && !goes_on && !request.is_decided() && !is_timeout {
        return Some(PAUSED);
    }
    let (for_calls, callback) = run.paused.end();
    run.resumed.set(false);
    let body = run.body.take();
    if let Some(callback) = callback.filter(|_| without(plugin) == Without::Closed) {
        plugin.log_failed_callback(request, "was replaced during the request");
        if is_about_call(callback) {
            let name = callback.name();
            *failed = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
        }
        return None;
    }
    if request.closed.take() {
        plugin.log_failed_callback(request, "closed the stream");
        return None;
    }
    if request.refused.take() {
        return None;
    }
    if request.local_response.borrow().is_some() {
        return Some(ANSWER);
    }
    if !goes_on && callback.is_none() {
        log_timeout(request, plugin, for_calls);
        return None;
    }
    match body {
        Some(body) => body::show(request, plugin, body, changed),
        None => Some(rc::OK),
    }
}

fn log_timeout(request: &Request, plugin: &PluginContext, for_calls: bool) {
    let what = match for_calls {
        true => "has called, and its calls have not ended",
        false => "paused the request, and nothing resumed it",
    };
    let waited = LocConf::of(request.r()).pause_timeout();
    plugin.log(NGX_LOG_ERR, request, &format!("{what} within {waited} ms (wasm_pause_timeout)"));
}

/// Whether a callback brings something about a call to another service.
fn is_about_call(callback: Callback) -> bool {
    matches!(
        callback,
        Callback::OnHttpCallResponse
            | Callback::OnGrpcReceiveInitialMetadata
            | Callback::OnGrpcReceive
            | Callback::OnGrpcReceiveTrailingMetadata
            | Callback::OnGrpcClose
            | Callback::OnRedisCallResponse
    )
}
