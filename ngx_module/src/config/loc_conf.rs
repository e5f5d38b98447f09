//! What a location says, or inherits: nginx's usual location configuration, plain data in the cycle's pool.

use crate::config::calls::CallConf;
use crate::config::chains::{self, Outer};
use crate::config::conf::MainConf;
use crate::config::direction::Direction;
use crate::config::phase_notes;
use crate::nginx::location;
use crate::nginx::request::{HttpRequest, LocationConf};
use nginx_sys::{
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_msec_t, ngx_pcalloc,
};
use ngx_wasm::proxy_wasm::Action;
use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

/// Nothing was said at this level.
pub const UNSET: usize = usize::MAX;
/// The chain without filters, which `proxy_wasm off` makes.
pub const NO_CHAIN: usize = usize::MAX - 1;
const DEFAULT_MEMORY_LIMIT: usize = 128 << 20;
pub const DEFAULT_TIMEOUT: ngx_msec_t = 1000;
const DEFAULT_PAUSE_TIMEOUT: ngx_msec_t = 60_000;
/// What a plugin for Higress usually asks for is more than it needs; responses have no bound of nginx's.
const DEFAULT_RESPONSE_BUFFER_MAX: usize = 16 << 20;
/// Guests count with 32 bits.
pub const LARGEST_BODY: usize = (4 << 30) - 1;

/// Where on its way a request meets the filters of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is said: the rewrite phase, with what nginx would find out later and filters want to know.
    Unsaid,
    Rewrite,
    /// Behind the access phase.
    Access,
}

/// What a location says, or inherits.
#[repr(C)]
pub struct LocConf {
    main: *mut MainConf,
    /// The level that this one is in, once they are merged; null for http { }.
    pub outer: *const LocConf,
    /// Place in [`MainConf::chains`].
    pub chain: usize,
    /// What is said of the chain of the outer level.
    pub outer_chain: Outer,
    pub memory_limit: usize,
    pub timeout: ngx_msec_t,
    pub pause_timeout: ngx_msec_t,
    pub request_body_buffer: usize,
    pub response_body_buffer: usize,
    pub body_buffer_max: usize,
    /// 0, 1 or [`UNSET`], as those below.
    pub stop_iteration: usize,
    pub declared_order: usize,
    /// Number of a [`Phase`], or [`UNSET`].
    pub phase: usize,
    pub reroute: usize,
    pub calls: CallConf,
    /// 0, 1 or [`UNSET`], as the one below.
    pub decode: usize,
    pub intercept_errors: usize,
}

// SAFETY: it is what `create_loc_conf` makes.
unsafe impl LocationConf for LocConf {}

impl LocConf {
    /// `create_loc_conf` of the HTTP module.
    ///
    /// # Safety
    /// `cf` comes from nginx.
    pub unsafe fn create(cf: *mut ngx_conf_t) -> *mut c_void {
        // SAFETY: the pool aligns for any plain structure, and the core module's configuration is there already.
        unsafe {
            let conf = ngx_pcalloc((*cf).pool, size_of::<LocConf>()).cast::<LocConf>();
            if !conf.is_null() {
                conf.write(LocConf {
                    main: MainConf::of((*cf).cycle),
                    outer: ptr::null(),
                    chain: UNSET,
                    outer_chain: Outer::Unsaid,
                    memory_limit: UNSET,
                    timeout: ngx_msec_t::MAX,
                    pause_timeout: ngx_msec_t::MAX,
                    request_body_buffer: UNSET,
                    response_body_buffer: UNSET,
                    body_buffer_max: UNSET,
                    stop_iteration: UNSET,
                    declared_order: UNSET,
                    phase: UNSET,
                    reroute: UNSET,
                    calls: CallConf::default(),
                    decode: UNSET,
                    intercept_errors: UNSET,
                });
                // Nginx makes that of http { } first.
                if let Some(main) = (*conf).main.as_mut()
                    && main.http.is_null()
                {
                    main.http = conf;
                }
            }
            conf.cast()
        }
    }

