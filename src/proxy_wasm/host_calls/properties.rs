//! `proxy_get_property`, `proxy_set_property`. Those that begin with `plugin_` are the VM's own, the rest is the host's.

use super::{Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_get_property", types: &[("iiii", "i")], run: Run::Status(get) },
    Row { name: "proxy_set_property", types: &[("iiii", "i")], run: Run::Status(set) },
];

fn get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [path, path_len, ptr_at, len_at] = args(raw);
    call.give_with(ptr_at, len_at, |call, out| {
        Ok(call.with_bytes(path, path_len, |path, state, host| {
            let path = trim(path)?;
            let own: Option<&[u8]> = match path {
                b"plugin_name" => state.root().map(|root| root.name.as_slice()),
                b"plugin_root_id" => state.root().map(|root| root.root_id.as_slice()),
                b"plugin_vm_id" => Some(state.vm_id()),
                _ => return host.property(path, out),
            };
            out.extend_from_slice(own.ok_or(Status::NotFound)?);
            Ok(())
        })??)
    })
}

fn set(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [path, path_len, value, value_len] = args(raw);
    Ok(call.with_two((path, path_len), (value, value_len), |path, value, host| {
        let path = trim(path)?;
        match path {
            b"plugin_name" | b"plugin_root_id" | b"plugin_vm_id" => Err(Status::BadArgument),
            _ => host.set_property(path, value),
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
