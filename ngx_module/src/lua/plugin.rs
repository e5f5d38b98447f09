//! What Lua holds of a loaded module: [`Plugin`], with its instances. `context.rs` has the plugin contexts in them.
//!
//! An instance belongs to the process that made it. A module that init_by_lua loads in the master gets one of its own in each
//! worker, with the same plugin contexts; so it does after a trap. Calls to other services belong to an instance, and end with it.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use nginx_sys::{NGX_LOG_INFO, ngx_pid_t};
use ngx_wasm::proxy_wasm::ContextId;

use super::module::LoadedModule;
use super::root_id;
use crate::filters::instances::{Filter, Instances};
use crate::nginx::cycle;
use crate::nginx::log;
use crate::process::engine;

/// A module that Lua loaded, and its instances.
pub struct Plugin {
    pub module: Rc<LoadedModule>,
    instances: Rc<RefCell<Instances>>,
    /// The process whose instances they are.
    process: Cell<Process>,
    /// Which root id its contexts get, once that is known.
    pub root_id: Cell<Option<root_id::Choice>>,
    /// Its name is a text in the module.
    pub has_name: bool,
}

/// A process, at one time of its life.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: ngx_pid_t,
    /// Whether it serves requests. One that is its own master reads the configuration before; calls are made afterwards only.
    serves: bool,
}

impl Process {
    /// This one, now.
    fn current() -> Process {
        Process { pid: cycle::pid(), serves: engine::serves() }
    }
}

/// Writes a line to the log of the process.
pub fn write(level: u32, line: &str) {
    cycle::log().write(level, log::printable(line));
}

impl Plugin {
    /// Compiles `code` and starts an instance. `None` when that fails; the log says why.
    pub fn load(name: &[u8], code: &[u8]) -> Option<Rc<Plugin>> {
        let module = LoadedModule::compile(name, code).map_err(|reason| {
            let name = String::from_utf8_lossy(name);
            write(nginx_sys::NGX_LOG_ERR, &format!("failed to load wasm plugin \"{name}\": {reason}"));
        });
        let module = module.ok()?;
        let plugin = Plugin {
            instances: Instances::of(module.clone()),
            module,
            process: Cell::new(Process::current()),
            root_id: Cell::new(None),
            has_name: root_id::has_text(code, name),
        };
        plugin.enter()?;
        Some(Rc::new(plugin))
    }

    /// The instances, unless a callback runs in one of them.
    pub fn instances(&self) -> Option<RefMut<'_, Instances>> {
        self.instances.try_borrow_mut().ok()
    }

    /// The generation of the instance that new requests get, started if it has to be. `None` when there is none; the log says or
    /// has said why.
    pub fn enter(&self) -> Option<u64> {
        let Some(mut instances) = self.instances() else {
            self.module.log_failure("entered while it ran");
            return None;
        };
        if self.process.replace(Process::current()) != Process::current() {
            instances.begin_anew();
        }
        instances.enter(cycle::log()).ok().map(|instance| instance.generation)
    }

    /// Starts another instance in the place of one in which no request has a context.
    pub fn start_anew(&self, generation: u64) -> Option<u64> {
        self.instances()?.end(generation);
        self.enter()
    }

    /// Whether an instance is there still.
    pub fn has(&self, generation: u64) -> bool {
        // While it runs, it is.
        self.is_own() && self.instances().is_none_or(|mut instances| instances.get(generation).is_some())
    }

    /// Whether the instances are of this process.
    pub fn is_own(&self) -> bool {
        self.process.get() == Process::current()
    }

    /// Whether a context of an instance has made calls that have not ended.
    pub fn has_calls(&self, context: ContextId, generation: u64) -> bool {
        // While it runs, nobody knows; then nothing goes on.
        let Some(mut instances) = self.instances() else { return true };
        instances.get(generation).is_some_and(|instance| instance.vm.waits_for_calls(context))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let name = String::from_utf8_lossy(self.module.name());
        write(NGX_LOG_INFO, &format!("unloaded wasm plugin \"{name}\""));
    }
}
