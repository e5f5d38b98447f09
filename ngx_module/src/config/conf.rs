//! The configuration of a cycle: what the directives say, and what start-up made of it. It belongs to the core module and lives as
//! long as its cycle. `filter_conf.rs` and `loc_conf.rs` are parts of it.

use std::any::Any;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use nginx_sys::ngx_cycle_t;
use ngx::core::NgxStr;
use ngx_wasm::programs::Limits;
use ngx_wasm::proxy_wasm::Capabilities;
use ngx_wasm::vm::{Engine, InstanceLimits};

use crate::config::calls::CallConf;
use crate::config::filter_conf::{FilterConf, ModuleConf, NewFilter};
use crate::config::level::{KnownAs, Level, Levels};
use crate::config::loc_conf::{DEFAULT_TIMEOUT, LocConf};
use crate::config::program_conf::ProgramLocation;
use crate::config::programs;
use crate::config::rule_notes;
use crate::config::rules::{Isolation, Policy, Rules};
use crate::net;
use crate::net::settings::CallSettings;
use crate::net::upstreams::Balancers;
use crate::nginx::conf::Conf;
use crate::nginx::conf_position::ConfPosition;
use crate::nginx::cycle;
use crate::nginx::module::ngx_wasm_module;
use crate::nginx::pool::Kept;
use crate::process::engine::{self, EngineConf, EngineName, ModuleVariant};
use crate::process::guest_log::GuestLog;
use crate::process::shared_memory::{SharedMemory, ZoneSettings};
use crate::process::status::Status;
use crate::process::supply::{CacheDir, Note};

