//! Cycles of nginx: a configuration with all that belongs to it, until the next one takes its place.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nginx_sys::{
    ngx_core_conf_t, ngx_cycle, ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_module,
    ngx_module_t, ngx_pid, ngx_pid_t, ngx_uint_t,
};
use ngx::core::{CoreModule, CoreModuleConfExt, NgxCoreModule};
use ngx::http::{HttpModule, HttpModuleConfExt, NgxHttpCoreModule};

use super::log::Log;
use super::pool::Pool;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Nginx goes over to a new cycle.
pub fn begin() {
    NUMBER.fetch_add(1, Ordering::Relaxed);
}

/// Whether the process only ends what it has begun.
pub fn is_exiting() -> bool {
    // SAFETY: nginx sets this flag of its own outside of the code of modules.
    unsafe { nginx_sys::ngx_exiting != 0 }
}

/// Whether the process only ends what it has begun, or is to, or not even that.
pub fn is_ending() -> bool {
    // SAFETY: nginx sets these flags in its own signal handling and loop, in this thread.
    is_exiting() || unsafe { nginx_sys::ngx_quit != 0 || nginx_sys::ngx_terminate != 0 }
}

/// How many cycles this process, and the master before it, have gone over to. What is kept of a configuration by its address
/// needs that, too: memory of one that is gone may be the next one's.
pub fn number() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}

/// The log of the cycle that runs, for lines about no request.
pub fn log<'l>() -> Log<'l> {
    // SAFETY: nginx always has a cycle, and that has a log.
    unsafe { Log::from_ptr((*ngx_cycle).log) }
}

/// The configuration of the level `http { }` of the cycle that runs, while it is complete: in workers. Nobody keeps it for longer
/// than the cycle.
pub(super) fn http() -> Option<&'static ngx_http_conf_ctx_t> {
    // SAFETY: nginx always has a cycle, and has given its module of HTTP a place before it made one.
    let (all, place) = unsafe { ((*ngx_cycle).conf_ctx, ngx_http_module.index) };
    if all.is_null() {
        return None;
    }
    // SAFETY: there is a place for each module, and null in it without http { }.
    unsafe { (*all.add(place)).cast::<ngx_http_conf_ctx_t>().as_ref() }
}

/// What nginx's core module keeps of that level.
pub(super) fn http_core() -> Option<&'static ngx_http_core_main_conf_t> {
    // SAFETY: this is what the core module keeps of the main level.
    let core: NonNull<ngx_http_core_main_conf_t> =
        unsafe { http()?.http_main_conf_unchecked(NgxHttpCoreModule::module()) }?;
    // SAFETY: it is there as long as the cycle, and complete.
    Some(unsafe { core.as_ref() })
}

/// Which worker this is, counted from 0.
pub fn worker() -> usize {
    // SAFETY: nginx sets the variable before a worker begins; in the master it is 0.
    unsafe { nginx_sys::ngx_worker }
}

/// The kind of this process: NGX_PROCESS_WORKER and its likes.
pub fn process() -> ngx_uint_t {
    // SAFETY: nginx sets the variable first of all, and when it forks.
    unsafe { nginx_sys::ngx_process }
}

/// Whether the cycle has connections: it does in a process that serves requests, and in no other.
pub fn has_connections() -> bool {
    // SAFETY: nginx always has a cycle.
    unsafe { !(*ngx_cycle).connections.is_null() }
}

/// The log of a cycle.
///
/// # Safety
/// `cycle` is a cycle of nginx, which is there as long as the log is used.
pub unsafe fn log_of<'l>(cycle: *const ngx_cycle_t) -> Log<'l> {
    // SAFETY: a cycle has a log from the beginning.
    unsafe { Log::from_ptr((*cycle).log) }
}

/// The log that a cycle will have once nginx goes over to it, as far as the configuration has been read: until then [`log_of`] is the one of
/// the cycle before, or the terminal. Without any `error_log` it has no level yet.
///
/// # Safety
/// `cycle` is a cycle of nginx, which is there as long as the log is used.
pub unsafe fn next_log_of<'l>(cycle: *mut ngx_cycle_t) -> Log<'l> {
    // SAFETY: it is a part of the cycle (src/core/ngx_cycle.h).
    unsafe { Log::from_ptr(&raw mut (*cycle).new_log) }
}

