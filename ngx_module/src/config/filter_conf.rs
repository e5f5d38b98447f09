//! What nginx.conf says of one module, and of one filter.

use crate::config::level::{KnownAs, Level};
use crate::config::rules::Policy;
use crate::net::settings::CallSettings;
use crate::nginx::conf_position::ConfPosition;
use crate::process::engine::ModuleVariant;
use crate::process::guest_log::GuestLog;
use crate::process::status::Identity;
use crate::process::supply::Origin;
use ngx_wasm::extism::Plugin;
use ngx_wasm::programs;
use ngx_wasm::proxy_wasm::{Capabilities, Module, RootConfig, VmConfig};
use ngx_wasm::vm::InstanceLimits;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// `module NAME PATH ['VM CONFIG' | file=PATH] [sha256=HEX];`
pub struct ModuleConf {
    pub name: Vec<u8>,
    pub path: String,
    pub vm_configuration: Vec<u8>,
    /// Where start-up reads the VM configuration from.
    pub file: Option<PathBuf>,
    /// What the file has to have, in lower-case hexadecimal digits.
    pub sha256: Option<String>,
    pub place: ConfPosition,
    /// Set by start-up: where it comes from.
    pub origin: Option<Origin>,
    /// Set by start-up, for each form in which a filter wants it.
    pub compiled: Vec<(ModuleVariant, Arc<Module>)>,
    /// The same for programs.
    pub programs: Vec<(ModuleVariant, Arc<programs::Module>)>,
    /// The same for plugins, whose functions answer locations.
    pub plugins: Vec<(ModuleVariant, Arc<Plugin>)>,
}

impl ModuleConf {
    /// The module in the form that a filter wants; `None` before start-up has made it.
    pub fn compiled(&self, form: ModuleVariant) -> Option<&Arc<Module>> {
        self.compiled.iter().find(|(known, _)| *known == form).map(|(_, module)| module)
    }
}

impl ModuleConf {
    /// The program in the form that a location wants; `None` before start-up has made it.
    pub fn program(&self, form: ModuleVariant) -> Option<&Arc<programs::Module>> {
        self.programs.iter().find(|(known, _)| *known == form).map(|(_, module)| module)
    }

    /// The plugin in the form that a location wants; `None` before start-up has made it.
    pub fn plugin(&self, form: ModuleVariant) -> Option<&Arc<Plugin>> {
        self.plugins.iter().find(|(known, _)| *known == form).map(|(_, plugin)| plugin)
    }
}

/// What `proxy_wasm` says of a filter.
pub struct NewFilter {
    pub name: Vec<u8>,
    pub configuration: Vec<u8>,
    pub file: Option<PathBuf>,
    pub root_id: Vec<u8>,
    pub place: ConfPosition,
}

/// `proxy_wasm NAME ['CONFIG' | file=PATH] [root_id=ID];`
pub struct FilterConf {
    pub name: Vec<u8>,
    pub configuration: Vec<u8>,
    /// Where start-up reads the configuration from.
    pub file: Option<PathBuf>,
    pub root_id: Vec<u8>,
    pub place: ConfPosition,
    /// The level that declares it, whose limits hold for its instance.
    pub(super) declared: Level,
    /// Set by start-up: the place of its module in [`MainConf::modules`].
    pub module: Option<usize>,
    /// Caps on its instance.
    pub limits: InstanceLimits,
    /// How long its start-up may take.
    pub timeout: Duration,
    /// How it calls other services; there once all levels are merged.
    pub calls: Option<Rc<CallSettings>>,
    pub(super) max_calls: usize,
    /// What is said about it; there once all levels are merged.
    pub policy: Policy,
    /// Set by start-up: its instances cannot be put back to what they were when they had started.
    pub always_starts: bool,
    /// What it has logged.
    pub lines: Rc<GuestLog>,
    /// What it may do; `None` is everything but files.
    pub capabilities: Option<Arc<Capabilities>>,
    /// `NAME=VALUE`, each.
    pub(super) environment: Arc<Vec<Vec<u8>>>,
    /// What operators know it by; there once all levels are merged.
    pub known_as: KnownAs,
    /// It is measured how long its callbacks take.
    pub(super) is_measured: bool,
}

impl FilterConf {
    /// Its module, once start-up has found it.
    pub fn module<'a>(&self, modules: &'a [ModuleConf]) -> Option<&'a ModuleConf> {
        self.module.and_then(|module| modules.get(module))
    }

    /// What it is counted under.
    pub fn identity<'a>(&'a self, modules: &'a [ModuleConf]) -> Identity<'a> {
        Identity {
            name: &self.name,
            vm_configuration: self.module(modules).map_or(b"", |module| &module.vm_configuration),
            configuration: &self.configuration,
            root_id: &self.root_id,
            server: &self.known_as.level.server,
            location: &self.known_as.level.location,
            place: &self.place,
        }
    }

    /// The form in which it wants its module.
    pub fn form(&self) -> ModuleVariant {
        ModuleVariant { fuel: self.policy.fuel.is_some(), pooled: self.limits.pooled }
    }

    /// The parts of the configuration that the VM wants.
    pub fn configs(&self, module: &ModuleConf) -> (VmConfig, RootConfig) {
        let vm = VmConfig {
            id: module.name.clone(),
            configuration: module.vm_configuration.clone(),
            environment: self.environment.clone(),
            limits: self.limits,
            reuse_context_ids: false,
            max_calls: self.max_calls,
            capabilities: self.capabilities.clone(),
            fuel: self.policy.fuel,
            is_measured: self.is_measured,
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
