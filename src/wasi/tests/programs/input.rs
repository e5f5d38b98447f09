//! `fd_read` from the standard input of a program.

use super::super::super::Errno;
use super::{Fake, Guest, MEMORY, Ready, run};

const NONBLOCK: u64 = 4;

/// Reads into these pieces. How many bytes came.
fn read(guest: &mut Guest<'_>, pieces: &[(u32, u32)]) -> u32 {
    guest.put_vectors(0x100, pieces);
    guest.ok("fd_read", &[0, 0x100, pieces.len() as u64, 0x80]);
    guest.u32_at(0x80)
}

#[test]
fn what_is_there_arrives_and_then_the_end() {
    run(Fake::with_input(&[b"hello", b"world!"]), |guest| {
        assert_eq!(read(guest, &[(0x1000, 100)]), 5);
        assert_eq!(guest.bytes(0x1000, 6), b"hello\0");
        assert_eq!(read(guest, &[(0x1000, 4)]), 4);
        assert_eq!(read(guest, &[(0x1000, 4)]), 2);
        assert_eq!(guest.bytes(0x1000, 4), b"d!rl");
        assert_eq!(read(guest, &[(0x1000, 4)]), 0);
        assert_eq!(guest.fake.take_asked(), ["read"; 4]);
    });
}

#[test]
fn a_large_buffer_is_filled_by_one_read() {
    run(Fake::with_input(&[&[7; 300_000]]), |guest| {
        assert_eq!(read(guest, &[(0x10000, 0x100000)]), 300_000);
        assert_eq!(guest.bytes(0x10000 + 299_999, 2), [7, 0]);
    });
}

#[test]
fn several_pieces_are_filled_while_there_is_something_and_nothing_is_waited_for_behind_the_first() {
    let mut fake = Fake::with_input(&[b"abc", b"defgh", b"ij"]);
    fake.ready = Ready { input: true, output: true };
    run(fake, |guest| {
        // The second is not filled, so that nothing is asked for the third.
        assert_eq!(read(guest, &[(0x1000, 3), (0, 0), (0x1100, 100), (0x1200, 100)]), 8);
        assert_eq!(guest.fake.take_asked(), ["read", "wait", "read"]);
        let (wanted, until) = guest.fake.waited.unwrap();
        assert_eq!(wanted, Ready { input: true, output: false });
        assert!(until.unwrap() <= std::time::Instant::now());
        assert_eq!(guest.bytes(0x1100, 6), b"defgh\0");
        guest.fake.ready.input = false;
        assert_eq!(read(guest, &[(0x1000, 1), (0x1100, 1)]), 1);
        assert_eq!(guest.fake.take_asked(), ["read", "wait"]);
    });
}

#[test]
fn no_room_is_no_reason_to_wait() {
    run(Fake::with_input(&[b"abc"]), |guest| {
        assert_eq!(read(guest, &[]), 0);
        assert_eq!(read(guest, &[(0x1000, 0), (0x1000, 0)]), 0);
        assert!(guest.fake.take_asked().is_empty());
    });
}

#[test]
fn a_pointer_outside_memory_is_a_fault_and_no_input_is_lost() {
    let end = MEMORY;
    run(Fake::with_input(&[b"abc"]), |guest| {
        for pieces in [[(end - 1, 2), (0x1000, 1)], [(0x1000, 1), (end, 1)], [(0x1000, 1), (u32::MAX, u32::MAX)]] {
            guest.put_vectors(0x100, &pieces);
            guest.fails("fd_read", &[0, 0x100, 2, 0x80], Errno::Fault);
        }
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        let end = u64::from(end);
        for args in [
            [0, 0x100, 1, end - 3],
            [0, 0x100, 1, u64::from(u32::MAX)],
            [0, end - 7, 1, 0x80],
            [0, 0x100, u64::from(u32::MAX), 0x80],
        ] {
            guest.fails("fd_read", &args, Errno::Fault);
        }
        assert!(guest.fake.take_asked().is_empty());
        assert_eq!(read(guest, &[(0x1000, 3)]), 3);
    });
}

#[test]
fn an_error_of_the_input_is_the_programs() {
    run(Fake { gone: true, ..Fake::default() }, |guest| {
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        guest.fails("fd_read", &[0, 0x100, 1, 0x80], Errno::Pipe);
    });
}

#[test]
fn a_program_that_does_not_want_to_wait_is_told_to_come_again() {
    run(Fake::with_input(&[b"abc"]), |guest| {
        guest.ok("fd_fdstat_set_flags", &[0, NONBLOCK]);
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        guest.fails("fd_read", &[0, 0x100, 1, 0x80], Errno::Again);
        assert_eq!(guest.fake.take_asked(), ["wait"]);
        guest.fake.ready.input = true;
        assert_eq!(read(guest, &[(0x1000, 3)]), 3);
        assert_eq!(guest.state.nonblocking, [true, false, false]);
        assert!(guest.state.is_as_granted() && guest.state.put_back());
        // It waits again.
        assert_eq!(read(guest, &[(0x1000, 3)]), 0);
        assert_eq!(guest.fake.take_asked(), ["wait", "read", "read"]);
    });
}

#[test]
fn nothing_else_is_read_and_nobody_seeks() {
    run(Fake::with_input(&[b"abc"]), |guest| {
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        for fd in [1, 2, 3, u64::from(u32::MAX)] {
            guest.fails("fd_read", &[fd, 0x100, 1, 0x80], Errno::BadF);
        }
        for fd in 0..3 {
            guest.fails("fd_pread", &[fd, 0x100, 1, 0, 0x80], Errno::SPipe);
            guest.fails("fd_pwrite", &[fd, 0x100, 1, 0, 0x80], Errno::SPipe);
            guest.fails("fd_seek", &[fd, 0, 0, 0x80], Errno::SPipe);
            guest.fails("fd_tell", &[fd, 0x80], Errno::SPipe);
        }
        assert!(guest.fake.take_asked().is_empty());
    });
}