/// Whether all lines about some clients are written, whatever the level of the log is (`debug_connection` in `events`).
///
/// # Safety
/// `cycle` is a cycle of nginx, which has read all of its configuration.
#[cfg(ngx_feature = "debug")]
pub unsafe fn debugs_connections(cycle: *const ngx_cycle_t) -> bool {
    // SAFETY: behind the pointer of the module there is one to those of its own modules, by their numbers (ngx_event_get_conf,
    // src/event/ngx_event.h); it is null where there is no such block.
    unsafe {
        let events = (*cycle).conf_ctx.add(nginx_sys::ngx_events_module.index).read();
        let Some(all) = events.as_ref() else { return false };
        let core = all.add(nginx_sys::ngx_event_core_module.ctx_index).read().cast::<nginx_sys::ngx_event_conf_t>();
        core.as_ref().is_some_and(|core| core.debug_connection.nelts > 0)
    }
}

/// The same of an nginx that does not know the directive.
///
/// # Safety
/// None is asked for.
#[cfg(not(ngx_feature = "debug"))]
pub unsafe fn debugs_connections(_: *const ngx_cycle_t) -> bool {
    false
}

/// The pool of a cycle, which is destroyed with it, after everything that could reach its configuration.
///
/// # Safety
/// `cycle` is a cycle of nginx, which is there as long as the pool is used.
pub unsafe fn pool_of<'p>(cycle: *const ngx_cycle_t) -> Pool<'p> {
    // SAFETY: a cycle begins with its pool.
    unsafe { Pool::from_ptr((*cycle).pool) }
}

/// The cycle that runs.
pub fn current() -> *const ngx_cycle_t {
    // SAFETY: nginx sets the variable first of all, in this thread.
    unsafe { ngx_cycle }
}

/// Seconds and milliseconds since 1970, as nginx has looked at the clock last.
pub fn time() -> (i64, i64) {
    // SAFETY: nginx always has a time.
    let now = unsafe { *nginx_sys::ngx_cached_time };
    (now.sec, now.msec as i64)
}

/// The seconds of [`time`], as they are kept; 0 for a time before 1970.
pub fn seconds() -> u64 {
    u64::try_from(time().0).unwrap_or(0)
}

/// Milliseconds of the clock of nginx's timers, as nginx has looked at it last. All of its processes have the same.
pub fn msec() -> u64 {
    // SAFETY: nginx sets the variable in its loop, in this thread.
    unsafe { nginx_sys::ngx_current_msec as u64 }
}

/// What a core module keeps of a cycle.
///
/// # Safety
/// `cycle` is a cycle of nginx, and `T` what `module` keeps.
pub unsafe fn conf<T>(cycle: *const ngx_cycle_t, module: *const ngx_module_t) -> Option<NonNull<T>> {
    // SAFETY: a module is there as long as the program.
    let module = unsafe { &*module };
    if module.index == ngx_uint_t::MAX {
        return None;
    }
    // SAFETY: nginx has made `conf_ctx` for the indexes of all modules that it knows.
    unsafe { (*cycle).core_main_conf_unchecked(module) }
}

/// How many workers a configuration wants (`worker_processes`).
///
/// # Safety
/// `cycle` is a cycle of nginx. The core module comes before all others, so that its configuration is complete when theirs are
/// looked at.
pub unsafe fn workers(cycle: *const ngx_cycle_t) -> usize {
    // SAFETY: that is what the core module keeps.
    let core = unsafe { conf::<ngx_core_conf_t>(cycle, NgxCoreModule::module()) };
    // SAFETY: it is complete when other modules look at theirs.
    core.and_then(|core| usize::try_from(unsafe { core.as_ref() }.worker_processes).ok()).unwrap_or(1)
}

/// The folder of nginx.conf, below which its relative paths are.
///
/// # Safety
/// `cycle` is a cycle of nginx.
pub unsafe fn conf_folder(cycle: *const ngx_cycle_t) -> PathBuf {
    // SAFETY: nginx sets it before it makes what modules keep.
    PathBuf::from(OsStr::from_bytes(unsafe { (*cycle).conf_prefix.as_bytes() }))
}

/// The number of this process.
pub fn pid() -> ngx_pid_t {
    // SAFETY: nginx sets the variable in each process, before code of modules runs there.
    unsafe { ngx_pid }
}
