//! `fd_write` to the standard output and error of a program, and what it is told of its streams.

use super::super::super::{Errno, Stream};
use super::{Fake, Guest, MEMORY, Ready, run};

const NONBLOCK: u64 = 4;

/// Writes these pieces of memory. How many bytes were taken.
fn write(guest: &mut Guest<'_>, fd: u64, pieces: &[(u32, u32)]) -> u32 {
    guest.put_vectors(0x100, pieces);
    guest.ok("fd_write", &[fd, 0x100, pieces.len() as u64, 0x80]);
    guest.u32_at(0x80)
}

#[test]
fn standard_output_is_bytes_and_no_lines() {
    run(Fake::default(), |guest| {
        guest.put(0x1000, b"a\r\n\0\xff");
        assert_eq!(write(guest, 1, &[(0x1000, 5)]), 5);
        assert_eq!(guest.fake.output, b"a\r\n\0\xff");
        assert!(guest.fake.lines.is_empty() && guest.state.output.is_empty());
    });
}

#[test]
fn standard_error_is_lines() {
    run(Fake::default(), |guest| {
        guest.put(0x1000, b"one\ntwo");
        assert_eq!(write(guest, 2, &[(0x1000, 5), (0x1005, 2)]), 7);
        assert_eq!(guest.fake.lines, [(Stream::Err, "one".to_owned())]);
        guest.state.output.flush(guest.fake);
        assert_eq!(guest.fake.lines[1], (Stream::Err, "two".to_owned()));
        assert!(guest.fake.output.is_empty());
    });
}

#[test]
fn one_piece_is_written_whole_however_little_there_is_room_for() {
    let takes = [1, 70_000, 2].into();
    run(Fake { takes, ..Fake::default() }, |guest| {
        guest.put(0x10000, &[b'x'; 200_000]);
        assert_eq!(write(guest, 1, &[(0x10000, 200_000)]), 200_000);
        assert_eq!(guest.fake.output, [b'x'; 200_000]);
        assert_eq!(guest.fake.take_asked(), ["write"; 4]);
    });
}

#[test]
fn nothing_is_waited_for_behind_the_first_piece() {
    let pieces = [(0x1000, 0), (0x1000, 3), (0x1003, 3), (0x1006, 3)];
    let ready = Ready { input: true, output: true };
    run(Fake { takes: [3, 2].into(), ready, ..Fake::default() }, |guest| {
        guest.put(0x1000, b"abcdefghi");
        assert_eq!(write(guest, 1, &pieces), 5);
        assert_eq!(guest.fake.take_asked(), ["write", "wait", "write"]);
        assert_eq!(guest.fake.output, b"abcde");
        let (wanted, until) = guest.fake.waited.unwrap();
        assert_eq!(wanted, Ready { input: false, output: true });
        assert!(until.unwrap() <= std::time::Instant::now());
        assert_eq!(write(guest, 1, &pieces), 9);
        guest.fake.ready.output = false;
        guest.fake.take_asked();
        assert_eq!(write(guest, 1, &pieces), 3);
        assert_eq!(guest.fake.take_asked(), ["write", "wait"]);
    });
}

#[test]
fn no_bytes_are_no_reason_to_wait() {
    run(Fake::default(), |guest| {
        assert_eq!(write(guest, 1, &[]), 0);
        assert_eq!(write(guest, 1, &[(0x1000, 0)]), 0);
        assert!(guest.fake.take_asked().is_empty());
    });
}

#[test]
fn when_the_reader_has_gone_the_pipe_is_broken() {
    run(Fake { gone: true, ..Fake::default() }, |guest| {
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        guest.fails("fd_write", &[1, 0x100, 1, 0x80], Errno::Pipe);
        // The log is still there.
        assert_eq!(write(guest, 2, &[(0x1000, 3)]), 3);
    });
}

#[test]
fn a_writer_of_nothing_is_not_asked_for_ever() {
    run(Fake { takes: [2, 0].into(), ..Fake::default() }, |guest| {
        assert_eq!(write(guest, 1, &[(0x1000, 3)]), 2);
    });
}

