//! Properties: what the VM knows by itself, what the host knows, and what filters keep in the filter state.

use super::filter_state::{LifeSpan, Prototype, ValueType};
use super::host::Host;
use super::state::State;
use super::types::Status;

/// How large the guest's memory is; a property of Higress.
pub(super) const MEMORY: &[u8] = b"plugin_vm_memory";

/// Appends the value of a property to `out`. The answer is its type when filters made it.
pub(super) fn read(
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
                    kept(host, path, &mut take)
                }
                answer => answer.map(|()| None),
            };
        }
    };
    out.extend_from_slice(own.ok_or(Status::NotFound)?);
    Ok(None)
}

/// Puts a value into the filter state.
pub(super) fn put(host: &mut dyn Host, key: &[u8], value: &[u8], prototype: Prototype) -> Result<(), Status> {
    let mut result = None;
    // A key that is there stays where it is.
    for span in [LifeSpan::DownstreamRequest, LifeSpan::DownstreamConnection] {
        host.filter_state(span, &mut |state| {
            if state.get(key).is_some() {
                result = Some(state.set(key, value, prototype));
            }
        });
        if let Some(result) = result {
            return result;
        }
    }
    host.filter_state(prototype.span, &mut |state| result = Some(state.set(key, value, prototype)));
    result.unwrap_or(Err(Status::NotFound))
}

fn visit<R>(host: &mut dyn Host, key: &[u8], mut with: impl FnMut(&[u8], ValueType) -> R) -> Result<R, Status> {
    let mut found = None;
    for span in [LifeSpan::DownstreamRequest, LifeSpan::DownstreamConnection] {
        host.filter_state(span, &mut |state| {
            found = state.get(key).map(|(value, value_type)| with(value, value_type));
        });
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(Status::NotFound)
}

/// The key under which a property of a filter is kept.
fn key_of(path: &[u8]) -> Vec<u8> {
    [b"wasm.", path].concat()
}

/// What comes first in the paths of properties that the host knows; filters cannot set these.
const KNOWN: &[&[u8]] = &[
    b"request",
    b"response",
    b"source",
    b"destination",
    b"connection",
    b"upstream",
    b"metadata",
    b"filter_state",
    b"xds",
    b"node",
    b"plugin_name",
    b"plugin_root_id",
    b"plugin_vm_id",
];

/// Sets a property that the host does not know: it is kept in the filter state.
pub(super) fn keep(state: &State, host: &mut dyn Host, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let first = path.split(|byte| *byte == 0).next().unwrap_or_default();
    if KNOWN.contains(&first) {
        return Err(Status::BadArgument);
    }
    // A variable of nginx is there or not.
    if first == b"ngx" || first.starts_with(b"ngx.") {
        return Err(Status::NotFound);
    }
    let root = state.contexts.root_of(state.effective()).map(|(id, _)| id);
    let declared = root.and_then(|root| state.foreign.declared.0.get(&root)).and_then(|declared| declared.get(path));
    put(host, &key_of(path), value, declared.copied().unwrap_or_default())
}

/// Shows `with` the value of a property that is kept in the filter state: one of a filter, or `filter_state` and a key.
pub(super) fn kept<R>(host: &mut dyn Host, path: &[u8], with: impl FnMut(&[u8], ValueType) -> R) -> Result<R, Status> {
    match path.strip_prefix(b"filter_state\0") {
        Some(key) => visit(host, key, with),
        None => visit(host, &key_of(path), with),
    }
}

/// Some SDKs end a path with NUL, as they end each segment.
pub(super) fn trim(path: &[u8]) -> Result<&[u8], Status> {
    match path.strip_suffix(b"\0").unwrap_or(path) {
        b"" => Err(Status::NotFound),
        path => Ok(path),
    }
}
