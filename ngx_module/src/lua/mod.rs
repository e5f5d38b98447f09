//! The way in from Lua: the C functions that `lua/resty/proxy-wasm.lua` calls through LuaJIT's FFI. They have the names that
//! Apache APISIX's module for nginx gave them. `plugin.rs` has what stands behind the pointers; `pause.rs` is for requests that
//! wait for a filter.
//!
//! The Lua module of nginx need not be there: nothing here uses it.

mod body;
mod pause;
mod plugin;
mod policy;

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::Rc;

use nginx_sys::{ngx_http_request_t, ngx_int_t, ngx_str_t, u_char};
use ngx_wasm::proxy_wasm::{Action, CallError, Callback, ContextId, LocalResponse, Vm};

use crate::http::host::RequestHost;
use crate::http::local_response;
use crate::http::request::{Request, Response};
use crate::http::seat::{SeatBody, Seats};
use crate::nginx::guard::guard;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, rc};
use pause::{PAUSED, Paused};
use plugin::{Plugin, PluginContext};

/// `ngx_http_wasm_on_http`: headers of the request.
const REQUEST_HEADERS: c_int = 1;
/// `ngx_http_wasm_on_http`: headers of the response.
const RESPONSE_HEADERS: c_int = 4;

/// `ngx_http_wasm_on_http`: Lua is to send the answer that `ngx_http_wasm_fetch_local_body` completes.
const ANSWER: ngx_int_t = 1;

/// A filter that Lua runs in a request.
pub struct LuaRun {
    plugin: Rc<PluginContext>,
    context: ContextId,
    generation: u64,
    ended: bool,
    /// Whether its last callback was about the response.
    is_response: bool,
    /// It asked to go on.
    resumed: bool,
    paused: Paused,
    /// The body that its callback is about, or that waits for it.
    body: Option<SeatBody>,
    /// What it holds until the next piece of a body.
    held: Vec<u8>,
    /// What it made of the last piece.
    changed: Vec<u8>,
}

/// What is known of Lua's current request.
unsafe fn request_of<'a>(r: *mut ngx_http_request_t) -> Option<&'a Request> {
    // SAFETY: the callers have it from Lua.
    Request::of(unsafe { HttpRequest::from_ptr(r) })
}

/// Bytes that Lua passed.
unsafe fn bytes<'a>(data: *const u_char, len: usize) -> &'a [u8] {
    // SAFETY: the Lua library passes a string and its length; FFI keeps it alive during the call.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } }
}

/// Compiles and starts a module. Null when that fails; the log says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_load_plugin(
    name: *const u_char,
    name_len: usize,
    code: *const u_char,
    size: usize,
) -> *mut c_void {
    // SAFETY: see `bytes`.
    guard(ptr::null_mut(), || unsafe {
        match Plugin::load(bytes(name, name_len), bytes(code, size)) {
            Some(plugin) => Rc::into_raw(plugin).cast_mut().cast(),
            None => ptr::null_mut(),
        }
    })
}

/// Lets go of a module. It stays while contexts of it do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_unload_plugin(plugin: *mut c_void) {
    // SAFETY: LuaJIT runs the finaliser of the pointer that `load_plugin` gave it once.
    guard((), || unsafe { drop(Rc::from_raw(plugin.cast::<Plugin>())) });
}

/// Makes a plugin context. Null when the filter refuses its configuration; the log says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_on_configure(
    plugin: *mut c_void,
    conf: *const u_char,
    size: usize,
) -> *mut c_void {
    // SAFETY: Lua holds the plugin while it calls, and the count of the pointer stays as it was.
    guard(ptr::null_mut(), || unsafe {
        let plugin = plugin.cast::<Plugin>();
        Rc::increment_strong_count(plugin);
        match PluginContext::create(Rc::from_raw(plugin), bytes(conf, size)) {
            Some(context) => Rc::into_raw(context).cast_mut().cast(),
            None => ptr::null_mut(),
        }
    })
}

/// Lets go of a plugin context. It stays while requests use it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_delete_plugin_ctx(context: *mut c_void) {
    // SAFETY: as in `unload_plugin`.
    guard((), || unsafe { drop(Rc::from_raw(context.cast::<PluginContext>())) });
}

/// Runs the callback `kind` of a filter in a request: 0, [`ANSWER`], [`PAUSED`], or NGX_ERROR with the reason in the log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_on_http(
    context: *mut c_void,
    r: *mut ngx_http_request_t,
    kind: c_int,
) -> ngx_int_t {
    // SAFETY: Lua holds the plugin context, and passes its current request.
    guard(rc::ERROR, || unsafe {
        let context = context.cast::<PluginContext>();
        Rc::increment_strong_count(context);
        run(&Rc::from_raw(context), r, kind).unwrap_or(rc::ERROR)
    })
}

