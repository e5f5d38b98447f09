//! `proxy_log`, `proxy_get_log_level`: messages of the guest in the host's log.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::LogLevel;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_log", types: &[("iii", "i")], when_denied: Denied::Fails, run: Run::Status(log) },
    Row {
        name: "proxy_get_log_level",
        types: &[("i", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(get_log_level),
    },
];

fn log(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [level, ptr, len] = args(raw);
    let level = LogLevel::try_from(level)?;
    call.with_bytes(ptr, len, |message, _, host| host.guest_log(level, message))?;
    Ok(())
}

fn get_log_level(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [level_at] = args(raw);
    let level = call.host.log_level();
    Ok(call.put_u32(level_at, level as u32)?)
}
