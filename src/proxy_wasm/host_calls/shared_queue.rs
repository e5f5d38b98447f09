//! Queues that all workers share.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::Status;
use crate::shared::{DequeueError, EnqueueError};

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_register_shared_queue",
        types: &[("iii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(register),
    },
    Row {
        name: "proxy_resolve_shared_queue",
        types: &[("iiiii", "i")],
        when_denied: Denied::NotFound,
        run: Run::Status(resolve),
    },
    Row {
        name: "proxy_enqueue_shared_queue",
        types: &[("iii", "i")],
        when_denied: Denied::NotFound,
        run: Run::Status(enqueue),
    },
    Row {
        name: "proxy_dequeue_shared_queue",
        types: &[("iii", "i")],
        when_denied: Denied::NotFound,
        run: Run::Status(dequeue),
    },
];

/// The number of a queue that could not be made: it is never found. Guests do not survive another answer than Ok here.
const NO_QUEUE: u32 = u32::MAX;

/// The root of the context that registers a queue gets its on_queue_ready.
fn register(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [name, name_len, id_at] = args(raw);
    let context = call.context();
    let memory = call.caller.memory();
    memory.check(id_at, 4)?;
    let name = memory.read(name, name_len)?;
    let queues = &call.host.stores().ok_or(Status::Unimplemented)?.queues;
    let id = match queues.register(call.state.vm_id(), name) {
        Some(id) => {
            if let Some((root, _)) = call.state.contexts.root_of(context) {
                call.state.registered_queue(root, id);
            }
            id
        }
        None => {
            let shown = String::from_utf8_lossy(&name[..name.len().min(100)]).into_owned();
            call.warn_rarely(
                "shared queues",
                &format!("no room for the shared queue \"{shown}\"; enlarge \"shm_queue\" in \"wasm {{ }}\""),
            );
            NO_QUEUE
        }
    };
    Ok(call.put_u32(id_at, id)?)
}

/// An empty vm_id is the caller's own, as in Envoy.
fn resolve(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [vm_id, vm_id_len, name, name_len, id_at] = args(raw);
    let memory = call.caller.memory();
    memory.check(id_at, 4)?;
    let vm_id = match memory.read(vm_id, vm_id_len)? {
        [] => call.state.vm_id(),
        vm_id => vm_id,
    };
    let name = memory.read(name, name_len)?;
    let queues = &call.host.stores().ok_or(Status::Unimplemented)?.queues;
    let id = queues.resolve(vm_id, name).ok_or(Status::NotFound)?;
    Ok(call.put_u32(id_at, id)?)
}

/// Guests survive NotFound alone. A message for which there is no room has found no queue that would take it.
fn enqueue(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id, message, message_len] = args(raw);
    let memory = call.caller.memory();
    let message = memory.read(message, message_len)?;
    match call.host.stores().ok_or(Status::Unimplemented)?.queues.enqueue(id, message) {
        Ok(()) => {
            call.host.queue_filled(id);
            Ok(())
        }
        Err(EnqueueError::Unknown) => Err(Status::NotFound.into()),
        Err(EnqueueError::Full) => {
            call.warn_rarely(
                "shared queues",
                &format!(
                    "no room in shared queue {id} for a message of {message_len} bytes, it is lost; enlarge \"shm_queue\" in \
                     \"wasm {{ }}\""
                ),
            );
            Err(Status::NotFound.into())
        }
    }
}

/// The message is taken out before the guest has it: one whose allocator fails then has lost it.
fn dequeue(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id, ptr_at, len_at] = args(raw);
    let memory = call.memory();
    memory.check(ptr_at, 4)?;
    memory.check(len_at, 4)?;
    call.give_with(ptr_at, len_at, |call, out| {
        match call.host.stores().ok_or(Status::Unimplemented)?.queues.dequeue(id, out) {
            Ok(()) => Ok(()),
            Err(DequeueError::Unknown) => Err(Status::NotFound.into()),
            Err(DequeueError::Empty) => Err(Status::Empty.into()),
        }
    })
}
