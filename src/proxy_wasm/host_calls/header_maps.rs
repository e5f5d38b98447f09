//! Headers, trailers and metadata: `proxy_get_header_map_value` and its kin. Those of calls are the VM's own, and can only be
//! read; those of streams are the host's.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::host::Host;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::types::{AbiVersion, MapType, Status};

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_get_header_map_size",
        types: &[("ii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(size),
    },
    Row {
        name: "proxy_get_header_map_pairs",
        types: &[("iii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(get_pairs),
    },
    Row {
        name: "proxy_set_header_map_pairs",
        types: &[("iii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(set_pairs),
    },
    Row {
        name: "proxy_get_header_map_value",
        types: &[("iiiii", "i")],
        when_denied: Denied::NotFound,
        run: Run::Status(get_value),
    },
    Row {
        name: "proxy_add_header_map_value",
        types: &[("iiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(add_value),
    },
    Row {
        name: "proxy_replace_header_map_value",
        types: &[("iiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(replace_value),
    },
    Row {
        name: "proxy_remove_header_map_value",
        types: &[("iii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(remove_value),
    },
];

/// The size that `proxy_get_header_map_pairs` would give, in bytes, as the reference host means it.
fn size(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, size_at] = args(raw);
    let map = MapType::try_from(map)?;
    let mut size = 4u64;
    visit(call, map, &mut |name, value| size += name.len() as u64 + value.len() as u64 + 10)?;
    let size = u32::try_from(size).map_err(|_| Status::InternalFailure)?;
    Ok(call.put_u32(size_at, size)?)
}

fn get_pairs(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, ptr_at, len_at] = args(raw);
    let map = MapType::try_from(map)?;
    call.give_with(ptr_at, len_at, |call, out| {
        let mut pairs = Pairs::default();
        visit(call, map, &mut |name, value| pairs.push(name, value))?;
        Ok(Pairs::encode(pairs.iter(), out)?)
    })
}

fn set_pairs(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, ptr, len] = args(raw);
    let map = writable(map)?;
    Ok(call.with_bytes(ptr, len, |bytes, _, host| host.map_set(map, &Pairs::decode(bytes)?))??)
}

fn get_value(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, name, name_len, ptr_at, len_at] = args(raw);
    let map = MapType::try_from(map)?;
    call.give_with(ptr_at, len_at, |call, out| {
        match call.with_bytes(name, name_len, |name, state, host| find(state, host, map, name, out))? {
            Err(Status::NotFound) if call.state.abi() == AbiVersion::V0_1_0 => Ok(()),
            other => Ok(other?),
        }
    })
}

fn add_value(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, name, name_len, value, value_len] = args(raw);
    let map = writable(map)?;
    Ok(call.with_two((name, name_len), (value, value_len), |name, value, host| host.map_add(map, name, value))??)
}

fn replace_value(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, name, name_len, value, value_len] = args(raw);
    let map = writable(map)?;
    Ok(call.with_two((name, name_len), (value, value_len), |name, value, host| host.map_replace(map, name, value))??)
}

fn remove_value(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [map, name, name_len] = args(raw);
    let map = writable(map)?;
    Ok(call.with_bytes(name, name_len, |name, _, host| host.map_remove(map, name))??)
}

fn visit(call: &mut HostCall<'_>, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
    if !map.is_of_call() {
        return call.host.map_visit(map, visit);
    }
    call.state.calls.map(map).ok_or(Status::NotFound)?.iter().for_each(|(name, value)| visit(name, value));
    Ok(())
}

fn find(state: &State, host: &mut dyn Host, map: MapType, name: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    if !map.is_of_call() {
        return host.map_get(map, name, out);
    }
    let mut pairs = state.calls.map(map).ok_or(Status::NotFound)?.iter();
    let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).ok_or(Status::NotFound)?;
    out.extend_from_slice(value);
    Ok(())
}

fn writable(map: u32) -> Result<MapType, Status> {
    let map = MapType::try_from(map)?;
    if map.is_of_call() { Err(Status::BadArgument) } else { Ok(map) }
}
