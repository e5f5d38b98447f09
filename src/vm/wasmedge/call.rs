//! Calls in both directions. The library passes numbers of host functions through; for which instance, and for which host, is in the
//! state of the call that runs on this thread.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::executor::{PAGE, Running};
use super::library::{Notes, take_notes};
use super::linked::{Linked, MAX_ARGS, MAX_CALLBACK_ARGS, Served};
use super::signals::{self, Side};
use super::trap;
use super::types::{CallingFrame, Executor, FunctionInstance, MemoryInstance, ModuleInstance, Outcome, Text, Value};
use crate::vm::{BYTES_PER_FUEL, Caller, GuestMemory, HostFunctions, Trap, ValType};

/// What an instance has beside the guest.
pub struct State {
    linked: Arc<Linked>,
    running: Running,
    /// There once its start function has ended.
    guest: Cell<*const ModuleInstance>,
    memory: Cell<*mut MemoryInstance>,
    /// The functions that have been called.
    exports: RefCell<Box<[Option<Exported>]>>,
    /// The host of the call that is running, and nothing between calls.
    host: Cell<Option<NonNull<dyn HostFunctions>>>,
    /// Why a host call has failed, on its way through the library.
    failure: Cell<Option<Trap>>,
    /// A panic of a host call, which does not go through the library.
    panic: Cell<Option<Box<dyn Any + Send>>>,
    timeout: Cell<Duration>,
    /// What the budget was when the library began to count; what has been used up beside what it counts.
    budget: Cell<u64>,
    used: Cell<u64>,
    is_used_up: Cell<bool>,
    /// Bytes that host calls have copied and not paid for yet.
    copied: Cell<u64>,
    refused_growth: Cell<u64>,
}

/// An exported function in an instance.
#[derive(Clone, Copy)]
pub struct Exported {
    function: *const FunctionInstance,
    params: usize,
    has_result: bool,
}

thread_local! {
    /// The instance that runs, innermost.
    static CURRENT: Cell<*const State> = const { Cell::new(ptr::null()) };
}

impl State {
    /// It stays where it is: calls have pointers to it.
    pub fn new(linked: Arc<Linked>, running: Running) -> Box<State> {
        Box::new(State {
            exports: RefCell::new(vec![None; linked.exports.len()].into()),
            linked,
            running,
            guest: Cell::new(ptr::null()),
            memory: Cell::new(ptr::null_mut()),
            host: Cell::new(None),
            failure: Cell::new(None),
            panic: Cell::new(None),
            timeout: Cell::new(Duration::ZERO),
            budget: Cell::new(u64::MAX),
            used: Cell::new(0),
            is_used_up: Cell::new(false),
            copied: Cell::new(0),
            refused_growth: Cell::new(0),
        })
    }

    /// The guest has started.
    pub fn is_complete(&self, guest: *const ModuleInstance) {
        self.guest.set(guest);
        self.memory.set(self.memory_of(guest));
    }

    fn memory_of(&self, guest: *const ModuleInstance) -> *mut MemoryInstance {
        if guest.is_null() || !self.linked.has_memory {
            return ptr::null_mut();
        }
        // SAFETY: the instance lives, and the API answers null for what it does not have.
        unsafe { (self.linked.shared.library.functions.instance_memory)(guest, Text::of("memory")) }
    }

    /// Runs `call` with `host` in place and the deadline set. The result is what the library has logged meanwhile, and what became of it.
    pub fn run(
        &self,
        timeout: Duration,
        is_cpu_time: bool,
        host: &mut dyn HostFunctions,
        call: impl FnOnce(*mut Executor) -> Outcome,
    ) -> (Vec<String>, Result<(), Trap>) {
        let shared = &self.linked.shared;
        // SAFETY: whoever put it there waits for this call.
        let outer = unsafe { CURRENT.get().as_ref() };
        // What is noted already is of the call that this one is made in.
        outer.iter().for_each(|outer| outer.note_growth(&take_notes()));
        take_notes();
        signals::prepare_thread();
        self.timeout.set(timeout);
        self.host.set(Some(erase(host)));
        let outer = CURRENT.replace(self);
        shared.activity.enter();
        let begun = shared.deadlines.begin(self.running.stop(), timeout, is_cpu_time);
        let side = Side::guest();
        let outcome = call(self.running.get());
        drop(side);
        if shared.deadlines.end(begun) {
            // It may have ended just before it looked at the token, which is not meant for the next call.
            self.running.go_on();
        }
        shared.activity.leave();
        CURRENT.set(outer);
        self.host.set(None);
        self.finish(outcome)
    }

    fn note_growth(&self, notes: &Notes) {
        self.refused_growth.set(self.refused_growth.get() + notes.refused_growth);
    }

    /// What became of a call.
    fn finish(&self, outcome: Outcome) -> (Vec<String>, Result<(), Trap>) {
        let notes = take_notes();
        let result = self.result(outcome, &notes);
        (notes.messages, result)
    }

