//! Buffers of bytes: `proxy_get_buffer_bytes`, `proxy_get_buffer_status`, `proxy_set_buffer_bytes`, and 0.1.0's
//! `proxy_get_configuration`. The two configurations and what calls answer are the VM's own; every other buffer is the host's.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::callbacks::Callback;
use crate::proxy_wasm::types::{BufferType, Status};

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_get_buffer_bytes",
        types: &[("iiiii", "i")],
        when_denied: Denied::Unless(is_configuration, Status::NotFound),
        run: Run::Status(get_buffer_bytes),
    },
    Row {
        name: "proxy_get_buffer_status",
        types: &[("iii", "i")],
        when_denied: Denied::Unless(is_configuration, Status::InternalFailure),
        run: Run::Status(get_buffer_status),
    },
    Row {
        name: "proxy_set_buffer_bytes",
        types: &[("iiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(set_buffer_bytes),
    },
    Row {
        name: "proxy_get_configuration",
        types: &[("ii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(get_configuration),
    },
];

fn get_buffer_bytes(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [buffer, start, max, ptr_at, len_at] = args(raw);
    let buffer = BufferType::try_from(buffer)?;
    call.give_with(ptr_at, len_at, |call, out| {
        let all = size(call, buffer)?;
        // In 64 bits, since SDKs ask for u32::MAX bytes. A start behind the end gives nothing.
        let start = u64::from(start).min(all as u64);
        let end = (start + u64::from(max)).min(all as u64);
        let (start, end) = (start as usize, end as usize);
        match own(call, buffer)? {
            Some(bytes) => out.extend_from_slice(&bytes[start..end]),
            None => call.host.buffer_read(buffer, start, end - start, out)?,
        }
        Ok(())
    })
}

fn get_buffer_status(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [buffer, len_at, flags_at] = args(raw);
    let buffer = BufferType::try_from(buffer)?;
    let len = u32::try_from(size(call, buffer)?).map_err(|_| Status::InternalFailure)?;
    call.memory().check(flags_at, 4)?;
    call.put_u32(len_at, len)?;
    call.put_u32(flags_at, 0)?;
    Ok(())
}

fn set_buffer_bytes(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [buffer, start, size, ptr, len] = args(raw);
    let buffer = BufferType::try_from(buffer)?;
    Ok(call.with_bytes(ptr, len, |bytes, _, host| match buffer {
        BufferType::RequestBody | BufferType::ResponseBody => host.buffer_write(buffer, start, size, bytes),
        // Configurations, answers and arguments are read only.
        _ => Err(Status::BadArgument),
    })??)
}

/// Whether a call asks for a configuration, which every filter may read.
fn is_configuration(raw: &[u64]) -> bool {
    let [buffer] = args(raw);
    matches!(BufferType::try_from(buffer), Ok(BufferType::VmConfiguration | BufferType::PluginConfiguration))
}

fn get_configuration(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [ptr_at, len_at] = args(raw);
    let buffer = match call.state.callback() {
        Callback::OnVmStart => BufferType::VmConfiguration,
        _ => BufferType::PluginConfiguration,
    };
    call.give_with(ptr_at, len_at, |call, out| {
        out.extend_from_slice(own(call, buffer)?.unwrap_or_default());
        Ok(())
    })
}

fn size(call: &mut HostCall<'_>, buffer: BufferType) -> Result<usize, Status> {
    match own(call, buffer)? {
        Some(bytes) => Ok(bytes.len()),
        None => call.host.buffer_len(buffer),
    }
}

/// The buffers that are the VM's own; `None` is one of the host's.
fn own<'a>(call: &'a HostCall<'_>, buffer: BufferType) -> Result<Option<&'a [u8]>, Status> {
    match buffer {
        BufferType::VmConfiguration => Ok(Some(call.state.vm_configuration())),
        BufferType::PluginConfiguration => {
            let root = call.state.root().ok_or(Status::NotFound)?;
            call.state.read_configuration.set(true);
            Ok(Some(&root.configuration))
        }
        BufferType::HttpCallBody | BufferType::GrpcMessage | BufferType::RedisReply => {
            Ok(Some(call.state.calls.buffer(buffer).ok_or(Status::NotFound)?))
        }
        _ => Ok(None),
    }
}
