//! Calls in both directions, raw: that spares the cost of Wasmtime's typed wrappers. Here is the pointer through which a host
//! function finds the host of the call. Nearly all `unsafe` of this crate is in this file.

#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use wasmtime as wt;

use super::store::{Exported, StoreData};
use super::trap::into_trap;
use crate::vm::clock::{MOST_WAITING, cpu_time};
use crate::vm::stack;
use crate::vm::{
    Activity, BYTES_PER_FUEL, Caller, FuncType, GuestMemory, HOST_CALL_FUEL, HostFunctions, LinkedImport, TICK, Trap,
    ValType, Watch,
};

/// No host function has more parameters (`proxy_grpc_call` has 12).
const MAX_ARGS: usize = 16;

/// Runs `call` with `host` in place and the deadline set.
pub(super) fn guest_call<R>(
    store: &mut wt::Store<StoreData>,
    activity: &Activity,
    timeout: Duration,
    host: &mut dyn HostFunctions,
    call: impl FnOnce(&mut wt::Store<StoreData>) -> wt::Result<R>,
) -> wt::Result<R> {
    let data = store.data_mut();
    if data.is_interpreted {
        data.stack_end = stack::pointer().saturating_sub(stack::GUEST);
    }
    if data.is_watched {
        return watched_call(store, activity, host, call);
    }
    // Most calls have the time-out of the one before.
    if data.timeout.0 != timeout {
        data.timeout = (timeout, ticks(timeout));
    }
    let ticks = data.timeout.1;
    data.host = Some(erase(host));
    if data.counts_cpu_time || !data.traps_at_deadline {
        data.traps_at_deadline = !data.counts_cpu_time;
        if data.traps_at_deadline {
            store.epoch_deadline_trap();
        } else {
            store.epoch_deadline_callback(at_deadline(timeout, ticks));
        }
    }
    store.set_epoch_deadline(ticks);
    activity.enter();
    let result = call(store);
    activity.leave();
    store.data_mut().host = None;
    result
}

/// The same for a guest that somebody watches, on its own thread.
fn watched_call<R>(
    store: &mut wt::Store<StoreData>,
    activity: &Activity,
    host: &mut dyn HostFunctions,
    call: impl FnOnce(&mut wt::Store<StoreData>) -> wt::Result<R>,
) -> wt::Result<R> {
    store.data_mut().host = Some(erase(host));
    store.set_epoch_deadline(1);
    activity.enter_thread();
    let result = call(store);
    activity.leave_thread();
    store.data_mut().host = None;
    result
}

/// Has whoever watches asked in each tick in which the guest runs.
pub(super) fn ask_each_tick(store: &mut wt::Store<StoreData>, watch: Arc<dyn Watch>) {
    store.epoch_deadline_callback(move |_| {
        Ok(if watch.may_go_on() { wt::UpdateDeadline::Continue(1) } else { wt::UpdateDeadline::Interrupt })
    });
}

/// As ticks, and one more, because the first may come at once.
fn ticks(time: Duration) -> u64 {
    time.as_nanos().div_ceil(TICK.as_nanos()) as u64 + 1
}

