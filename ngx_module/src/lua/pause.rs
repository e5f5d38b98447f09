//! Requests that a filter pauses while Lua runs it. The Lua function waits at a semaphore of the Lua module, so other requests
//! go on; a callback that decides about the request posts to it. `lua/resty/proxy-wasm.lua` calls the functions here.
//!
//! Lua owns the semaphore and the [`Pause`], and frees the semaphore after that. The request knows the pause as long as Lua
//! holds it, so whatever ends first (the request, the coroutine, the Lua VM), nobody posts to what is not there.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::{Rc, Weak};

use nginx_sys::{NGX_LOG_ERR, ngx_http_request_t, ngx_int_t, ngx_str_t};
use ngx_wasm::proxy_wasm::{Callback, ContextId, Vm};

use super::plugin::{Plugin, PluginContext};
use super::{ANSWER, LuaRun, body, known_runs, request_of};
use crate::config::loc_conf::LocConf;
use crate::http::flow::Direction;
use crate::http::request::Request;
use crate::http::seat::{Seat, SeatBody};
use crate::nginx::executor;
use crate::nginx::guard::guard;
use crate::nginx::request::HttpRequest;
use crate::nginx::{log, rc};

/// A filter has paused the request.
pub const PAUSED: ngx_int_t = 4;

/// `ngx_http_lua_ffi_sema_post`: it adds to the semaphore, and has nginx wake up who waits later.
type Post = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

/// A Lua function that waits for a filter.
pub struct Pause {
    semaphore: *mut c_void,
    post: Post,
}

impl Pause {
    fn end(&self) {
        // When the process ends, Lua frees its objects in any order.
        if !executor::is_over() {
            // SAFETY: Lua frees the semaphore after the pause.
            unsafe { (self.post)(self.semaphore, 1) };
        }
    }
}

/// What a run has of its pause.
#[derive(Default)]
pub struct Paused {
    pause: Weak<Pause>,
    /// The filter goes on with the request as soon as its calls have ended, and did not ask for a pause.
    pub for_calls: bool,
    /// The callback in which the VM of the filter has trapped meanwhile.
    failed: Option<Callback>,
}

impl Paused {
    pub fn wake(&self) {
        if let Some(pause) = self.pause.upgrade() {
            pause.end();
        }
    }
}

fn run_of(request: Option<&Request>, context: *const PluginContext) -> Option<&mut LuaRun> {
    known_runs(request?)?.runs.iter_mut().find(|run| Rc::as_ptr(&run.plugin) == context)
}

/// The filters of a plugin that run in a request: one for each configuration of it.
fn runs_of<'a>(request: &'a Request, plugin: &Plugin) -> impl Iterator<Item = &'a mut LuaRun> {
    known_runs(request)
        .into_iter()
        .flat_map(|runs| runs.runs.iter_mut())
        .filter(move |run| ptr::eq(run.plugin.plugin(), plugin))
}

/// The filter of a plugin that has this context in the VM that there is now. Another one of the plugin, with another
/// configuration, decides for itself.
fn run_in<'a>(request: &'a Request, plugin: &Plugin, context: ContextId) -> Option<&'a mut LuaRun> {
    runs_of(request, plugin).find(|run| run.context == context && run.generation == plugin.vm())
}

/// A filter has called proxy_continue_stream. [`wake`] acts on it.
pub fn resume(request: &Request, plugin: &Plugin, context: ContextId, direction: Direction) {
    if let Some(run) = run_in(request, plugin, context)
        && run.is_response == (direction == Direction::Response)
    {
        run.resumed = true;
    }
}

/// The body that the filter with this context looks at, or holds.
pub fn body_of<'a>(request: &'a Request, plugin: &Plugin, context: ContextId) -> Option<&'a mut SeatBody> {
    run_in(request, plugin, context)?.body.as_mut()
}

/// A call that was made for the request, or may have been, has ended.
pub fn call_ended(request: &Request, plugin: &Plugin, vm: &Vm) {
    runs_of(request, plugin)
        .filter(|run| run.paused.for_calls && !vm.waits_for_calls(run.context))
        .for_each(|run| run.paused.wake());
}

/// The VM of a plugin has trapped in `callback`.
pub fn fail(request: &Request, plugin: &Plugin, callback: Callback) {
    for run in runs_of(request, plugin) {
        run.paused.failed = Some(callback);
        run.paused.wake();
    }
}

