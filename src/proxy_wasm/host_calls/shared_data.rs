//! `proxy_get_shared_data`, `proxy_set_shared_data`: keys and values that all workers share.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::Status;
use crate::shared::SetError;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_get_shared_data",
        types: &[("iiiii", "i")],
        when_denied: Denied::NotFound,
        run: Run::Status(get),
    },
    Row { name: "proxy_set_shared_data", types: &[("iiiii", "i")], when_denied: Denied::Fails, run: Run::Status(set) },
];

fn get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [key, key_len, ptr_at, len_at, cas_at] = args(raw);
    call.memory().check(cas_at, 4)?;
    let mut cas = 0;
    call.give_with(ptr_at, len_at, |call, out| {
        let memory = call.caller.memory();
        let key = memory.read(key, key_len)?;
        let store = call.host.stores().ok_or(Status::Unimplemented)?.data.store(key);
        cas = store.get(call.state.vm_id(), key, out).ok_or(Status::NotFound)?;
        Ok(())
    })?;
    Ok(call.put_u32(cas_at, cas)?)
}

/// Guests survive CasMismatch alone, which says that nothing was written. That is so, too, when there is no room.
fn set(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [key, key_len, value, value_len, cas] = args(raw);
    let memory = call.caller.memory();
    let key = memory.read(key, key_len)?;
    let value = memory.read(value, value_len)?;
    let store = call.host.stores().ok_or(Status::Unimplemented)?.data.store(key);
    match store.set(call.state.vm_id(), key, value, cas) {
        Ok(()) => Ok(()),
        Err(SetError::CasMismatch) => Err(Status::CasMismatch.into()),
        Err(SetError::Full) => {
            let shown = String::from_utf8_lossy(&key[..key.len().min(100)]).into_owned();
            call.warn_rarely(
                "shared data",
                &format!(
                    "no room for shared data \"{shown}\" (key of {key_len} bytes, value of {value_len}), it is not stored; \
                     enlarge \"shm_kv\" in \"wasm {{ }}\""
                ),
            );
            Err(Status::CasMismatch.into())
        }
    }
}
