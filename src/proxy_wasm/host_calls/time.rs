//! `proxy_get_current_time_nanoseconds`, and timers (`proxy_set_tick_period_milliseconds`).

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_get_current_time_nanoseconds",
        types: &[("i", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(get_current_time),
    },
    Row {
        name: "proxy_set_tick_period_milliseconds",
        types: &[("i", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(set_tick_period),
    },
];

fn get_current_time(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [time_at] = args(raw);
    let now = call.host.now();
    Ok(call.put_u64(time_at, now)?)
}

/// Timers belong to root contexts: that of the context which asks gets on_tick every so many milliseconds; 0 ends it.
fn set_tick_period(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [period] = args(raw);
    let context = call.context();
    let (root, _) = call.state.contexts.root_of(context).ok_or(Status::BadArgument)?;
    call.state.set_tick_period(root, period);
    Ok(())
}
