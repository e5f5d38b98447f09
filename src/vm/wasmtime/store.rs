//! What a store holds beside the guest: functions that can be called, the host of a call, caps.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use wasmtime as wt;

use super::config::{MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::vm::{HostFunctions, Trap};

/// No function that the host calls has more parameters (`proxy_on_http_call_response` has 5). At least 1, for a result.
const MAX_CALLBACK_ARGS: usize = 5;

/// A module with its host functions, in one engine.
pub(super) struct Linked {
    pub pre: wt::InstancePre<StoreData>,
    pub exports: Vec<Option<Callable>>,
    pub memory: Option<wt::ModuleExport>,
    pub counts_fuel: bool,
    /// Guests have stacks of their own, and calls of the host into the guest are counted on the stack of the thread.
    pub is_interpreted: bool,
    /// The program, by a number that no other has.
    pub program: u64,
    /// The globals that can change.
    pub globals: Vec<wt::ModuleExport>,
    /// Why instances cannot be put back.
    pub reset_refusal: Option<String>,
}

/// What every store carries.
pub(super) struct StoreData {
    /// The host of the call that is running, and nothing between calls.
    pub host: Option<NonNull<dyn HostFunctions>>,
    pub memory: Option<wt::Memory>,
    pub linked: Arc<Linked>,
    /// There once its start function has ended.
    pub instance: Option<wt::Instance>,
    /// The functions that have been called. Looking for one takes a while, and most instances of single requests need few.
    pub exports: Box<[Option<Exported>]>,
    pub counts_fuel: bool,
    pub is_interpreted: bool,
    /// Where the stack of the thread may end when the host calls back into a guest that is interpreted.
    pub stack_end: usize,
    /// Somebody watches, in the place of time-outs.
    pub is_watched: bool,
    /// Time-outs are CPU time.
    pub counts_cpu_time: bool,
    /// The last time-out, and as how many ticks it counts.
    pub timeout: (Duration, u64),
    /// A guest that comes to its deadline traps. It is so at first.
    pub traps_at_deadline: bool,
    /// Bytes that host calls have copied and not paid for yet.
    pub copied: Cell<u64>,
    pub limiter: Limiter,
}

/// Refuses what would be too large, and counts that.
pub(super) struct Limiter {
    pub memory: usize,
    pub refused: u64,
    /// Something has grown, or was to, since somebody looked.
    pub is_news: bool,
}

impl Limiter {
    fn allow(&mut self, desired: usize, limit: usize) -> bool {
        self.is_news = true;
        let allowed = desired <= limit;
        self.refused += u64::from(!allowed);
        allowed
    }
}

impl wt::ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wt::Result<bool> {
        let limit = self.memory;
        Ok(self.allow(desired, limit))
    }

    /// It was allowed, and did not work: the pool has no room for so much, or the system has none.
    fn memory_grow_failed(&mut self, _: wt::Error) -> wt::Result<()> {
        self.refused += 1;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wt::Result<bool> {
        Ok(self.allow(desired, MAX_TABLE_ELEMENTS))
    }

    fn table_grow_failed(&mut self, _: wt::Error) -> wt::Result<()> {
        self.refused += 1;
        Ok(())
    }

    // A second memory, and tables, would be ways around the cap on memory.
    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }
}

/// An exported function of a module that can be called: all its parameters are i32, and it has at most one result, an i32.
pub(super) struct Callable {
    export: wt::ModuleExport,
    params: usize,
    has_result: bool,
}

impl Callable {
    pub fn of(module: &wt::Module, name: &str) -> Option<Callable> {
        let ty = module.get_export(name)?;
        let ty = ty.func()?;
        let params = ty.params().len();
        let results = ty.results().len();
        let fits = params <= MAX_CALLBACK_ARGS && results <= 1 && ty.params().chain(ty.results()).all(|ty| ty.is_i32());
        let export = module.get_export_index(name)?;
        fits.then_some(Callable { export, params, has_result: results == 1 })
    }
}

/// A [`Callable`] in an instance.
#[derive(Clone, Copy)]
pub(super) struct Exported {
    func: wt::Func,
    params: usize,
    has_result: bool,
}

impl Exported {
    /// The function that was linked under this number, in the instance of this store.
    pub fn find(mut store: impl wt::AsContextMut<Data = StoreData>, export: usize) -> Result<Exported, Trap> {
        if let Some(Some(exported)) = store.as_context().data().exports.get(export) {
            return Ok(*exported);
        }
        let exported = Exported::look_up(&mut store, export)
            .ok_or_else(|| Trap::host(format!("the module has no usable function number {export}")))?;
        store.as_context_mut().data_mut().exports[export] = Some(exported);
        Ok(exported)
    }

    fn look_up(mut store: impl wt::AsContextMut<Data = StoreData>, export: usize) -> Option<Exported> {
        let context = store.as_context();
        let (instance, linked) = (context.data().instance?, context.data().linked.clone());
        let callable = linked.exports.get(export)?.as_ref()?;
        let func = instance.get_module_export(&mut store, &callable.export)?.into_func()?;
        Some(Exported { func, params: callable.params, has_result: callable.has_result })
    }

    #[allow(unsafe_code)]
    pub fn call(self, mut store: impl wt::AsContextMut, args: &[u32]) -> wt::Result<u32> {
        if args.len() != self.params {
            return Err(wt::Error::from(Trap::host("called with a wrong number of arguments")));
        }
        let mut slots = [wt::ValRaw::u32(0); MAX_CALLBACK_ARGS];
        for (slot, arg) in slots.iter_mut().zip(args) {
            *slot = wt::ValRaw::u32(*arg);
        }
        // SAFETY: the slots hold as many i32 as the function takes, and there is room for its result; `Callable::of` looked
        // at its type.
        unsafe { self.func.call_unchecked(&mut store, &raw mut slots[..])? };
        Ok(if self.has_result { slots[0].get_u32() } else { 0 })
    }
}