    /// Nginx's own configuration of the level that it is busy with.
    ///
    /// # Safety
    /// `cf` is nginx's, while it merges levels.
    pub(super) unsafe fn core(cf: *mut ngx_conf_t) -> *mut ngx_http_core_loc_conf_t {
        // SAFETY: nginx has the arrays of the level in the context (src/http/ngx_http.c, ngx_http_merge_locations).
        unsafe {
            let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index)).cast()
        }
    }

    /// Takes from the outer level what this one does not say.
    ///
    /// # Safety
    /// As [`LocConf::core`].
    pub unsafe fn inherit(&mut self, outer: &LocConf, cf: *mut ngx_conf_t) {
        self.outer = outer;
        self.calls.inherit(&outer.calls);
        // SAFETY: see above.
        self.calls.core = unsafe { LocConf::core(cf) };
        // SAFETY: the cycle's configuration, of which nothing else has hold while nginx merges levels.
        if let Some(main) = unsafe { self.main.as_mut() } {
            chains::merge(main, self, outer);
        }
        let sizes = [
            (&mut self.memory_limit, outer.memory_limit),
            (&mut self.request_body_buffer, outer.request_body_buffer),
            (&mut self.response_body_buffer, outer.response_body_buffer),
            (&mut self.body_buffer_max, outer.body_buffer_max),
            (&mut self.stop_iteration, outer.stop_iteration),
            (&mut self.declared_order, outer.declared_order),
            (&mut self.phase, outer.phase),
            (&mut self.reroute, outer.reroute),
            (&mut self.decode, outer.decode),
            (&mut self.intercept_errors, outer.intercept_errors),
        ];
        for (own, outer) in sizes {
            if *own == UNSET {
                *own = outer;
            }
        }
        // SAFETY: as above.
        if let Some(main) = unsafe { self.main.as_mut() } {
            // SAFETY: nginx merges this level.
            unsafe { phase_notes::look(main, self, cf) };
        }
        if self.timeout == ngx_msec_t::MAX {
            self.timeout = outer.timeout;
        }
        if self.pause_timeout == ngx_msec_t::MAX {
            self.pause_timeout = outer.pause_timeout;
        }
    }

    /// The configuration of the location that a request is in.
    pub fn of(r: HttpRequest<'_>) -> &LocConf {
        r.loc_conf()
    }

    /// The cycle's configuration, which lives as long as this one.
    pub fn main<'a>(&self) -> &'a MainConf {
        // SAFETY: both are in the pool of one cycle; nothing has a unique borrow of it after start-up.
        unsafe { &*self.main }
    }

    /// The filters of the location, with the number of their chain; `None` when there are none.
    pub fn chain(&self) -> Option<(usize, &[usize])> {
        Some((self.chain, self.main().chains.get(self.chain)?))
    }

    /// How long a callback may run.
    pub fn timeout(&self) -> Duration {
        let timeout = if self.timeout == ngx_msec_t::MAX { DEFAULT_TIMEOUT } else { self.timeout };
        Duration::from_millis(timeout as u64)
    }

    /// How long a filter may pause a request, in milliseconds.
    pub fn pause_timeout(&self) -> ngx_msec_t {
        if self.pause_timeout == ngx_msec_t::MAX { DEFAULT_PAUSE_TIMEOUT } else { self.pause_timeout }
    }

    /// How much of a body a filter may hold, in bytes, where nothing is said.
    pub const DEFAULT_BODY_BUFFER: usize = 1 << 20;

    /// How much of a body a filter may hold, in bytes, when the configuration says it.
    pub fn body_buffer(&self, direction: Direction) -> Option<usize> {
        let size = match direction {
            Direction::Request => self.request_body_buffer,
            Direction::Response => self.response_body_buffer,
        };
        (size != UNSET).then_some(size)
    }

    /// How much of a body a filter can ask to hold, in bytes; `r` is in this location.
    pub fn body_buffer_max(&self, r: HttpRequest<'_>, direction: Direction) -> usize {
        if self.body_buffer_max != UNSET {
            return self.body_buffer_max;
        }
        if direction == Direction::Response {
            return DEFAULT_RESPONSE_BUFFER_MAX;
        }
        let most = location::largest_body(r);
        // Without a bound, it is that of what guests can count.
        usize::try_from(most).ok().filter(|most| *most > 0).map_or(LARGEST_BODY, |most| most.min(LARGEST_BODY))
    }

    /// Whether a filter that answers so to headers, and holds them, sees the body nevertheless. What the directive says counts
    /// for all ABIs; where it says nothing, that of Higress has it so.
    pub fn shows_body(&self, action: Action) -> bool {
        matches!(
            (action, self.stop_iteration),
            (Action::Pause | Action::PauseHeaders, 1) | (Action::PauseHeaders, UNSET)
        )
    }

    /// Whether responses pass the filters in the order of the configuration, and not in reverse.
    pub fn declared_order(&self) -> bool {
        self.declared_order == 1
    }

    /// Where a request meets the filters.
    pub fn phase(&self) -> Phase {
        match self.phase {
            0 => Phase::Rewrite,
            1 => Phase::Access,
            _ => Phase::Unsaid,
        }
    }

    /// Whether a new path has the location matched again.
    pub fn reroutes(&self) -> bool {
        self.reroute != 0
    }

    /// Whether filters see bodies of responses decoded; `None` is that nothing is said.
    pub fn decode(&self) -> Option<bool> {
        (self.decode != UNSET).then_some(self.decode == 1)
    }

    /// Whether `error_page` holds for what filters answer.
    pub fn intercept_errors(&self) -> bool {
        self.intercept_errors == 1
    }

    pub(super) fn memory_limit(&self) -> usize {
        if self.memory_limit == UNSET { DEFAULT_MEMORY_LIMIT } else { self.memory_limit }
    }
}
