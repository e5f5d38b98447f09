//! Filters of nginx.conf, as their instances know them.

use std::cell::Cell;
use std::path::Path;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use nginx_sys::NGX_LOG_CRIT;
use ngx::core::NgxStr;
use ngx_wasm::proxy_wasm::{CallError, Callback, ContextId, Module, StartError, StreamToken, Vm, VmImage};

use super::instances::{Consequences, Filter, Wording};
use super::requests::{self, RootWorld};
use super::root_host::RootHost;
use crate::config::conf::MainConf;
use crate::config::filter_conf::{FilterConf, ModuleConf};
use crate::config::rules::{Isolation, Policy};
use crate::net::settings::CallSettings;
use crate::nginx::log::{self, Log};
use crate::process::status::FilterStatus;

/// A filter of nginx.conf.
pub struct Configured {
    main: NonNull<MainConf>,
    /// Its place in [`MainConf::filters`].
    filter: usize,
    /// There once an instance has started.
    status: Cell<FilterStatus>,
}

impl Configured {
    /// Filter number `filter`, which there is.
    ///
    /// # Safety
    /// The configuration outlives this, and what it says about filters does not change any more.
    pub unsafe fn new(main: &MainConf, filter: usize) -> Self {
        Configured { main: NonNull::from(main), filter, status: Cell::default() }
    }

    fn main(&self) -> &MainConf {
        // SAFETY: `new` asks for a configuration that outlives this.
        unsafe { self.main.as_ref() }
    }

    fn conf(&self) -> &FilterConf {
        &self.main().filters[self.filter]
    }
}

impl Filter for Configured {
    fn name(&self) -> &[u8] {
        &self.conf().name
    }

    fn policy(&self) -> &Policy {
        &self.conf().policy
    }

    fn memory_limit(&self) -> usize {
        self.conf().limits.memory
    }

    fn status(&self) -> FilterStatus {
        self.status.get()
    }

    fn start(&self, log: Log<'_>) -> Result<(Vm, Option<ContextId>), String> {
        let (main, conf) = (self.main(), self.conf());
        self.status.set(main.status.filter(self.filter));
        let mut host = RootHost::new(log, conf.timeout, conf.lines.clone(), self.status.get(), conf.policy.trace);
        start(conf, &main.modules, &mut host).map(|(vm, root)| (vm, Some(root)))
    }

    fn may_put_back(&self) -> bool {
        self.conf().policy.isolation == Isolation::Request && !self.conf().always_starts
    }

    fn most_idle(&self) -> usize {
        self.main().engine_conf.idle_instances()
    }

    fn start_from(&self, image: &VmImage) -> Result<Vm, String> {
        let (module, compiled) = compiled(self.conf(), &self.main().modules).ok_or("its module is not compiled")?;
        let (vm, root) = self.conf().configs(module);
        Vm::from_image(compiled, vm, root, image, self.conf().timeout)
    }

    fn has_own_root(&self) -> bool {
        true
    }

    fn log_start_failure(&self, reason: &str, fate: &str, log: Log<'_>) {
        let conf = self.conf();
        let (name, reason) = (NgxStr::from_bytes(&conf.name), log::printable(reason));
        let line = format!("wasm filter \"{name}\" does not start in this worker, {fate}: {reason} in {}", conf.place);
        log.write(NGX_LOG_CRIT, line);
    }

    fn wording(&self) -> &'static Wording {
        &Wording {
            fails: "this request fails, ",
            goes_on: "this request goes on without the filter, ",
            closed: "requests fail",
            open: "requests go on without it",
            others: "others have other instances",
            until: "until the configuration is loaded again",
            next: "the next one gets a new instance",
            at_once: "requests get a new instance",
            instance: "instance",
        }
    }

    fn calls(&self) -> Option<Rc<CallSettings>> {
        self.conf().calls.clone()
    }

    fn is_told_of_messages(&self) -> bool {
        true
    }

    fn world<'a>(&'a self, _generation: u64, log: Log<'a>, streams: &[StreamToken]) -> Option<Box<dyn RootWorld + 'a>> {
        let conf = self.conf();
        Some((requests::known()?.world)(self.filter, log, conf, streams))
    }

    fn let_go(&self, stream: StreamToken, consequences: &Consequences) {
        if let Some(requests) = requests::known() {
            (requests.let_go)(stream, self.filter, consequences.others, &self.status());
        }
    }
}

/// The module of a filter, in the form in which it wants it.
fn compiled<'a>(filter: &FilterConf, modules: &'a [ModuleConf]) -> Option<(&'a ModuleConf, &'a Arc<Module>)> {
    let module = filter.module(modules)?;
    Some((module, module.compiled(filter.form())?))
}

/// Starts a VM for a filter, with its root context.
pub fn start(filter: &FilterConf, modules: &[ModuleConf], host: &mut RootHost<'_>) -> Result<(Vm, ContextId), String> {
    let (module, compiled) = compiled(filter, modules).ok_or("its module is not compiled")?;
    let (vm, root) = filter.configs(module);
    let mut vm = Vm::start(compiled, vm, host).map_err(|err| host.explain(&err, ""))?;
    match vm.create_root(root, host) {
        Ok(root) => Ok((vm, root)),
        Err(err) => {
            let about = match &err {
                // SDKs with a registry of root ids look for theirs there.
                StartError::Call(CallError::Trap { callback: Callback::OnContextCreate, .. }) if vm.asked_root_id() => {
                    let id = NgxStr::from_bytes(&filter.root_id);
                    format!("; it asked for its root id before, which is \"{id}\" (root_id=ID names another)")
                }
                StartError::VmStart => refused(&module.vm_configuration, module.file.as_deref(), "\"module\""),
                StartError::Configure => refused(&filter.configuration, filter.file.as_deref(), "\"proxy_wasm\""),
                _ => String::new(),
            };
            Err(host.explain(&err, &about))
        }
    }
}

/// What can be said of a configuration that a filter has refused.
fn refused(configuration: &[u8], file: Option<&Path>, directive: &str) -> String {
    let source = file.map(|path| format!(", from \"{}\"", path.display())).unwrap_or_default();
    let what = match configuration.trim_ascii_start() {
        [] => format!(", which is empty: it stands behind the name in {directive}, or in a file (file=PATH)"),
        [b'{' | b'[', ..] => match serde_json::from_slice::<serde_json::Value>(configuration) {
            Err(err) if file.is_some() => format!(", which begins as JSON does and is none: {err}"),
            Err(err) => {
                let how = "in nginx.conf it stands in single quotes, and a backslash in it twice";
                format!(", which begins as JSON does and is none: {err} ({how})")
            }
            Ok(_) => String::new(),
        },
        _ => String::new(),
    };
    source + &what
}