#[test]
fn a_program_that_does_not_want_to_wait_has_a_part_taken_or_is_told_to_come_again() {
    run(Fake { takes: [2].into(), ..Fake::default() }, |guest| {
        guest.ok("fd_fdstat_set_flags", &[1, NONBLOCK]);
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        guest.fails("fd_write", &[1, 0x100, 1, 0x80], Errno::Again);
        assert_eq!(guest.fake.take_asked(), ["wait"]);
        guest.fake.ready.output = true;
        assert_eq!(write(guest, 1, &[(0x1000, 3)]), 2);
        assert_eq!(guest.fake.take_asked(), ["wait", "write"]);
        guest.ok("fd_fdstat_set_flags", &[1, 0]);
        assert_eq!(write(guest, 1, &[(0x1000, 3)]), 3);
        assert_eq!(guest.fake.take_asked(), ["write"]);
    });
}

#[test]
fn a_pointer_outside_memory_is_a_fault_and_nothing_is_put_out() {
    run(Fake::default(), |guest| {
        for pieces in [[(MEMORY - 1, 2), (0x1000, 1)], [(0x1000, 1), (MEMORY, 1)], [(0x1000, 1), (1, u32::MAX)]] {
            guest.put_vectors(0x100, &pieces);
            guest.fails("fd_write", &[1, 0x100, 2, 0x80], Errno::Fault);
            guest.fails("fd_write", &[2, 0x100, 2, 0x80], Errno::Fault);
        }
        guest.put_vectors(0x100, &[(0x1000, 3)]);
        guest.fails("fd_write", &[1, 0x100, 1, u64::from(MEMORY) - 3], Errno::Fault);
        guest.fails("fd_write", &[1, u64::from(MEMORY) - 7, 1, 0x80], Errno::Fault);
        assert!(guest.fake.take_asked().is_empty() && guest.state.output.is_empty());
    });
}

#[test]
fn the_streams_are_no_terminals_and_can_be_waited_for() {
    const SET_FLAGS: u64 = 1 << 3;
    const FILESTAT: u64 = 1 << 21;
    const POLL: u64 = 1 << 27;
    run(Fake::default(), |guest| {
        for (fd, moves) in [(0, 1 << 1), (1, 1 << 6), (2, 1 << 6)] {
            guest.put(0x100, &[0xaa; 24]);
            guest.ok("fd_fdstat_get", &[fd, 0x100]);
            // The type is unknown, and nothing is inherited.
            assert_eq!(guest.bytes(0x100, 8), [0; 8]);
            assert_eq!((guest.u64_at(0x108), guest.u64_at(0x110)), (moves | SET_FLAGS | FILESTAT | POLL, 0));
            guest.ok("fd_fdstat_set_flags", &[fd, NONBLOCK | 1]);
            guest.ok("fd_fdstat_get", &[fd, 0x100]);
            assert_eq!(guest.bytes(0x100, 8), [0, 0, 4, 0, 0, 0, 0, 0]);
            guest.put(0x200, &[0xaa; 64]);
            guest.ok("fd_filestat_get", &[fd, 0x200]);
            assert_eq!(guest.bytes(0x200, 64), [0; 64]);
            guest.fails("fd_fdstat_get", &[fd, u64::from(MEMORY) - 23], Errno::Fault);
            guest.fails("fd_filestat_get", &[fd, u64::from(MEMORY) - 63], Errno::Fault);
        }
    });
}

#[test]
fn a_stream_may_be_closed_and_stays_open() {
    run(Fake::with_input(&[b"abc"]), |guest| {
        for fd in 0..3 {
            guest.ok("fd_close", &[fd]);
        }
        assert_eq!(write(guest, 1, &[(0x1000, 3)]), 3);
        guest.ok("fd_read", &[0, 0x100, 1, 0x80]);
        assert_eq!(guest.u32_at(0x80), 3);
    });
}

#[test]
fn there_are_no_sockets() {
    run(Fake::default(), |guest| {
        for (function, args) in [("sock_accept", 3), ("sock_recv", 6), ("sock_send", 5), ("sock_shutdown", 2)] {
            guest.fails(function, &vec![0; args], Errno::NotSup);
        }
    });
}
