//! Clocks: `clock_time_get`, `clock_res_get`, `sched_yield`. `poll.rs` has what waits.

use std::sync::LazyLock;
use std::thread;
use std::time::Instant;

use super::Errno;
use super::call::{Call, Row, Run};
use crate::vm::{args, cpu_time};

pub(super) const TABLE: &[Row] = &[
    Row { name: "clock_time_get", types: &[("iIi", "i")], run: Run::Errno(clock_time_get) },
    Row { name: "clock_res_get", types: &[("ii", "i")], run: Run::Errno(clock_res_get) },
    Row { name: "sched_yield", types: &[("", "i")], run: Run::Errno(sched_yield) },
];

pub(super) const REALTIME: u32 = 0;
pub(super) const MONOTONIC: u32 = 1;
pub(super) const PROCESS_CPU: u32 = 2;
pub(super) const THREAD_CPU: u32 = 3;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time of the monotonic clock, in nanoseconds.
pub(super) fn monotonic() -> u64 {
    START.elapsed().as_nanos() as u64
}

fn clock_time_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [clock, _precision, time_at] = args(raw);
    let time = match clock {
        REALTIME => call.host.now(),
        MONOTONIC => monotonic(),
        // A program is alone on its thread.
        PROCESS_CPU | THREAD_CPU if call.is_program() => cpu_time().as_nanos() as u64,
        // A filter is not, and has a clock that runs no slower.
        PROCESS_CPU | THREAD_CPU => monotonic(),
        _ => return Err(Errno::Inval),
    };
    Ok(call.put_u64(time_at, time)?)
}

fn clock_res_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [clock, resolution_at] = args(raw);
    if clock > THREAD_CPU {
        return Err(Errno::Inval);
    }
    Ok(call.put_u64(resolution_at, 1)?)
}

/// A worker has others to serve, and goes on with its filter at once.
fn sched_yield(call: &mut Call<'_>, _: &[u64]) -> Result<(), Errno> {
    if call.is_program() {
        thread::yield_now();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::tests::support::{Answer, FILLED, Guest, MEMORY, probe};

    fn call(function: &str, args: &[u64], data: &[(u32, &[u8])]) -> Answer {
        probe(Default::default(), function, args, data)
    }

    #[test]
    fn the_wall_clock_is_the_hosts() {
        let answer = call("clock_time_get", &[0, 0, 0x100], &[]);
        assert_eq!((answer.status, answer.u64_at(0x100)), (0, 1_700_000_000_123_456_789));
    }

    #[test]
    fn the_other_clocks_do_not_go_back() {
        for clock in 1..=3 {
            let guest = Guest::on_request(&format!(
                "(drop (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const 0)))
                 (drop (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const 8)))
                 (note \"forward\" (i64.ge_u (i64.load (i32.const 8)) (i64.load (i32.const 0))))"
            ));
            let mut world = guest.start();
            let id = world.stream();
            world.request_headers(id).unwrap();
            assert_eq!(world.notes(), ["forward 1"], "{clock}");
        }
    }

    #[test]
    fn a_clock_has_a_resolution() {
        let answer = call("clock_res_get", &[1, 0x100], &[]);
        assert_eq!((answer.status, answer.u64_at(0x100)), (0, 1));
    }

    #[test]
    fn there_are_four_clocks() {
        assert_eq!(call("clock_time_get", &[4, 0, 0x100], &[]).status, Errno::Inval as u32);
        assert_eq!(call("clock_res_get", &[u64::from(u32::MAX), 0x100], &[]).status, Errno::Inval as u32);
    }

    #[test]
    fn a_time_needs_8_bytes_of_memory() {
        for at in [MEMORY - 7, u32::MAX] {
            for answer in
                [call("clock_time_get", &[0, 0, u64::from(at)], &[]), call("clock_res_get", &[0, u64::from(at)], &[])]
            {
                assert_eq!(answer.status, Errno::Fault as u32);
                assert!(answer.untouched());
            }
        }
    }

    /// Two subscriptions: to a clock, and to a descriptor.
    fn subscriptions() -> Vec<u8> {
        let mut bytes = vec![0; 96];
        bytes[..8].copy_from_slice(b"userdata");
        bytes[48..56].copy_from_slice(b"the next");
        bytes[56] = 2;
        bytes
    }

    #[test]
    fn every_subscription_has_come_true_at_once() {
        let answer = call("poll_oneoff", &[0x1000, 0x100, 2, 0x80], &[(0x1000, &subscriptions())]);
        assert_eq!((answer.status, answer.u32_at(0x80)), (0, 2));
        let mut wanted = [0; 64];
        wanted[..8].copy_from_slice(b"userdata");
        wanted[32..40].copy_from_slice(b"the next");
        wanted[42] = 2;
        assert_eq!(answer.memory[0x100..0x140], wanted);
        assert_eq!(answer.memory[0x140], FILLED);
    }

    #[test]
    fn a_poll_that_cannot_be_answered_writes_nothing() {
        let end = u64::from(MEMORY);
        for (args, errno) in [
            ([0x1000, 0x100, 0, 0x80], Errno::Inval),
            ([end - 95, 0x100, 2, 0x80], Errno::Fault),
            ([0x1000, end - 63, 2, 0x80], Errno::Fault),
            ([0x1000, 0x100, 2, end - 3], Errno::Fault),
            ([0x1000, 0x100, u64::from(u32::MAX), 0x80], Errno::Fault),
            ([u64::from(u32::MAX), 0x100, 1, 0x80], Errno::Fault),
        ] {
            let answer = call("poll_oneoff", &args, &[(0x1000, &subscriptions())]);
            assert_eq!(answer.status, errno as u32, "{args:x?}");
            assert!(answer.untouched(), "{args:x?}");
        }
    }

    #[test]
    fn yielding_returns_at_once() {
        assert_eq!(call("sched_yield", &[], &[]).status, 0);
    }
}