    fn result(&self, outcome: Outcome, notes: &Notes) -> Result<(), Trap> {
        let is_exhausted = signals::take_exhaustion();
        self.note_growth(notes);
        if let Some(panic) = self.panic.take() {
            panic::resume_unwind(panic);
        }
        if outcome == Outcome::SUCCESS {
            return Ok(());
        }
        let library = self.linked.shared.library;
        Err(match self.failure.take().filter(|_| outcome == Outcome::HOST) {
            Some(Trap::Timeout(_)) => Trap::Timeout(self.timeout.get()),
            Some(Trap::Guest { reason, backtrace }) if backtrace.is_empty() => {
                Trap::Guest { reason, backtrace: trap::frames(&notes.messages, &self.linked.code) }
            }
            Some(trap) => trap,
            None if is_exhausted => Trap::host(trap::EXHAUSTED),
            None => {
                let trap = trap::into_trap(library, outcome, &notes.messages, self.timeout.get(), &self.linked.code);
                self.is_used_up.set(matches!(trap, Trap::OutOfFuel));
                trap
            }
        })
    }

    /// The function that was linked under this number.
    pub fn find(&self, export: usize) -> Result<Exported, Trap> {
        if let Some(Some(exported)) = self.exports.borrow().get(export) {
            return Ok(*exported);
        }
        let exported = self.look_up(export);
        let exported =
            exported.ok_or_else(|| Trap::host(format!("the module has no usable function number {export}")))?;
        self.exports.borrow_mut()[export] = Some(exported);
        Ok(exported)
    }

    fn look_up(&self, export: usize) -> Option<Exported> {
        let callable = self.linked.exports.get(export)?.as_ref()?;
        let guest = self.guest.get();
        if guest.is_null() {
            return None;
        }
        // SAFETY: the instance lives as long as this state is called.
        let function =
            unsafe { (self.linked.shared.library.functions.instance_function)(guest, Text::of(&callable.name)) };
        (!function.is_null()).then_some(Exported { function, params: callable.params, has_result: callable.has_result })
    }

    /// Calls it. To be called in [`State::run`].
    pub fn invoke(&self, executor: *mut Executor, exported: Exported, args: &[u32]) -> (Outcome, u32) {
        if args.len() != exported.params {
            self.failure.set(Some(Trap::host("called with a wrong number of arguments")));
            return (Outcome::HOST, 0);
        }
        let shared = &self.linked.shared;
        let value = |number: u32| Value { bits: number.into(), ty: shared.library.numbers.i32 };
        let mut values = [value(0); MAX_CALLBACK_ARGS];
        for (value, arg) in values.iter_mut().zip(args) {
            value.bits = (*arg).into();
        }
        let mut result = value(0);
        // SAFETY: executor and function belong to this instance, which lives; both lists are as long as they say. `Callable` has
        // looked at the type of the function. Host calls find this state, because `run` has put it there.
        let outcome = unsafe {
            (shared.library.functions.executor_invoke)(
                executor,
                exported.function,
                values.as_ptr(),
                exported.params as u32,
                &mut result,
                exported.has_result.into(),
            )
        };
        (outcome, result.bits as u32)
    }

    pub fn memory_size(&self) -> usize {
        self.size_of(self.memory.get())
    }

    fn size_of(&self, memory: *mut MemoryInstance) -> usize {
        if memory.is_null() {
            return 0;
        }
        // SAFETY: the memory lives as long as its instance.
        let pages = unsafe { (self.linked.shared.library.functions.memory_pages)(memory) };
        usize::try_from(pages).unwrap_or_default().saturating_mul(PAGE)
    }

    pub fn refused_growth(&self) -> u64 {
        self.refused_growth.get()
    }

    /// Sets a budget, if the engine counts. Not while the guest runs.
    pub fn set_fuel(&self, fuel: u64) {
        self.running.limit_cost(fuel);
        self.budget.set(fuel);
        self.used.set(0);
        self.is_used_up.set(false);
    }

    pub fn fuel(&self) -> Option<u64> {
        let cost = self.running.cost()?;
        let used = cost.saturating_add(self.used.get());
        Some(if self.is_used_up.get() { 0 } else { self.budget.get().saturating_sub(used) })
    }

    /// Takes from the budget what a host call has copied, or ends the guest. The library does not know of it: until the guest calls the
    /// host again it can use as much more than it has.
    fn pay(&self) -> Result<(), Trap> {
        let copied = self.copied.take() / BYTES_PER_FUEL;
        let Some(cost) = self.running.cost() else { return Ok(()) };
        self.used.set(self.used.get().saturating_add(copied));
        if cost.saturating_add(self.used.get()) <= self.budget.get() {
            return Ok(());
        }
        self.is_used_up.set(true);
        Err(Trap::OutOfFuel)
    }
}

