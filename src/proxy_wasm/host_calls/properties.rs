//! `proxy_get_property`, `proxy_set_property`. Those that begin with `plugin_` are the VM's own, the rest is the host's;
//! what it does not know is kept in the filter state.

use super::{Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::filter_state::ValueType;
use crate::proxy_wasm::foreign;
use crate::proxy_wasm::host::Host;
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_get_property", types: &[("iiii", "i")], run: Run::Status(get) },
    Row { name: "proxy_set_property", types: &[("iiii", "i")], run: Run::Status(set) },
];

fn get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [path, path_len, ptr_at, len_at] = args(raw);
    match trim(call.memory().read(path, path_len)?)? {
        MEMORY => {
            let size = call.memory().size() as u64;
            return call.give(&size.to_le_bytes(), ptr_at, len_at);
        }
        b"plugin_root_id" => call.state.asked.root_id += 1,
        _ => {}
    }
    call.give_with(ptr_at, len_at, |call, out| {
        call.with_bytes(path, path_len, |path, state, host| read(state, host, path, out))??;
        Ok(())
    })
}

/// How large the guest's memory is; a property of Higress.
const MEMORY: &[u8] = b"plugin_vm_memory";

/// Appends the value of a property to `out`. The answer is its type when filters made it.
pub(in crate::proxy_wasm) fn read(
    state: &State,
    host: &mut dyn Host,
    path: &[u8],
    out: &mut Vec<u8>,
) -> Result<Option<ValueType>, Status> {
    let path = trim(path)?;
    let own: Option<&[u8]> = match path {
        b"plugin_name" => state.root().map(|root| root.name.as_slice()),
        b"plugin_root_id" => {
            state.asked_root_id.set(true);
            state.root().map(|root| root.root_id.as_slice())
        }
        b"plugin_vm_id" => Some(state.vm_id()),
        _ => {
            return match host.property(path, out) {
                Err(Status::NotFound) => {
                    let mut take = |value: &[u8], value_type| {
                        out.extend_from_slice(value);
                        Some(value_type)
                    };
                    foreign::get_property(host, path, &mut take)
                }
                answer => answer.map(|()| None),
            };
        }
    };
    out.extend_from_slice(own.ok_or(Status::NotFound)?);
    Ok(None)
}

fn set(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [path, path_len, value, value_len] = args(raw);
    let path = call.bytes(path, path_len)?;
    Ok(call.with_bytes(value, value_len, |value, state, host| {
        let path = trim(&path)?;
        match path {
            b"plugin_name" | b"plugin_root_id" | b"plugin_vm_id" | MEMORY => Err(Status::BadArgument),
            _ => match host.set_property(path, value) {
                Err(Status::NotFound) => foreign::set_property(state, host, path, value),
                answer => answer,
            },
        }
    })??)
}

/// Some SDKs end a path with NUL, as they end each segment.
fn trim(path: &[u8]) -> Result<&[u8], Status> {
    match path.strip_suffix(b"\0").unwrap_or(path) {
        b"" => Err(Status::NotFound),
        path => Ok(path),
    }
}
