//! A plugin context: a configuration of a plugin, with its root context in the instance that there is, and the contexts of requests.

use std::cell::Cell;
use std::rc::Rc;

use nginx_sys::{NGX_LOG_CRIT, NGX_LOG_INFO};
use ngx_wasm::proxy_wasm::{CallError, ContextId, StartError, Vm};

use super::plugin::{Plugin, write};
use super::root_id;
use crate::config::loc_conf::LocConf;
use crate::filters::instances::{About, Filter};
use crate::filters::requests::RootWorld;
use crate::http::host::RequestHost;
use crate::http::report;
use crate::http::request::Request;
use crate::nginx::cycle;
use crate::process::status::Event;

/// A configuration of a plugin.
pub struct PluginContext {
    plugin: Rc<Plugin>,
    pub configuration: Vec<u8>,
    /// The root context, and the generation of the instance that it is in.
    root: Cell<(ContextId, u64)>,
}

impl PluginContext {
    /// Makes a root context with this configuration.
    pub fn create(plugin: Rc<Plugin>, configuration: &[u8]) -> Option<Rc<PluginContext>> {
        let context =
            PluginContext { plugin, configuration: configuration.to_vec(), root: Cell::new((ContextId(0), 0)) };
        context.ensure_root()?;
        Some(Rc::new(context))
    }

    /// What it is a configuration of.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The root context, and the generation of its instance, which can be called.
    fn ensure_root(&self) -> Option<(ContextId, u64)> {
        let generation = self.plugin.enter()?;
        let (root, known) = self.root.get();
        if known == generation {
            return Some((root, generation));
        }
        // Finding the root id may take another instance.
        let (made, generation) = root_id::create(self, generation)?;
        let mut instances = self.plugin.instances()?;
        match made {
            Ok(root) => {
                instances.get(generation)?.add_root();
                instances.root_started(generation);
                write(NGX_LOG_INFO, &format!("create plugin context {root}"));
                self.root.set((root, generation));
                Some((root, generation))
            }
            Err(err) => {
                self.plugin.module.log_failure(&err.to_string());
                if let StartError::Call(err) = &err {
                    instances.root_failed(generation, err);
                }
                None
            }
        }
    }

    /// Makes a stream context for a request. Answers it and the generation of its instance.
    pub fn create_stream(&self, request: &Request) -> Option<(ContextId, u64)> {
        let (root, generation) = self.ensure_root()?;
        let context = self.call(request, generation, |vm, host| vm.create_stream(root, host.token(), host))?;
        self.plugin.module.status().count(Event::Request);
        request.r().log().write(NGX_LOG_INFO, format!("create http context {context}"));
        Some((context, generation))
    }

    /// Runs a callback about a request. `None`: it failed, and the log says why.
    pub fn call<R>(
        &self,
        request: &Request,
        generation: u64,
        callback: impl FnOnce(&mut Vm, &mut RequestHost<'_>) -> Result<R, CallError>,
    ) -> Option<R> {
        let Some(mut instances) = self.plugin.instances() else {
            self.log_failed_callback(request, "was entered while it ran");
            return None;
        };
        let module = &self.plugin.module;
        let instance = instances.get(generation)?;
        module.set_running(generation);
        let mut host = RequestHost::for_seat(request, module.as_ref(), LocConf::of(request.r()).timeout());
        match report::measured(request, || module.clocked(|| callback(&mut instance.vm, &mut host))) {
            Ok(result) => {
                drop(host);
                instances.after_callback(generation);
                Some(result)
            }
            Err(err) => {
                let consequences = instances.count_failure(generation, &err, About::Request);
                host.log_failure(&err, &consequences.text);
                drop(host);
                // Another filter of the plugin may wait in the same request.
                instances.discard(&consequences, None);
                None
            }
        }
    }

    /// Ends a stream context.
    pub fn end_stream(&self, request: &Request, context: ContextId, generation: u64) {
        if self.plugin.has(generation) {
            let is_served = self.call(request, generation, |vm, host| vm.end_stream(context, host)).is_some();
            if let Some(mut instances) = self.plugin.instances() {
                instances.leave(generation, is_served);
            }
        }
        request.r().log().write(NGX_LOG_INFO, format!("free http context {context}"));
    }

    /// Forgets a stream context that `end_stream` has not ended.
    pub fn forget(&self, context: ContextId, generation: u64) {
        if let Some(mut instances) = self.plugin.instances()
            && let Some(instance) = instances.get(generation)
        {
            instance.vm.forget(context);
            instances.leave(generation, false);
        }
    }

    /// Logs a mistake of the filter.
    pub fn log_failed_callback(&self, request: &Request, what: &str) {
        self.log(NGX_LOG_CRIT, request, what);
    }

    /// Writes a line about the filter in a request.
    pub fn log(&self, level: u32, request: &Request, what: &str) {
        let name = String::from_utf8_lossy(self.plugin.module.name());
        request.r().log().write(level, format!("wasm plugin \"{name}\" {what}"));
    }
}

impl Drop for PluginContext {
    fn drop(&mut self) {
        let (root, generation) = self.root.get();
        if self.plugin.is_own()
            && let Some(mut instances) = self.plugin.instances()
            && let Some(instance) = instances.get(generation)
        {
            let module = &self.plugin.module;
            let mut host = module.root_host(cycle::log());
            match module.clocked(|| instance.vm.end_root(root, &mut host)) {
                Ok(()) => {
                    instance.end_root(root);
                    instances.after_callback(generation);
                    instances.end_if_idle(generation);
                }
                Err(err) => {
                    // Guests built with the AssemblyScript SDK trap here; another instance is made when one is needed.
                    write(NGX_LOG_INFO, &format!("plugin context {root} did not end cleanly: {err}"));
                    let consequences = instances.count_failure(generation, &err, About::End);
                    instances.discard(&consequences, None);
                }
            }
        }
        if root != ContextId(0) {
            write(NGX_LOG_INFO, &format!("free plugin context {root}"));
        }
    }
}
