//! Clocks: `clock_time_get`, `clock_res_get`, `poll_oneoff`, `sched_yield`.

use std::sync::LazyLock;
use std::time::Instant;

use super::Errno;
use crate::proxy_wasm::{HostCall, Row, Run, args};

pub(super) const TABLE: &[Row] = &[
    Row { name: "clock_time_get", types: &[("iIi", "i")], run: Run::Wasi(clock_time_get) },
    Row { name: "clock_res_get", types: &[("ii", "i")], run: Run::Wasi(clock_res_get) },
    Row { name: "poll_oneoff", types: &[("iiii", "i")], run: Run::Wasi(poll_oneoff) },
    Row { name: "sched_yield", types: &[("", "i")], run: Run::Wasi(sched_yield) },
];

const REALTIME: u32 = 0;
const LAST_CLOCK: u32 = 3;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn clock_time_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [clock, _precision, time_at] = args(raw);
    let time = match clock {
        REALTIME => call.host.now(),
        // Monotonic; the CPU clocks of process and thread run no faster than it.
        1..=LAST_CLOCK => START.elapsed().as_nanos() as u64,
        _ => return Err(Errno::Inval),
    };
    Ok(call.put_u64(time_at, time)?)
}

fn clock_res_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [clock, resolution_at] = args(raw);
    if clock > LAST_CLOCK {
        return Err(Errno::Inval);
    }
    Ok(call.put_u64(resolution_at, 1)?)
}

/// Answers at once that every subscription has come true: a worker must not wait inside a guest.
fn poll_oneoff(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    const SUBSCRIPTION: u32 = 48;
    const EVENT: u32 = 32;
    let [subscriptions, events, count, stored_at] = args(raw);
    if count == 0 {
        return Err(Errno::Inval);
    }
    let mut memory = call.memory();
    memory.check(subscriptions, u64::from(count) * u64::from(SUBSCRIPTION))?;
    memory.check(events, u64::from(count) * u64::from(EVENT))?;
    for n in 0..count {
        // Both are inside memory, so the sums stay below 2^32.
        let subscription = memory.read(subscriptions + n * SUBSCRIPTION, SUBSCRIPTION)?;
        let mut event = [0; EVENT as usize];
        event[..8].copy_from_slice(&subscription[..8]);
        event[10] = subscription[8];
        memory.write(events + n * EVENT, &event)?;
    }
    Ok(memory.write_u32(stored_at, count)?)
}

fn sched_yield(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Ok(())
}
