//! `proxy_get_property`, `proxy_set_property`. Those that begin with `plugin_` are the VM's own, the rest is the host's;
//! what it does not know is kept in the filter state.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::properties;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_get_property", types: &[("iiii", "i")], when_denied: Denied::NotFound, run: Run::Status(get) },
    Row { name: "proxy_set_property", types: &[("iiii", "i")], when_denied: Denied::Fails, run: Run::Status(set) },
];

fn get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [path, path_len, ptr_at, len_at] = args(raw);
    match properties::trim(call.memory().read(path, path_len)?)? {
        properties::MEMORY => {
            let size = call.memory().size() as u64;
            return call.give(&size.to_le_bytes(), ptr_at, len_at);
        }
        b"plugin_root_id" => call.state.asked.root_id += 1,
        _ => {}
    }
    call.give_with(ptr_at, len_at, |call, out| {
        call.with_bytes(path, path_len, |path, state, host| properties::read(state, host, path, out))??;
        Ok(())
    })
}

fn set(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [path, path_len, value, value_len] = args(raw);
    let path = call.bytes(path, path_len)?;
    Ok(call.with_bytes(value, value_len, |value, state, host| {
        let path = properties::trim(&path)?;
        match path {
            b"plugin_name" | b"plugin_root_id" | b"plugin_vm_id" | properties::MEMORY => Err(Status::BadArgument),
            _ => match host.set_property(path, value) {
                Err(Status::NotFound) => properties::keep(state, host, path, value),
                answer => answer,
            },
        }
    })??)
}
