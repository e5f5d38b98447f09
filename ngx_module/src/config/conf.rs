//! The configuration: what the directives say, and what start-up made of it.
//!
//! [`MainConf`] belongs to the core module and lives as long as its cycle. [`LocConf`] is nginx's usual location
//! configuration, plain data in the cycle's pool.

use std::any::Any;
use std::cell::OnceCell;
use std::ffi::{OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use nginx_sys::{
    ngx_conf_t, ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_request_t,
    ngx_msec_t, ngx_pcalloc, ngx_uint_t,
};
use ngx_wasm::proxy_wasm::{Action, Capabilities, Module, RootConfig, VmConfig};
use ngx_wasm::vm::{Engine, InstanceLimits};

use crate::config::calls::CallConf;
use crate::config::chains::{self, Outer};
use crate::config::direction::Direction;
use crate::config::phase_notes;
use crate::config::rules::{Isolation, OnError, Recycle, RestartDelay, Rules, Setting, Without};
use crate::net;
use crate::net::settings::Settings as CallSettings;
use crate::net::upstreams::Balancers;
use crate::nginx::module::{ngx_http_wasm_module, ngx_wasm_module};
use crate::nginx::place::Place;
use crate::nginx::{modules, pool};
use crate::process::engine::{EngineConf, Form, Kind};
use crate::process::log_rate::LogRate;
use crate::process::shared_memory::{Settings, Shared};
use crate::process::status::{Identity, Status};
use crate::process::supply::{CacheDir, Note};

/// Nothing was said at this level.
pub const UNSET: usize = usize::MAX;
/// The chain without filters, which `proxy_wasm off` makes.
pub const NO_CHAIN: usize = usize::MAX - 1;

const DEFAULT_MEMORY_LIMIT: usize = 128 << 20;
const DEFAULT_TIMEOUT: ngx_msec_t = 1000;
const DEFAULT_PAUSE_TIMEOUT: ngx_msec_t = 60_000;
/// What a plugin for Higress usually asks for is more than it needs; responses have no bound of nginx's.
const DEFAULT_RESPONSE_BUFFER_MAX: usize = 16 << 20;
/// Guests count with 32 bits.
pub const LARGEST_BODY: usize = (4 << 30) - 1;
const DEFAULT_LOG_RATE: u32 = 1000;

/// `module NAME PATH ['VM CONFIG' | file=PATH] [sha256=HEX];`
pub struct ModuleConf {
    pub name: Vec<u8>,
    pub path: String,
    pub vm_configuration: Vec<u8>,
    /// Where start-up reads the VM configuration from.
    pub file: Option<PathBuf>,
    /// What the file has to have, in lower-case hexadecimal digits.
    pub sha256: Option<String>,
    pub place: Place,
    /// Set by start-up, for each form in which a filter wants it.
    pub compiled: Vec<(Form, Arc<Module>)>,
}

impl ModuleConf {
    /// The module in the form that a filter wants; `None` before start-up has made it.
    pub fn compiled(&self, form: Form) -> Option<&Arc<Module>> {
        self.compiled.iter().find(|(known, _)| *known == form).map(|(_, module)| module)
    }
}

/// What `proxy_wasm` says of a filter.
pub struct NewFilter {
    pub name: Vec<u8>,
    pub configuration: Vec<u8>,
    pub file: Option<PathBuf>,
    pub root_id: Vec<u8>,
    pub place: Place,
}

/// `proxy_wasm NAME ['CONFIG' | file=PATH] [root_id=ID];`
pub struct FilterConf {
    pub name: Vec<u8>,
    pub configuration: Vec<u8>,
    /// Where start-up reads the configuration from.
    pub file: Option<PathBuf>,
    pub root_id: Vec<u8>,
    pub place: Place,
    /// The level that declares it, whose limits hold for its instance.
    declared: *const LocConf,
    /// Set by start-up: the place of its module in [`MainConf::modules`].
    pub module: usize,
    /// Caps on its instance.
    pub limits: InstanceLimits,
    /// How long its start-up may take.
    pub timeout: Duration,
    /// How it calls other services; there once all levels are merged.
    pub calls: Option<Rc<CallSettings>>,
    max_calls: usize,
    pub on_error: OnError,
    pub isolation: Isolation,
    pub recycle: Recycle,
    pub restart_delay: RestartDelay,
    /// Lines that it may log in a second; `None` is any number.
    pub log_rate: Option<u32>,
    /// What it has logged.
    pub lines: Rc<LogRate>,
    /// What all callbacks about a request may use up together, if that is limited.
    pub fuel: Option<u64>,
    /// What it may do; `None` is everything but files.
    capabilities: Option<Arc<Capabilities>>,
}

impl FilterConf {
    /// Takes what the rules say about this filter.
    ///
    /// # Safety
    /// All levels are merged.
    unsafe fn obey(&mut self, rules: &Rules) {
        macro_rules! take {
            ($place:expr, $kind:path) => {
                // SAFETY: see above; levels live as long as this configuration.
                if let Some(value) = unsafe {
                    rules.find(self.declared, &self.name, |rule| match &rule.setting {
                        $kind(value) => Some(value.clone()),
                        _ => None,
                    })
                } {
                    $place = value;
                }
            };
        }
        take!(self.on_error, Setting::OnError);
        take!(self.isolation, Setting::Isolation);
        take!(self.recycle, Setting::Recycle);
        take!(self.restart_delay, Setting::RestartDelay);
        take!(self.log_rate, Setting::LogRate);
        take!(self.fuel, Setting::Fuel);
    }

    /// What it is counted under.
    pub fn identity<'a>(&'a self, modules: &'a [ModuleConf]) -> Identity<'a> {
        Identity {
            name: &self.name,
            vm_configuration: modules.get(self.module).map_or(b"", |module| &module.vm_configuration),
            configuration: &self.configuration,
            root_id: &self.root_id,
            place: &self.place,
        }
    }

    /// The form in which it wants its module.
    pub fn form(&self) -> Form {
        Form { fuel: self.fuel.is_some(), pooled: self.limits.pooled }
    }

    /// The parts of the configuration that the VM wants.
    pub fn configs(&self, module: &ModuleConf) -> (VmConfig, RootConfig) {
        let vm = VmConfig {
            id: module.name.clone(),
            configuration: module.vm_configuration.clone(),
            limits: self.limits,
            reuse_context_ids: false,
            max_calls: self.max_calls,
            capabilities: self.capabilities.clone(),
            fuel: self.fuel,
            ..VmConfig::default()
        };
        let root = RootConfig {
            name: self.name.clone(),
            root_id: self.root_id.clone(),
            configuration: self.configuration.clone(),
        };
        (vm, root)
    }
}

/// Everything about one cycle.
pub struct MainConf {
    pub wasm_block: Option<Place>,
    /// What `wasm_vm` says.
    pub engine: Option<Kind>,
    /// What `wasm { }` says about engines.
    pub engine_conf: EngineConf,
    /// Set by start-up: those that its filters use.
    pub engines: Vec<(Form, Arc<dyn Engine>)>,
    pub modules: Vec<ModuleConf>,
    /// Where compiled code is kept for the next start, if it is.
    pub cache_dir: Option<CacheDir>,
    /// How modules were come by, until that is in the log.
    pub notes: Vec<Note>,
    pub filters: Vec<FilterConf>,
    /// Filters of each level that declares any, in order, once levels are merged; before that, those that it declares.
    pub chains: Vec<Vec<usize>>,
    /// What is said about filters one by one.
    pub rules: Rules,
    /// The level http { }, once nginx has begun it: its limits hold for what Lua loads.
    pub http: *const LocConf,
    /// How filters that Lua runs call other services: what the level http { } says.
    pub lua_calls: Option<Rc<CallSettings>>,
    /// What runs by it in this process (`filters/cycle.rs`).
    pub running: OnceCell<Box<dyn Any>>,
    /// What is said about shared memory.
    pub settings: Settings,
    /// What filters of all workers share.
    pub shared: Box<Shared>,
    /// What has become of filters.
    pub status: Status,
    /// Something names `$wasm_time`.
    pub measures_time: bool,
    /// How requests begin with upstreams, once the configuration is read.
    pub balancers: Balancers,
}

impl Default for MainConf {
    fn default() -> Self {
        MainConf {
            wasm_block: None,
            engine: None,
            engine_conf: EngineConf::default(),
            engines: Vec::new(),
            modules: Vec::new(),
            cache_dir: None,
            notes: Vec::new(),
            filters: Vec::new(),
            chains: Vec::new(),
            rules: Rules::default(),
            http: ptr::null(),
            lua_calls: None,
            running: OnceCell::new(),
            settings: Settings::default(),
            shared: Shared::create(),
            status: Status::default(),
            measures_time: false,
            balancers: Balancers::default(),
        }
    }
}

/// The configuration that was made last. While nginx reads it, it is not in `ngx_cycle` yet, but init_by_lua runs.
static LATEST: AtomicPtr<MainConf> = AtomicPtr::new(ptr::null_mut());

impl Drop for MainConf {
    fn drop(&mut self) {
        let own = ptr::from_mut(self);
        net::pool::clear();
        let _ = LATEST.compare_exchange(own, ptr::null_mut(), Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl MainConf {
    /// `create_conf` of the core module.
    ///
    /// # Safety
    /// `cycle` is the cycle that nginx is making.
    pub unsafe fn create(cycle: *mut ngx_cycle_t) -> *mut c_void {
        // SAFETY: the cycle's pool is destroyed with the cycle, after everything that could reach its configuration.
        let conf = unsafe { pool::own((*cycle).pool, MainConf::default()) }.unwrap_or(ptr::null_mut());
        LATEST.store(conf, Ordering::SeqCst);
        conf.cast()
    }

    /// The configuration that nginx reads now, or has read last; null before the first and after a failed one.
    pub fn latest() -> *mut MainConf {
        LATEST.load(Ordering::SeqCst)
    }

    /// The engine for modules in this form, which lives as long as this configuration.
    pub fn engine(&mut self, form: Form) -> Result<Arc<dyn Engine>, String> {
        if let Some((_, engine)) = self.engines.iter().find(|(known, _)| *known == form) {
            return Ok(engine.clone());
        }
        let engine = self.engine.unwrap_or_default().engine(&self.engine_conf, form)?;
        self.engines.push((form, engine.clone()));
        Ok(engine)
    }

    /// Caps on an instance that Lua makes.
    pub fn lua_limits(&self) -> (InstanceLimits, Duration, usize) {
        // SAFETY: the level's configuration is in the pool of this cycle. Directives write it, but none while Lua runs.
        match unsafe { self.http.as_ref() } {
            Some(http) => {
                (InstanceLimits { memory: http.memory_limit(), pooled: false }, http.timeout(), http.calls.max_calls())
            }
            None => {
                let limits = CallConf::default().max_calls();
                (InstanceLimits::default(), Duration::from_millis(DEFAULT_TIMEOUT as u64), limits)
            }
        }
    }

    /// What a filter that Lua loads under this name may do: what is said for it in http { }.
    ///
    /// # Safety
    /// `cycle` is the one that this configuration belongs to.
    pub unsafe fn lua_capabilities(
        &self,
        name: &[u8],
        cycle: *const ngx_cycle_t,
    ) -> Result<Option<Arc<Capabilities>>, String> {
        // SAFETY: see above. The level lives as long as the configuration, and has none around it.
        let found = unsafe { self.rules.capabilities(self.http, name, &conf_prefix(cycle)) }?;
        Ok(found.map(Arc::new))
    }

    /// The lines of a filter that Lua runs under this name: what the level http { } says.
    pub fn lua_lines(&self, name: &[u8]) -> Rc<LogRate> {
        // SAFETY: see `lua_limits`; the level is the outermost.
        let limit = unsafe {
            self.rules.find(self.http, name, |rule| match &rule.setting {
                Setting::LogRate(limit) => Some(*limit),
                _ => None,
            })
        };
        LogRate::new(name.to_vec(), limit.unwrap_or(Some(DEFAULT_LOG_RATE)))
    }

    /// The configuration of a cycle, or null before `create_conf`.
    ///
    /// # Safety
    /// `cycle` is a cycle of nginx.
    pub unsafe fn of(cycle: *const ngx_cycle_t) -> *mut MainConf {
        // SAFETY: nginx gave the module its index, and made `conf_ctx` for all indexes.
        unsafe {
            let ctx = (*cycle).conf_ctx;
            if ctx.is_null() || ngx_wasm_module.index == ngx_uint_t::MAX {
                return ptr::null_mut();
            }
            (*ctx.add(ngx_wasm_module.index)).cast()
        }
    }

    /// Adds a filter at the end of the chain of `loc`.
    pub fn add_filter(&mut self, loc: &mut LocConf, filter: NewFilter) {
        let NewFilter { name, configuration, file, root_id, place } = filter;
        if matches!(loc.chain, UNSET | NO_CHAIN) {
            loc.chain = self.chains.len();
            self.chains.push(Vec::new());
        }
        self.chains[loc.chain].push(self.filters.len());
        self.filters.push(FilterConf {
            name,
            configuration,
            file,
            root_id,
            place,
            declared: loc,
            module: UNSET,
            limits: InstanceLimits::default(),
            timeout: Duration::ZERO,
            calls: None,
            max_calls: 0,
            on_error: OnError::Reload(Without::Closed),
            isolation: Isolation::Worker,
            recycle: Recycle::AtLimit,
            restart_delay: RestartDelay::default(),
            log_rate: Some(DEFAULT_LOG_RATE),
            lines: LogRate::new(Vec::new(), None),
            fuel: None,
            capabilities: None,
        });
    }

    /// Gives each filter the limits of the level that declares it, and the way in which it calls other services, once all
    /// levels are merged.
    ///
    /// # Safety
    /// `cf` is nginx's, which reads this configuration.
    pub unsafe fn settle(&mut self, cf: *mut ngx_conf_t) -> Result<(), String> {
        // SAFETY: the levels' configuration is in the pool of this cycle, and nothing else writes it any more.
        unsafe {
            let base = conf_prefix((*cf).cycle);
            self.rules.check_words(&base)?;
            // All other levels were told when they were merged.
            if let Some(http) = self.http.cast_mut().as_mut() {
                http.calls.core = LocConf::core(cf);
                self.lua_calls = Some(http.calls.settings(cf)?);
            }
            let mut known: Vec<(*const LocConf, Rc<CallSettings>)> = Vec::new();
            for filter in &mut self.filters {
                let declared = &*filter.declared;
                filter.timeout = declared.timeout();
                filter.max_calls = declared.calls.max_calls();
                let settings = match known.iter().find(|(level, _)| *level == filter.declared) {
                    Some((_, settings)) => settings.clone(),
                    None => declared.calls.settings(cf).map_err(|reason| format!("{reason} in {}", filter.place))?,
                };
                known.push((filter.declared, settings.clone()));
                filter.calls = Some(settings);
                filter.obey(&self.rules);
                let pooled = filter.isolation == Isolation::Request;
                filter.limits = InstanceLimits { memory: declared.memory_limit(), pooled };
                filter.capabilities = self.rules.capabilities(filter.declared, &filter.name, &base)?.map(Arc::new);
                filter.lines = LogRate::new(filter.name.clone(), filter.log_rate);
            }
            // What Lua loads gets its name later, and goes by the level http { }.
            let of_lua = if modules::has_lua((*cf).cycle) { self.http } else { ptr::null() };
            let is_known = |name: &[u8]| self.filters.iter().any(|filter| filter.name == name);
            if let Some((name, place)) = self.rules.unknown_filter(of_lua, is_known) {
                let name = String::from_utf8_lossy(name);
                return Err(format!("no \"proxy_wasm {name}\" for what is said of \"filter={name}\" in {place}"));
            }
        }
        Ok(())
    }
}

/// The folder of nginx.conf, below which its relative paths are.
///
/// # Safety
/// `cycle` is a cycle of nginx.
unsafe fn conf_prefix(cycle: *const ngx_cycle_t) -> PathBuf {
    // SAFETY: nginx sets it before it reads the configuration.
    PathBuf::from(OsStr::from_bytes(unsafe { (*cycle).conf_prefix.as_bytes() }))
}

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
    unsafe fn core(cf: *mut ngx_conf_t) -> *mut ngx_http_core_loc_conf_t {
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
    ///
    /// # Safety
    /// `r` is a live request.
    pub unsafe fn of<'a>(r: *mut ngx_http_request_t) -> &'a LocConf {
        // SAFETY: nginx keeps an array for all HTTP modules in the request, and the cycle as long as the request.
        unsafe { &*(*(*r).loc_conf.add(ngx_http_wasm_module.ctx_index)).cast::<LocConf>() }
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

    /// How much of a body a filter can ask to hold, in bytes.
    ///
    /// # Safety
    /// `r` is a live request in this location.
    pub unsafe fn body_buffer_max(&self, r: *mut ngx_http_request_t, direction: Direction) -> usize {
        if self.body_buffer_max != UNSET {
            return self.body_buffer_max;
        }
        if direction == Direction::Response {
            return DEFAULT_RESPONSE_BUFFER_MAX;
        }
        // SAFETY: the core module has a configuration in every location.
        let most = unsafe {
            let core = (*(*r).loc_conf.add(ngx_http_core_module.ctx_index)).cast::<ngx_http_core_loc_conf_t>();
            (*core).client_max_body_size
        };
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

    fn memory_limit(&self) -> usize {
        if self.memory_limit == UNSET { DEFAULT_MEMORY_LIMIT } else { self.memory_limit }
    }
}
