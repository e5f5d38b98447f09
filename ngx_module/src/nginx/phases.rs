//! nginx's phases: handlers of them, and the way from one to another.

use std::ptr::NonNull;

use nginx_sys::{
    ngx_array_push, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_handler_pt, ngx_http_request_t, ngx_int_t,
};

use super::location;
use super::modules::{self, OtherModule};
use super::request::HttpRequest;

/// A handler of a phase.
pub type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// The phases of a configuration that nginx reads.
#[derive(Clone, Copy)]
pub struct Phases(NonNull<ngx_http_core_main_conf_t>);

/// nginx has no memory.
pub struct NoMemory;

impl Phases {
    /// # Safety
    /// `cf` is what nginx passed to `postconfiguration`, which is not over as long as this is used.
    pub unsafe fn of(cf: *mut ngx_conf_t) -> Phases {
        // SAFETY: inside of `http { }` the context is that of HTTP.
        let ctx = unsafe { &*(*cf).ctx.cast::<ngx_http_conf_ctx_t>() };
        // SAFETY: the core module keeps something of the main level.
        Phases(unsafe { NonNull::new_unchecked((*ctx.main_conf.add(ngx_http_core_module.ctx_index)).cast()) })
    }

    /// Registers a handler behind all others of a phase. nginx runs them from the last to the first.
    pub fn add(self, phase: u32, handler: Handler) -> Result<(), NoMemory> {
        // SAFETY: nginx has made an array of handlers for each phase that takes any.
        let place = unsafe { ngx_array_push(&raw mut (*self.0.as_ptr()).phases[phase as usize].handlers) };
        let place = NonNull::new(place.cast::<ngx_http_handler_pt>()).ok_or(NoMemory)?;
        // SAFETY: the place is that of a handler.
        unsafe { place.write(Some(handler)) };
        Ok(())
    }

    /// Has the handler that was registered last run behind all others.
    pub fn put_last_first(self, phase: u32) {
        // SAFETY: the core module's structure is there while nginx reads the configuration, and nobody else changes the array now.
        let handlers = unsafe { &mut (*self.0.as_ptr()).phases[phase as usize].handlers };
        // SAFETY: its elements are handlers.
        unsafe { handlers.as_slice_mut::<ngx_http_handler_pt>() }.rotate_right(1);
    }

    /// The handlers of a phase.
    pub fn handlers(self, phase: u32) -> Vec<Handler> {
        // SAFETY: the core module's structure is there while nginx reads the configuration, and nobody changes the array now.
        let handlers = unsafe { &(*self.0.as_ptr()).phases[phase as usize].handlers };
        // SAFETY: its elements are handlers.
        unsafe { handlers.as_slice::<ngx_http_handler_pt>() }.iter().copied().flatten().collect()
    }
}

/// The request's path has changed in the rewrite phase: nginx matches the location again behind it, as after `rewrite ... last`
/// (src/http/ngx_http_core_module.c, ngx_http_core_post_rewrite_phase). The other handlers of the phase, those of the location that
/// is left, do not run.
pub fn leave_rewrite_phase(r: HttpRequest<'_>) {
    r.set_uri_changed(true);
    // SAFETY: each handler of a phase knows the number of the first one behind the phase.
    let next = unsafe { (*engine(r).handlers.add(r.phase_handler() as usize)).next };
    // nginx adds one.
    r.set_phase_handler(next as ngx_int_t - 1);
}

/// A request goes round in circles.
pub struct TooManyChanges;

/// As [`leave_rewrite_phase`], from a later phase: what that function of nginx does itself. The search for the location comes right
/// before the rewrite phase of locations (src/http/ngx_http.c, ngx_http_init_phase_handlers).
pub fn find_location_again(r: HttpRequest<'_>) -> Result<(), TooManyChanges> {
    r.set_uri_changes(r.uri_changes().saturating_sub(1));
    if r.uri_changes() == 0 {
        return Err(TooManyChanges);
    }
    // Modules of the phases between keep there what they have found out for the location that is left: auth_request would
    // let the request into the next one by the answer for this one. The client's address stays what it is.
    modules::forget_all(r, &[OtherModule::Realip]);
    // SAFETY: a server has its context, with the locations' configurations at its own level.
    r.set_location_confs(unsafe { (*location::server(r).ctx).loc_conf });
    r.set_phase_handler(engine(r).location_rewrite_index as ngx_int_t - 2);
    Ok(())
}

fn engine(r: HttpRequest<'_>) -> &nginx_sys::ngx_http_phase_engine_t {
    &location::main(r).phase_engine
}
