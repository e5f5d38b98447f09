//! What compilers expect in `env` beside Proxy-Wasm: Emscripten's and AssemblyScript's own functions.

use super::{Denied, HostCall, Row, Run, args};
use crate::proxy_wasm::types::LogLevel;
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "emscripten_notify_memory_growth",
        types: &[("i", "")],
        when_denied: Denied::Fails,
        run: Run::Value(nothing),
    },
    Row { name: "pthread_equal", types: &[("ii", "i")], when_denied: Denied::Fails, run: Run::Value(pthread_equal) },
    Row { name: "abort", types: &[("iiii", "")], when_denied: Denied::Fails, run: Run::Value(abort) },
];

fn nothing(_: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(0)
}

fn pthread_equal(_: &mut HostCall<'_>, raw: &[u64]) -> Result<u64, Trap> {
    let [left, right] = args(raw);
    Ok(u64::from(left == right))
}

/// AssemblyScript's end of the world: message, file, line, column. Strings are UTF-16 with their size in bytes before.
fn abort(call: &mut HostCall<'_>, raw: &[u64]) -> Result<u64, Trap> {
    let [message, file, line, column] = args(raw);
    let reason = format!("abort: {} at {}:{line}:{column}", utf16(call, message), utf16(call, file));
    call.host.guest_log(LogLevel::Critical, reason.as_bytes());
    Err(Trap::host(reason))
}

fn utf16(call: &mut HostCall<'_>, ptr: u32) -> String {
    const LONGEST: u32 = 1024;
    let memory = call.memory();
    let Some(len_at) = ptr.checked_sub(4) else { return String::new() };
    let Ok(len) = memory.read_u32(len_at) else { return String::new() };
    let Ok(bytes) = memory.read(ptr, len.min(LONGEST)) else { return String::new() };
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