/// Forgets how long the host lives. Sound only because each user clears the pointer before the borrow ends.
fn erase(host: &mut dyn HostFunctions) -> NonNull<dyn HostFunctions> {
    // SAFETY: only the lifetime in the trait object's type changes.
    unsafe { mem::transmute::<NonNull<dyn HostFunctions + '_>, NonNull<dyn HostFunctions>>(NonNull::from(host)) }
}

/// What the library calls for each host function.
pub unsafe extern "C" fn host_call(
    this: *mut c_void,
    _: *mut c_void,
    frame: *const CallingFrame,
    params: *const Value,
    params_len: u32,
    results: *mut Value,
    results_len: u32,
) -> Outcome {
    let _side = Side::host();
    // SAFETY: `State::run` has put it there, and holds it until the guest returns. The library calls in the thread of the call.
    let Some(state) = (unsafe { CURRENT.get().as_ref() }) else { return Outcome::HOST };
    // SAFETY: `WasmEdgeModule::hosts` has given the library this pointer; it lives as long as what the guest is linked with.
    let Some(served) = (unsafe { this.cast::<Served>().as_ref() }) else { return Outcome::HOST };
    let mut args = [0u64; MAX_ARGS];
    if params_len as usize == served.params && !params.is_null() {
        // SAFETY: the library passes so many values.
        let params = unsafe { slice::from_raw_parts(params, served.params) };
        for (n, (arg, param)) in args.iter_mut().zip(params).enumerate() {
            *arg = if served.wide & (1 << n) == 0 { u64::from(param.bits as u32) } else { param.bits as u64 };
        }
    }
    let answer = panic::catch_unwind(AssertUnwindSafe(|| answer(state, served, frame, &args[..served.params])));
    let result = match answer {
        Ok(Ok(result)) => result,
        Ok(Err(trap)) => {
            state.failure.set(Some(trap));
            return Outcome::HOST;
        }
        Err(panic) => {
            state.panic.set(Some(panic));
            return Outcome::HOST;
        }
    };
    let numbers = &state.linked.shared.library.numbers;
    let value = match served.result {
        None => return Outcome::SUCCESS,
        Some(ValType::I64) => Value { bits: result.into(), ty: numbers.i64 },
        Some(_) => Value { bits: (result as u32).into(), ty: numbers.i32 },
    };
    if results_len == 1 && !results.is_null() {
        // SAFETY: the library has room for so many results.
        unsafe { results.write(value) };
    }
    Outcome::SUCCESS
}

fn answer(state: &State, served: &Served, frame: *const CallingFrame, args: &[u64]) -> Result<u64, Trap> {
    if signals::is_stack_exhausted() {
        return Err(Trap::host(trap::EXHAUSTED));
    }
    let Some(mut host) = state.host.get() else {
        return Err(Trap::host("host call outside of a guest call"));
    };
    // SAFETY: `State::run` or `Caller::call` put the pointer there and holds the exclusive borrow behind it until the guest returns.
    // While this reference lives, nobody else follows the pointer: guest code runs again only through `Caller::call`, which replaces
    // it by the borrow that it was given.
    let host = unsafe { host.as_mut() };
    let result = host.call(served.number, &mut WasmEdgeCaller { state, frame }, args)?;
    state.pay()?;
    Ok(result)
}

struct WasmEdgeCaller<'a> {
    state: &'a State,
    /// Good for the time of the host call.
    frame: *const CallingFrame,
}

impl Caller for WasmEdgeCaller<'_> {
    fn memory(&mut self) -> GuestMemory<'_> {
        let functions = &self.state.linked.shared.library.functions;
        // Before the instance is complete (a start function is running) the state does not have it.
        let memory = match self.state.memory.get() {
            // SAFETY: the frame lives as long as the host call.
            memory if memory.is_null() => self.state.memory_of(unsafe { (functions.frame_instance)(self.frame) }),
            memory => memory,
        };
        let size = self.state.size_of(memory);
        if size == 0 {
            return GuestMemory::new(&mut []);
        }
        // SAFETY: the memory lives; the API checks that it is so large.
        let bytes = unsafe { (functions.memory_pointer)(memory, 0, size as u64) };
        if bytes.is_null() {
            return GuestMemory::new(&mut []);
        }
        // SAFETY: so many bytes are there until the guest runs again, which needs `self`: it is borrowed as long as they are.
        GuestMemory::counted(unsafe { slice::from_raw_parts_mut(bytes, size) }, &self.state.copied)
    }

    fn call(&mut self, export: usize, args: &[u32], host: &mut dyn HostFunctions) -> Result<u32, Trap> {
        let state = self.state;
        let exported = state.find(export)?;
        let outer = state.host.replace(Some(erase(host)));
        let side = Side::guest();
        let (outcome, result) = state.invoke(state.running.get(), exported, args);
        drop(side);
        state.host.set(outer);
        state.finish(outcome).1.map(|()| result)
    }
}
