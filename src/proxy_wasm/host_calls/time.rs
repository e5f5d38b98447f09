//! `proxy_get_current_time_nanoseconds`, and timers (`proxy_set_tick_period_milliseconds`).

use super::{Failure, HostCall, Row, Run, args};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_get_current_time_nanoseconds", types: &[("i", "i")], run: Run::Status(get_current_time) },
    Row { name: "proxy_set_tick_period_milliseconds", types: &[("i", "i")], run: Run::Unimplemented },
];

fn get_current_time(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [time_at] = args(raw);
    let now = call.host.now();
    Ok(call.put_u64(time_at, now)?)
}
