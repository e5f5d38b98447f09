//! The C functions that Lua calls. Each makes what it works with of the pointers that Lua passes, with the guard against panics.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::Rc;

use nginx_sys::{ngx_http_request_t, ngx_int_t, ngx_str_t, u_char};

use super::body::{self, Piece};
use super::context::PluginContext;
use super::pause::{self, Pause};
use super::plugin::Plugin;
use super::run;
use crate::nginx::guard::guard;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

/// Bytes that Lua passed.
///
/// # Safety
/// They are there, and Lua keeps them alive during the call.
unsafe fn bytes<'a>(data: *const u_char, len: usize) -> &'a [u8] {
    // SAFETY: the Lua library passes a string and its length; FFI keeps it alive during the call.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } }
}

/// What a pointer stands for that [`give`] has made.
///
/// # Safety
/// `pointer` is of that, and of this type. Lua holds it while it calls.
unsafe fn held<T>(pointer: *mut c_void) -> Rc<T> {
    // SAFETY: Lua has a use of it, as said above.
    unsafe { Rc::increment_strong_count(pointer.cast::<T>()) };
    // SAFETY: this is the use that has just been counted.
    unsafe { Rc::from_raw(pointer.cast()) }
}

/// A pointer for Lua, which holds what it stands for until it gives it to [`take`]. Null for nothing.
fn give<T>(held: Option<Rc<T>>) -> *mut c_void {
    held.map_or(ptr::null_mut(), |held| Rc::into_raw(held).cast_mut().cast())
}

/// Takes back what [`give`] has made.
///
/// # Safety
/// As for [`held`]; LuaJIT runs the finaliser of a pointer once.
unsafe fn take<T>(pointer: *mut c_void) {
    // SAFETY: Lua had a use of it, and gives that up.
    drop(unsafe { Rc::from_raw(pointer.cast::<T>()) });
}

/// `ngx_http_lua_ffi_sema_post`: it adds to the semaphore, and has nginx wake up who waits later.
type Post = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

/// A semaphore of the Lua module, which Lua frees after its pause.
pub struct Semaphore {
    semaphore: *mut c_void,
    post: Post,
}

impl Semaphore {
    /// Wakes up who waits at it, later.
    pub fn post(&self) {
        // SAFETY: the pause that has this is there, so the semaphore is.
        unsafe { (self.post)(self.semaphore, 1) };
    }
}

/// Compiles and starts a module. Null when that fails; the log says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_load_plugin(
    name: *const u_char,
    name_len: usize,
    code: *const u_char,
    size: usize,
) -> *mut c_void {
    guard(ptr::null_mut(), || {
        // SAFETY: Lua passes two strings.
        let (name, code) = unsafe { (bytes(name, name_len), bytes(code, size)) };
        give(Plugin::load(name, code))
    })
}

/// Lets go of a module. It stays while contexts of it do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_unload_plugin(plugin: *mut c_void) {
    // SAFETY: the pointer is that of `load_plugin`.
    guard((), || unsafe { take::<Plugin>(plugin) });
}

/// Makes a plugin context. Null when the filter refuses its configuration; the log says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_on_configure(
    plugin: *mut c_void,
    conf: *const u_char,
    size: usize,
) -> *mut c_void {
    guard(ptr::null_mut(), || {
        // SAFETY: Lua holds the plugin, and passes a string.
        let (plugin, conf) = unsafe { (held(plugin), bytes(conf, size)) };
        give(PluginContext::create(plugin, conf))
    })
}

/// Lets go of a plugin context. It stays while requests use it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_delete_plugin_ctx(context: *mut c_void) {
    // SAFETY: the pointer is that of `on_configure`.
    guard((), || unsafe { take::<PluginContext>(context) });
}

/// Runs the callback `kind` of a filter in a request: 0, [`run::ANSWER`], [`pause::PAUSED`], or NGX_ERROR with the reason in the
/// log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_on_http(
    context: *mut c_void,
    r: *mut ngx_http_request_t,
    kind: c_int,
) -> ngx_int_t {
    // SAFETY: Lua holds the plugin context, and passes its current request.
    guard(rc::ERROR, || unsafe { run::on_headers(&held(context), HttpRequest::from_ptr(r), kind).unwrap_or(rc::ERROR) })
}

/// Fills in the headers of the answer that a filter gave, and stores its body. NGX_ERROR when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_fetch_local_body(r: *mut ngx_http_request_t, body: *mut ngx_str_t) -> ngx_int_t {
    // SAFETY: Lua passes its current request, and a string to fill.
    guard(rc::ERROR, || unsafe {
        run::fetch_answer(HttpRequest::from_ptr(r), &mut *body).map_or(rc::ERROR, |()| rc::OK)
    })
}

/// Runs on_request_body, or on_response_body when `is_response`: 0, [`run::ANSWER`], [`body::CHANGED`] with the bytes in `changed`,
/// [`body::HELD`], [`pause::PAUSED`], or NGX_ERROR with the reason in the log.
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
        let (context, r) = (held(context), HttpRequest::from_ptr(r));
        let piece = Piece { is_response: is_response != 0, bytes: bytes(body, size), is_end: is_end != 0 };
        body::on_body(&context, r, &piece, &mut *changed).unwrap_or(rc::ERROR)
    })
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
    // SAFETY: Lua holds the plugin context, passes its current request, a semaphore with its function, which it frees after the
    // pause, and a number to fill.
    guard(ptr::null_mut(), || unsafe {
        let (context, r) = (held(context), HttpRequest::from_ptr(r));
        let semaphore = post.map(|post| Semaphore { semaphore, post });
        give(semaphore.and_then(|semaphore| pause::begin(&context, r, semaphore, &mut *timeout)))
    })
}

/// Lua does not wait any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ngx_http_wasm_unpause(pause: *mut c_void) {
    // SAFETY: the pointer is that of `pause`.
    guard((), || unsafe { take::<Pause>(pause) });
}

/// What has become of a request that was paused: as `ngx_http_wasm_on_http` and `ngx_http_wasm_on_body` say it, or
/// [`pause::PAUSED`] again, unless the time is up. After a trap in a callback about a call, `failed` is its name.
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
        let (context, r) = (held(context), HttpRequest::from_ptr(r));
        pause::go_on(&context, r, is_timeout != 0, &mut *changed, &mut *failed).unwrap_or(rc::ERROR)
    })
}