/// Everything about one cycle.
pub struct MainConf {
    /// What runs by it in this process (`filters/cycle.rs`). First, so that it goes before what it runs by.
    pub running: OnceCell<Box<dyn Any>>,
    pub wasm_block: Option<ConfPosition>,
    /// What `wasm_vm` says.
    pub engine: Option<EngineName>,
    /// What `wasm { }` says about engines.
    pub engine_conf: EngineConf,
    /// Set by start-up: those that its filters use.
    pub engines: Vec<(ModuleVariant, Arc<dyn Engine>)>,
    pub modules: Vec<ModuleConf>,
    /// Where compiled code is kept for the next start, if it is.
    pub cache_dir: Option<CacheDir>,
    /// How modules were come by, until that is in the log.
    pub notes: Vec<Note>,
    /// What is wrong with it, with its place, until start-up tells it.
    pub mistakes: Vec<String>,
    pub filters: Vec<FilterConf>,
    /// Locations that run programs; there once all levels are merged.
    pub programs: Vec<ProgramLocation>,
    /// `wasm_threads`
    pub program_threads: Option<Limits>,
    /// Filters of each level that declares any, in order, once levels are merged; before that, those that it declares.
    pub chains: Vec<Vec<usize>>,
    /// What is said about filters one by one.
    pub rules: Rules,
    /// What each level says. The limits of http { } hold for what Lua loads.
    pub levels: Levels,
    /// The folder of nginx.conf.
    folder: PathBuf,
    /// How filters that Lua runs call other services: what the level http { } says.
    pub lua_calls: Option<Rc<CallSettings>>,
    /// What is said about shared memory.
    pub settings: ZoneSettings,
    /// What filters of all workers share.
    pub shared: Box<SharedMemory>,
    /// What has become of filters.
    pub status: Status,
    /// Set by start-up: how long all filters took to start, once each.
    pub start_time: Duration,
    /// Something names `$wasm_time`.
    pub measures_time: bool,
    /// `wasm_latency`
    pub measures_callbacks: Option<bool>,
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
            mistakes: Vec::new(),
            filters: Vec::new(),
            programs: Vec::new(),
            program_threads: None,
            chains: Vec::new(),
            rules: Rules::default(),
            levels: Levels::default(),
            folder: PathBuf::new(),
            lua_calls: None,
            running: OnceCell::new(),
            settings: ZoneSettings::default(),
            shared: SharedMemory::create(),
            status: Status::default(),
            start_time: Duration::ZERO,
            measures_time: false,
            measures_callbacks: None,
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
        let mut main = MainConf::default();
        // SAFETY: nginx has set what leads to it before it makes configurations.
        main.folder = unsafe { cycle::conf_folder(cycle) };
        // SAFETY: nginx is making the cycle.
        let pool = unsafe { cycle::pool_of(cycle) };
        let conf = pool.own(main).map_or(ptr::null_mut(), Kept::as_ptr);
        LATEST.store(conf, Ordering::SeqCst);
        conf.cast()
    }

    /// The configuration that nginx reads now, or has read last; null before the first and after a failed one.
    pub fn latest() -> *mut MainConf {
        LATEST.load(Ordering::SeqCst)
    }

    /// What code goes by that may run before a cycle does: in a worker that of its cycle; while nginx reads a configuration, that.
    pub fn current_or_latest() -> Option<&'static MainConf> {
        if engine::in_worker() {
            return MainConf::current();
        }
        // SAFETY: cleared before it goes, and nothing keeps the reference for longer than it asks.
        unsafe { MainConf::latest().as_ref() }
    }

    /// The engine for modules in this form, which lives as long as this configuration.
    pub fn engine(&mut self, form: ModuleVariant) -> Result<Arc<dyn Engine>, String> {
        if let Some((_, engine)) = self.engines.iter().find(|(known, _)| *known == form) {
            return Ok(engine.clone());
        }
        let engine = self.engine.unwrap_or_default().engine(&self.engine_conf, form)?;
        self.engines.push((form, engine.clone()));
        Ok(engine)
    }

    /// Caps on an instance that Lua makes.
    pub fn lua_limits(&self) -> (InstanceLimits, Duration, usize) {
        match self.levels.http().map(|http| &self.levels[http]) {
            Some(http) => {
                (InstanceLimits { memory: http.memory_limit(), pooled: false }, http.timeout(), http.calls.max_calls())
            }
            None => (InstanceLimits::default(), DEFAULT_TIMEOUT, CallConf::default().max_calls()),
        }
    }

    /// What a filter that Lua loads under this name may do: what is said for it in http { }.
    pub fn lua_capabilities(&self, name: &[u8]) -> Result<Option<Arc<Capabilities>>, String> {
        let found = self.rules.capabilities(&self.levels, self.levels.http(), name, &self.folder)?;
        Ok(found.map(Arc::new))
    }

    /// The environment of a filter that Lua loads under this name: what is said for it in http { }.
    pub fn lua_environment(&self, name: &[u8]) -> Arc<Vec<Vec<u8>>> {
        Arc::new(self.rules.environment(&self.levels, self.levels.http(), name))
    }

    /// What is said about a filter that Lua loads under this name: what the level http { } says. Its requests share an instance in any
    /// case.
    pub fn lua_policy(&self, name: &[u8]) -> Policy {
        let policy = self.rules.policy(&self.levels, self.levels.http(), name);
        Policy { isolation: Isolation::Worker, ..policy }
    }

    /// The configuration of a cycle, or null before `create_conf`.
    ///
    /// # Safety
    /// `cycle` is a cycle of nginx.
    pub unsafe fn of(cycle: *const ngx_cycle_t) -> *mut MainConf {
        let module = &raw const ngx_wasm_module;
        // SAFETY: `cycle` is one of nginx, and the module keeps what `create` has made.
        let conf = unsafe { cycle::conf(cycle, module) };
        conf.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// That of the cycle which runs, which outlives all that is done by it.
    pub fn current() -> Option<&'static MainConf> {
        // SAFETY: nginx always has a cycle.
        let main = unsafe { MainConf::of(cycle::current()) };
        // SAFETY: nothing writes the configuration of a cycle once it runs.
        unsafe { main.as_ref() }
    }

    /// The filters of a level, with the number of their chain; `None` when there are none.
    pub fn chain(&self, level: &LocConf) -> Option<(usize, &[usize])> {
        let chain = level.chain?;
        Some((chain, self.chains.get(chain)?))
    }

    /// How many threads a worker has for programs, where nothing is said.
    pub const DEFAULT_THREADS: Limits = Limits { threads: 32, queue: 1024 };

    /// How many threads a worker has for programs.
    pub fn program_threads(&self) -> Limits {
        self.program_threads.unwrap_or(Self::DEFAULT_THREADS)
    }

    /// The folder of nginx.conf.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which filters there are, for a message.
    pub fn filter_names(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for name in self.filters.iter().map(|filter| NgxStr::from_bytes(&filter.name).to_string()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { "there is no filter".into() } else { format!("there is {}", names.join(", ")) }
    }

    /// Adds a filter at the end of the chain of a level.
    pub fn add_filter(&mut self, level: Level, filter: NewFilter) {
        let NewFilter { name, configuration, file, root_id, place } = filter;
        let chain = *self.levels[level].chain.get_or_insert_with(|| {
            self.chains.push(Vec::new());
            self.chains.len() - 1
        });
        self.chains[chain].push(self.filters.len());
        self.filters.push(FilterConf {
            name,
            configuration,
            file,
            root_id,
            place,
            declared: level,
            module: None,
            limits: InstanceLimits::default(),
            timeout: Duration::ZERO,
            calls: None,
            max_calls: 0,
            policy: Policy::default(),
            always_starts: false,
            lines: GuestLog::new(b"", Vec::new(), None, None),
            capabilities: None,
            environment: Arc::default(),
            known_as: KnownAs::default(),
            is_measured: false,
        });
    }

    /// Gives each filter the limits of the level that declares it, and the way in which it calls other services, once all
    /// levels are merged.
    pub fn complete(&mut self, conf: &Conf) -> Result<(), String> {
        self.mistakes.extend(self.rules.wrong_words(&self.folder));
        // All other levels were told when they were merged.
        if let Some(http) = self.levels.http() {
            self.levels.set_log(http, conf.level_log());
            let calls = &mut self.levels[http].calls;
            calls.core = conf.resolver();
            self.lua_calls = Some(calls.settings(conf)?);
        }
        let mut known: Vec<(Level, Rc<CallSettings>)> = Vec::new();
        let mut before = BTreeMap::new();
        for filter in &mut self.filters {
            let declared = &self.levels[filter.declared];
            filter.timeout = declared.timeout();
            filter.max_calls = declared.calls.max_calls();
            let settings = match known.iter().find(|(level, _)| *level == filter.declared) {
                Some((_, settings)) => settings.clone(),
                None => declared.calls.settings(conf).map_err(|reason| format!("{reason} in {}", filter.place))?,
            };
            known.push((filter.declared, settings.clone()));
            filter.calls = Some(settings);
            filter.policy = self.rules.policy(&self.levels, Some(filter.declared), &filter.name);
            let pooled = filter.policy.isolation != Isolation::Worker;
            filter.limits = InstanceLimits { memory: declared.memory_limit(), pooled };
            let level = Some(filter.declared);
            match self.rules.capabilities(&self.levels, level, &filter.name, &self.folder) {
                Ok(capabilities) => filter.capabilities = capabilities.map(Arc::new),
                // Nginx does not go over to a configuration with mistakes.
                Err(reason) => self.mistakes.push(reason),
            }
            filter.environment = Arc::new(self.rules.environment(&self.levels, level, &filter.name));
            let Policy { log_level, log_rate, .. } = filter.policy;
            filter.lines = GuestLog::new(b"", filter.name.clone(), log_level, log_rate);
            filter.known_as = KnownAs::next(self.levels.name(filter.declared), &mut before);
            filter.is_measured = self.measures_callbacks == Some(true);
        }
        programs::complete(self, conf)?;
        rule_notes::look(self, conf.has_lua());
        Ok(())
    }
}