/// What happens when a guest that has so much CPU time has run for so many ticks: it goes on for what it has not used.
fn at_deadline(
    timeout: Duration,
    deadline: u64,
) -> impl FnMut(wt::StoreContextMut<'_, StoreData>) -> wt::Result<wt::UpdateDeadline> + Send + Sync + 'static {
    let begun = cpu_time();
    let mut passed = deadline;
    move |_| {
        let left = timeout.saturating_sub(cpu_time().saturating_sub(begun));
        if left.is_zero() || passed >= deadline.saturating_mul(MOST_WAITING) {
            return Ok(wt::UpdateDeadline::Interrupt);
        }
        passed += ticks(left);
        Ok(wt::UpdateDeadline::Continue(ticks(left)))
    }
}

/// Forgets how long the host lives. Sound only because each user clears the pointer before the borrow ends.
fn erase(host: &mut dyn HostFunctions) -> NonNull<dyn HostFunctions> {
    // SAFETY: only the lifetime in the trait object's type changes.
    unsafe { mem::transmute::<NonNull<dyn HostFunctions + '_>, NonNull<dyn HostFunctions>>(NonNull::from(host)) }
}

/// The types of a host function, in the form in which its calls need them.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    params: usize,
    /// Bit n is set when parameter n is an i64.
    wide: u32,
    result: Option<ValType>,
}

impl Shape {
    pub fn of(ty: &FuncType) -> Option<Shape> {
        if ty.params.len() > MAX_ARGS || ty.results.len() > 1 {
            return None;
        }
        let mut wide = 0;
        for (n, param) in ty.params.iter().enumerate() {
            match param {
                ValType::I32 => {}
                ValType::I64 => wide |= 1 << n,
                _ => return None,
            }
        }
        let result = ty.results.first().copied();
        matches!(result, None | Some(ValType::I32 | ValType::I64)).then_some(Shape {
            params: ty.params.len(),
            wide,
            result,
        })
    }
}

/// Gives a module one of its imports. `ty` is that of the import, as is `shape`.
pub(super) fn define(
    linker: &mut wt::Linker<StoreData>,
    import: &LinkedImport,
    ty: wt::FuncType,
    shape: Shape,
) -> wt::Result<()> {
    let function = import.function;
    // SAFETY: `Func::new_unchecked` wants the closure to read and write the slots as `ty` declares them; `shape` was made from
    // the same type.
    unsafe {
        linker.func_new_unchecked(&import.module, &import.name, ty, move |caller, slots| {
            host_call(caller, function, shape, slots).map_err(wt::Error::from)
        })?;
    }
    Ok(())
}

fn host_call(
    mut caller: wt::Caller<'_, StoreData>,
    function: u32,
    shape: Shape,
    slots: &mut [MaybeUninit<wt::ValRaw>],
) -> Result<(), Trap> {
    let Some(mut host) = caller.data().host else {
        return Err(Trap::host("host call outside of a guest call"));
    };
    let mut args = [0u64; MAX_ARGS];
    for (n, slot) in slots.iter().take(shape.params).enumerate() {
        // SAFETY: Wasmtime initialises the slots of the parameters.
        let slot = unsafe { slot.assume_init_ref() };
        args[n] = if shape.wide & (1 << n) == 0 { u64::from(slot.get_u32()) } else { slot.get_u64() };
    }
    let counts_fuel = caller.data().counts_fuel;
    if counts_fuel {
        charge(&mut caller, HOST_CALL_FUEL)?;
    }
    // SAFETY: `guest_call` or `Caller::call` put the pointer there and holds the exclusive borrow behind it until the
    // guest returns. While this reference lives, nobody else follows the pointer: guest code runs again only through
    // `Caller::call`, which replaces it by the borrow that it was given.
    let host = unsafe { host.as_mut() };
    let result = host.call(function, &mut WasmtimeCaller(&mut caller), &args[..shape.params])?;
    if counts_fuel {
        let copied = caller.data().copied.take();
        charge(&mut caller, copied / BYTES_PER_FUEL)?;
    }
    match shape.result {
        None => {}
        Some(ValType::I64) => {
            slots[0].write(wt::ValRaw::u64(result));
        }
        Some(_) => {
            slots[0].write(wt::ValRaw::u32(result as u32));
        }
    }
    Ok(())
}

/// Takes from the budget of the guest, or ends it.
fn charge(caller: &mut wt::Caller<'_, StoreData>, units: u64) -> Result<(), Trap> {
    let failed = |err: wt::Error| into_trap(err, None);
    let left = caller.get_fuel().map_err(failed)?;
    caller.set_fuel(left.saturating_sub(units)).map_err(failed)?;
    if left < units { Err(Trap::OutOfFuel) } else { Ok(()) }
}

struct WasmtimeCaller<'a, 'b>(&'a mut wt::Caller<'b, StoreData>);

impl Caller for WasmtimeCaller<'_, '_> {
    fn memory(&mut self) -> GuestMemory<'_> {
        // Before the instance is complete (a start function is running) the memory is not in the store yet.
        let memory = match self.0.data().memory {
            Some(memory) => Some(memory),
            None => self.0.get_export("memory").and_then(wt::Extern::into_memory),
        };
        match memory {
            Some(memory) => {
                let (bytes, data) = memory.data_and_store_mut(&mut *self.0);
                GuestMemory::counted(bytes, &data.copied)
            }
            None => GuestMemory::new(&mut []),
        }
    }

    fn call(&mut self, export: usize, args: &[u32], host: &mut dyn HostFunctions) -> Result<u32, Trap> {
        let exported = Exported::find(&mut *self.0, export)?;
        let data = self.0.data();
        // A guest that is interpreted calls without end on a stack of its own, but not through the host: each call takes both stacks.
        if data.is_interpreted && stack::pointer() < data.stack_end {
            return Err(Trap::Guest { reason: wt::Trap::StackOverflow.to_string(), backtrace: Vec::new() });
        }
        let outer = self.0.data_mut().host.replace(erase(host));
        let result = exported.call(&mut *self.0, args);
        self.0.data_mut().host = outer;
        let timeout = (!self.0.data().is_watched).then_some(Duration::ZERO);
        result.map_err(|err| into_trap(err, timeout))
    }
}