/// Fills in the headers of the answer that a filter gave, and stores its body. NGX_ERROR when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_fetch_local_body(r: *mut ngx_http_request_t, body: *mut ngx_str_t) -> ngx_int_t {
    // SAFETY: Lua passes its current request, and a string to fill.
    guard(rc::ERROR, || unsafe {
        let Some(request) = request_of(r) else { return rc::ERROR };
        let Some(response) = request.local_response.take() else { return rc::ERROR };
        match request.r().pool().copy(&local_response::fill_in(request, *response)) {
            Some(text) => {
                *body = text;
                rc::OK
            }
            None => rc::ERROR,
        }
    })
}

/// What becomes of a callback: a filter that answered, or a result.
enum Outcome {
    Answered,
    /// The filter has failed before, and never saw this request; the request does without it.
    Skipped,
    Done(Action),
}

/// Runs a callback of a filter, and looks at what it asked for beside its answer. `None`: it failed, and the log says why.
unsafe fn call<'a>(
    plugin: &Rc<PluginContext>,
    r: *mut ngx_http_request_t,
    is_response: bool,
    body: Option<SeatBody>,
    callback: impl FnOnce(ContextId, &mut Vm, &mut RequestHost<'_>) -> Result<Action, CallError>,
) -> Option<(&'a Request, Outcome)> {
    // SAFETY: see `ngx_http_wasm_on_http`.
    unsafe {
        let handle = HttpRequest::from_ptr(r);
        if handle.is_made_up() {
            return None;
        }
        let request = match Request::of(handle) {
            Some(request) => request,
            None => Request::create(handle)?,
        };
        let Some((context, generation)) = context_in(request, plugin) else {
            if !plugin.plugin().policy.is_open() {
                return None;
            }
            let Some(run) = request.lua_run(plugin) else { return Some((request, Outcome::Skipped)) };
            run.body = body;
            return Some((request, Outcome::Done(Action::Continue)));
        };
        if is_response {
            request.reach(Response::Started);
        }
        request.refused.set(false);
        if let Some(run) = request.lua_run(plugin) {
            run.is_response = is_response;
            run.resumed = false;
            // A wait that Lua gave up has left what it was for.
            run.paused.for_calls = false;
            run.body = body;
        }
        let action = match plugin.call(request, generation, |vm, host| callback(context, vm, host)) {
            Some(action) => action,
            None if plugin.plugin().policy.is_open_to_failed() => Action::Continue,
            None => return None,
        };
        if request.closed.take() {
            plugin.complain(r, "closed the stream");
            return None;
        }
        if request.refused.get() {
            return None;
        }
        if request.local_response.borrow().is_some() {
            return Some((request, Outcome::Answered));
        }
        let is_resumed = request.lua_run(plugin).is_some_and(|run| std::mem::take(&mut run.resumed));
        Some((request, Outcome::Done(if is_resumed { Action::Continue } else { action })))
    }
}

unsafe fn run(plugin: &Rc<PluginContext>, r: *mut ngx_http_request_t, kind: c_int) -> Option<ngx_int_t> {
    // SAFETY: see `ngx_http_wasm_on_http`.
    unsafe {
        let handle = HttpRequest::from_ptr(r);
        let is_response = kind == RESPONSE_HEADERS;
        let called = call(plugin, r, is_response, None, |context, vm, host| match kind {
            REQUEST_HEADERS if vm.has(Callback::OnRequestHeaders) => vm.on_request_headers(
                context,
                headers::request::count(handle),
                headers::request::end_stream(handle),
                host,
            ),
            RESPONSE_HEADERS if vm.has(Callback::OnResponseHeaders) => vm.on_response_headers(
                context,
                headers::response::count(handle),
                headers::response::end_stream(handle),
                host,
            ),
            _ => Ok(Action::Continue),
        });
        let Some((request, outcome)) = called else {
            if is_response {
                refuse(plugin, r);
            } else {
                note_failure(plugin, r);
            }
            return None;
        };
        match outcome {
            Outcome::Answered if !is_response => Some(ANSWER),
            Outcome::Answered => {
                let response = request.local_response.take()?;
                local_response::replace_later(request, *response).ok().map(|()| rc::OK)
            }
            Outcome::Done(Action::Continue) if !is_response && waits_for_calls(request, plugin) => Some(PAUSED),
            Outcome::Skipped | Outcome::Done(Action::Continue) => Some(rc::OK),
            Outcome::Done(_) if !is_response => Some(PAUSED),
            Outcome::Done(_) => {
                // The response goes on: usually such a filter wants to see the body first, and is asked about that.
                plugin.complain(r, "paused a response, for which Lua cannot wait");
                None
            }
        }
    }
}

