//! What is kept of Lua's filters in a request.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ngx_wasm::proxy_wasm::ContextId;

use super::context::PluginContext;
use super::module::LoadedModule;
use super::pause::Paused;
use super::run;
use crate::config::rules::Without;
use crate::http::request::Request;
use crate::http::seat::{SeatBody, Seats};

/// A filter that Lua runs in a request. Whoever has it shares it with the guest that runs, so nothing of it is borrowed meanwhile.
pub struct LuaRun {
    pub plugin: Rc<PluginContext>,
    pub context: ContextId,
    pub generation: u64,
    ended: Cell<bool>,
    /// Whether its last callback was about the response.
    pub is_response: Cell<bool>,
    /// It asked to go on.
    pub resumed: Cell<bool>,
    pub paused: Paused,
    /// The body that its callback is about, or that waits for it.
    pub body: RefCell<Option<SeatBody>>,
    /// What it holds until the next piece of a body.
    pub held: RefCell<Vec<u8>>,
    /// What it made of the last piece: Lua copies it.
    pub changed: RefCell<Vec<u8>>,
}

/// What Lua runs in a request.
#[derive(Default)]
struct LuaRuns {
    runs: Vec<Rc<LuaRun>>,
    /// Those of which Lua has been told that they could not look at the request.
    failures: Vec<Rc<PluginContext>>,
}

/// Looks at what Lua runs in a request, if it does.
fn look<R>(request: &Request, look: impl FnOnce(&mut LuaRuns) -> R) -> Option<R> {
    let mut seats = request.seats.borrow_mut();
    let seats: &mut dyn Any = seats.as_deref_mut()?;
    seats.downcast_mut().map(look)
}

/// As [`look`], where Lua runs nothing at first. `None` where somebody else runs filters of its own.
fn look_or_begin<R>(request: &Request, deed: impl FnOnce(&mut LuaRuns) -> R) -> Option<R> {
    request.seats.borrow_mut().get_or_insert_with(|| Box::<LuaRuns>::default());
    look(request, deed)
}

/// The run of a plugin context in a request.
pub fn run_of(request: &Request, plugin: &Rc<PluginContext>) -> Option<Rc<LuaRun>> {
    look(request, |runs| runs.runs.iter().find(|run| Rc::ptr_eq(&run.plugin, plugin)).cloned())?
}

/// The filters of a module that run in a request with contexts in one of its instances: one for each configuration of it.
pub fn runs_of(request: &Request, module: &LoadedModule, generation: u64) -> Vec<Rc<LuaRun>> {
    let is_of = |run: &&Rc<LuaRun>| {
        std::ptr::eq(Rc::as_ptr(&run.plugin.plugin().module), module) && run.generation == generation
    };
    look(request, |runs| runs.runs.iter().filter(is_of).cloned().collect()).unwrap_or_default()
}

/// The filter that has this context in that instance. Another one of the module, with another configuration, decides for itself.
pub fn run_in(request: &Request, module: &LoadedModule, generation: u64, context: ContextId) -> Option<Rc<LuaRun>> {
    runs_of(request, module, generation).into_iter().find(|run| run.context == context)
}

/// Keeps in mind that Lua is told of a failure in the request, and decides what becomes of that.
pub fn note_failure(request: &Request, plugin: &Rc<PluginContext>) {
    look_or_begin(request, |runs| runs.failures.push(plugin.clone()));
}

/// Whether Lua has been told of a failure of the filter in the request.
pub fn is_told_of_failure(request: &Request, plugin: &Rc<PluginContext>) -> bool {
    look(request, |runs| runs.failures.iter().any(|known| Rc::ptr_eq(known, plugin))).unwrap_or_default()
}

/// The run of a plugin context in a request, with a stream context, made if it is not there. `None`: there is none, and the log says
/// why.
pub fn run_for(request: &Request, plugin: &Rc<PluginContext>) -> Option<Rc<LuaRun>> {
    if let Some(run) = run_of(request, plugin) {
        if plugin.plugin().has(run.generation) {
            return Some(run);
        }
        // The instance that had the context has trapped.
        if run::without(plugin) == Without::Closed {
            plugin.log_failed_callback(request, "was replaced during the request");
        }
        return None;
    }
    look_or_begin(request, |_| ())?;
    let (context, generation) = plugin.create_stream(request)?;
    let run = Rc::new(LuaRun {
        plugin: plugin.clone(),
        context,
        generation,
        ended: Cell::new(false),
        is_response: Cell::new(false),
        resumed: Cell::new(false),
        paused: Paused::default(),
        body: RefCell::default(),
        held: RefCell::default(),
        changed: RefCell::default(),
    });
    look_or_begin(request, |runs| runs.runs.push(run.clone()))?;
    Some(run)
}

impl Seats for LuaRuns {
    fn wake(&mut self, is_decided: bool) {
        self.runs.iter().filter(|run| is_decided || run.resumed.get()).for_each(|run| run.paused.wake());
    }

    fn end(self: Box<Self>, request: &Request) {
        for run in self.runs {
            run.ended.set(true);
            run.plugin.end_stream(request, run.context, run.generation);
        }
    }
}

impl Drop for LuaRun {
    /// Subrequests have no log phase: their contexts end with the pool, when no header is there to be read.
    fn drop(&mut self) {
        if !self.ended.get() {
            self.plugin.forget(self.context, self.generation);
        }
    }
}
