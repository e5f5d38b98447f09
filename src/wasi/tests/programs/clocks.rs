//! Clocks and random numbers of programs, and `sched_yield`.

use super::super::super::Errno;
use super::{Fake, Guest, MEMORY, NOW, run};
use crate::vm::cpu_time;

fn time(guest: &mut Guest<'_>, clock: u64) -> u64 {
    guest.ok("clock_time_get", &[clock, 0, 0x80]);
    guest.u64_at(0x80)
}

#[test]
fn the_wall_clock_is_the_hosts_and_the_monotonic_one_goes_on() {
    run(Fake::default(), |guest| {
        assert_eq!(time(guest, 0), NOW);
        let first = time(guest, 1);
        assert!(time(guest, 1) >= first);
        guest.fails("clock_time_get", &[4, 0, 0x80], Errno::Inval);
        guest.fails("clock_time_get", &[0, 0, u64::from(MEMORY) - 7], Errno::Fault);
    });
}

#[test]
fn the_cpu_clocks_count_what_the_thread_uses() {
    run(Fake::default(), |guest| {
        for clock in [2, 3] {
            let before = cpu_time().as_nanos() as u64;
            let told = time(guest, clock);
            assert!((before..=cpu_time().as_nanos() as u64).contains(&told), "{clock}");
            guest.ok("clock_res_get", &[clock, 0x80]);
            assert_eq!(guest.u64_at(0x80), 1);
        }
    });
}

#[test]
fn yielding_goes_on() {
    run(Fake::default(), |guest| guest.ok("sched_yield", &[]));
}

#[test]
fn any_number_of_random_bytes_is_given_and_no_byte_more() {
    run(Fake::default(), |guest| {
        let len = 1 << 20;
        guest.ok("random_get", &[0x1000, len]);
        assert!(guest.state.has_read_random);
        let bytes = guest.bytes(0x1000, len as u32);
        // A piece of zeros would mean that it was left out.
        assert!(bytes.chunks(64).all(|piece| piece.iter().any(|byte| *byte != 0)));
        assert_eq!(guest.bytes(0x1000 + len as u32, 64), [0; 64]);
        assert_eq!(guest.bytes(0xfc0, 64), [0; 64]);
    });
}

#[test]
fn random_bytes_outside_memory_are_a_fault() {
    let end = u64::from(MEMORY);
    run(Fake::default(), |guest| {
        guest.ok("random_get", &[end, 0]);
        for args in [[end - 1, 2], [end, 1], [0, end + 1], [0x1000, u64::from(u32::MAX)], [u64::from(u32::MAX), 1]] {
            guest.fails("random_get", &args, Errno::Fault);
        }
    });
}