/// Keeps in mind that Lua is told of a failure in the request, and decides what becomes of that.
unsafe fn note_failure(plugin: &Rc<PluginContext>, r: *mut ngx_http_request_t) {
    // SAFETY: see `ngx_http_wasm_on_http`.
    if let Some(runs) = unsafe { request_of(r) }.and_then(runs_in) {
        runs.failures.push(plugin.clone());
    }
}

/// Puts 503 in the place of a response that a filter could not look at: Lua may go on after an error, and the client must not
/// get what the filter was to see. A request that goes on without the filter since Lua, which was told that, has it so stays as
/// it is.
unsafe fn refuse(plugin: &Rc<PluginContext>, r: *mut ngx_http_request_t) {
    // SAFETY: see `ngx_http_wasm_on_http`.
    unsafe {
        let Some(request) = request_of(r) else { return };
        if known_runs(request).is_some_and(|runs| runs.failures.iter().any(|known| Rc::ptr_eq(known, plugin))) {
            return;
        }
        let response = LocalResponse { status: rc::SERVICE_UNAVAILABLE as u32, ..LocalResponse::default() };
        if local_response::replace_later(request, response).is_err() {
            body::spoil(r);
        }
    }
}

/// Whether a filter that lets a request go on has made calls for it that have not ended, and is to be waited for: the library
/// of Apache APISIX does so, and its filters answer in the callback of the call, without having paused.
fn waits_for_calls(request: &Request, plugin: &Rc<PluginContext>) -> bool {
    let Some(run) = request.lua_run(plugin) else { return false };
    run.paused.for_calls = plugin.plugin().has_calls(run.context, run.generation);
    run.paused.for_calls
}

/// The stream context of a plugin in a request, made if it is not there.
unsafe fn context_in(request: &Request, plugin: &Rc<PluginContext>) -> Option<(ContextId, u64)> {
    // SAFETY: see `ngx_http_wasm_on_http`.
    unsafe {
        let generation = plugin.generation();
        let runs = &runs_in(request)?.runs;
        if let Some(run) = runs.iter().find(|run| Rc::ptr_eq(&run.plugin, plugin)) {
            if run.generation == generation {
                return Some((run.context, generation));
            }
            // The VM that had the context has trapped.
            if !plugin.plugin().policy.is_open() {
                plugin.complain(request.r().as_ptr(), "was replaced during the request");
            }
            return None;
        }
        let (context, generation) = plugin.create_stream(request)?;
        runs_in(request)?.runs.push(LuaRun {
            plugin: plugin.clone(),
            context,
            generation,
            ended: false,
            is_response: false,
            resumed: false,
            paused: Paused::default(),
            body: None,
            held: Vec::new(),
            changed: Vec::new(),
        });
        Some((context, generation))
    }
}

/// What Lua runs in a request.
#[derive(Default)]
struct LuaRuns {
    runs: Vec<LuaRun>,
    /// Those of which Lua has been told that they could not look at the request.
    failures: Vec<Rc<PluginContext>>,
}

/// What Lua runs in a request, if it does.
#[allow(clippy::mut_from_ref)]
fn known_runs(request: &Request) -> Option<&mut LuaRuns> {
    // SAFETY: nobody here has what this gives for longer than it looks at it; `Request` borrows it to wake and end it alone.
    let seats: &mut dyn Any = unsafe { (*request.seats.as_ptr()).as_deref_mut() }?;
    seats.downcast_mut()
}

/// What Lua runs in a request: nothing at first. `None` where somebody else runs filters of its own.
#[allow(clippy::mut_from_ref)]
fn runs_in(request: &Request) -> Option<&mut LuaRuns> {
    request.seats.borrow_mut().get_or_insert_with(|| Box::<LuaRuns>::default());
    known_runs(request)
}

impl Seats for LuaRuns {
    fn wake(&mut self, is_decided: bool) {
        self.runs.iter().filter(|run| is_decided || run.resumed).for_each(|run| run.paused.wake());
    }

    fn end(self: Box<Self>, request: &Request) {
        for mut run in self.runs {
            run.ended = true;
            // SAFETY: see the trait.
            unsafe { run.plugin.end_stream(request, run.context, run.generation) };
        }
    }
}

impl Request {
    /// The run of a plugin context in the request.
    #[allow(clippy::mut_from_ref)]
    fn lua_run(&self, plugin: &Rc<PluginContext>) -> Option<&mut LuaRun> {
        known_runs(self)?.runs.iter_mut().find(|run| Rc::ptr_eq(&run.plugin, plugin))
    }
}

impl Drop for LuaRun {
    /// Subrequests have no log phase: their contexts end with the pool, when no header is there to be read.
    fn drop(&mut self) {
        if !self.ended {
            self.plugin.forget(self.context, self.generation);
        }
    }
}