/// Prepares a wait of at most `timeout` milliseconds for a filter that has paused the request. Null when it does not run in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_pause(
    context: *mut c_void,
    r: *mut ngx_http_request_t,
    semaphore: *mut c_void,
    post: Option<Post>,
    timeout: *mut u32,
) -> *mut c_void {
    // SAFETY: Lua passes its current request, a semaphore with its function, and a number to fill.
    guard(ptr::null_mut(), || unsafe {
        let (Some(run), Some(post)) = (run_of(request_of(r), context.cast()), post) else { return ptr::null_mut() };
        let pause = Rc::new(Pause { semaphore, post });
        run.paused.pause = Rc::downgrade(&pause);
        // The semaphore counts milliseconds as int.
        *timeout = LocConf::of(HttpRequest::from_ptr(r)).pause_timeout().min(c_int::MAX as usize) as u32;
        Rc::into_raw(pause).cast_mut().cast()
    })
}

/// Lua does not wait any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_unpause(pause: *mut c_void) {
    // SAFETY: LuaJIT runs the finaliser of the pointer that `pause` gave it once.
    guard((), || unsafe { drop(Rc::from_raw(pause.cast::<Pause>())) });
}

/// What has become of a request that was paused: as `ngx_http_wasm_on_http` and `ngx_http_wasm_on_body` say it, or [`PAUSED`]
/// again, unless the time is up. After a trap in a callback about a call, `failed` is its name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_go_on(
    context: *mut c_void,
    r: *mut ngx_http_request_t,
    is_timeout: c_int,
    changed: *mut ngx_str_t,
    failed: *mut ngx_str_t,
) -> ngx_int_t {
    // SAFETY: Lua holds the plugin context, passes its current request, and strings to fill.
    guard(rc::ERROR, || unsafe {
        let result = go_on(context, r, is_timeout, changed, failed);
        if result == rc::ERROR
            && let Some(run) = run_of(request_of(r), context.cast())
        {
            let plugin = run.plugin.clone();
            super::note_failure(&plugin, r);
        }
        result
    })
}

unsafe fn go_on(
    context: *mut c_void,
    r: *mut ngx_http_request_t,
    is_timeout: c_int,
    changed: *mut ngx_str_t,
    failed: *mut ngx_str_t,
) -> ngx_int_t {
    // SAFETY: as above.
    unsafe {
        let Some(request) = request_of(r) else { return rc::ERROR };
        let is_decided = request.is_decided();
        let Some(run) = run_of(Some(request), context.cast()) else { return rc::ERROR };
        let plugin = run.plugin.clone();
        let callback = run.paused.failed;
        let for_calls = run.paused.for_calls;
        let goes_on = match for_calls {
            true => !plugin.plugin().has_calls(run.context, run.generation),
            false => run.resumed,
        };
        if callback.is_none() && !goes_on && !is_decided && is_timeout == 0 {
            return PAUSED;
        }
        run.paused = Paused::default();
        run.resumed = false;
        let body = run.body.take();
        let is_open = plugin.plugin().policy.is_open();
        if let Some(callback) = callback.filter(|_| !is_open) {
            plugin.complain(r, "was replaced during the request");
            if is_about_call(callback) {
                let name = callback.name();
                *failed = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
            }
            return rc::ERROR;
        }
        if request.closed.take() {
            plugin.complain(r, "closed the stream");
            return rc::ERROR;
        }
        if request.refused.take() {
            return rc::ERROR;
        }
        if request.local_response.borrow().is_some() {
            return ANSWER;
        }
        if !goes_on && callback.is_none() {
            log_timeout(r, plugin.plugin(), for_calls);
            return rc::ERROR;
        }
        match body {
            Some(body) => body::show(request, &plugin, body, changed).unwrap_or(rc::ERROR),
            None => rc::OK,
        }
    }
}

unsafe fn log_timeout(r: *mut ngx_http_request_t, plugin: &Plugin, for_calls: bool) {
    // SAFETY: the caller passes a live request.
    unsafe {
        let waited = LocConf::of(HttpRequest::from_ptr(r)).pause_timeout();
        let name = String::from_utf8_lossy(plugin.name());
        let what = match for_calls {
            true => "has called, and its calls have not ended",
            false => "paused the request, and nothing resumed it",
        };
        let what = format!("{what} within {waited} ms (wasm_pause_timeout)");
        log::write(NGX_LOG_ERR, (*(*r).connection).log, format!("wasm plugin \"{name}\" {what}"));
    }
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
