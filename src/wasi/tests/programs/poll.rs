//! `poll_oneoff` of programs.

use std::time::{Duration, Instant};

use super::super::super::{Descriptors, Errno, Grant, State};
use super::super::Folder;
use super::{Fake, Guest, MEMORY, NOW, Ready, run, run_with};

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// A subscription to a clock.
fn clock(userdata: u64, id: u32, timeout: u64, is_absolute: bool) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[16..20].copy_from_slice(&id.to_le_bytes());
    bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
    bytes[32..40].copy_from_slice(&[0xff; 8]);
    bytes[40] = u8::from(is_absolute);
    bytes
}

fn descriptor(userdata: u64, kind: u8, fd: u32) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = kind;
    bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    bytes
}

fn reads(userdata: u64, fd: u32) -> [u8; 48] {
    descriptor(userdata, 1, fd)
}

fn writes(userdata: u64, fd: u32) -> [u8; 48] {
    descriptor(userdata, 2, fd)
}

/// User data, error number, kind and count of bytes of an event.
type Event = (u64, u16, u8, u64);

/// Polls, with the subscriptions at 0x1000, and the events at 0x2000.
fn poll(guest: &mut Guest<'_>, subscriptions: &[[u8; 48]]) -> Vec<Event> {
    guest.put(0x1000, &subscriptions.concat());
    let room = 32 * subscriptions.len();
    guest.put(0x2000, &vec![0xaa; room + 8]);
    guest.ok("poll_oneoff", &[0x1000, 0x2000, subscriptions.len() as u64, 0x80]);
    let count = guest.u32_at(0x80);
    assert!(guest.bytes(0x2000 + 32 * count, 8).iter().all(|byte| *byte == 0xaa));
    (0..count)
        .map(|n| {
            let at = 0x2000 + n * 32;
            let head = guest.bytes(at + 8, 8);
            assert_eq!((&head[3..], guest.u64_at(at + 24)), (&[0; 5][..], 0));
            (guest.u64_at(at), u16::from_le_bytes([head[0], head[1]]), head[2], guest.u64_at(at + 16))
        })
        .collect()
}

/// Until when a guest waits that polls this, as the time from now, and what it is told at that time. It waits once.
fn waits(guest: &mut Guest<'_>, subscriptions: &[[u8; 48]]) -> (Duration, Vec<Event>) {
    let before = Instant::now();
    let events = poll(guest, subscriptions);
    let (_, until) = guest.fake.waited.take().unwrap();
    assert_eq!(guest.fake.take_asked(), ["wait"]);
    let until = until.unwrap();
    // The host has looked at its clock between the two.
    let most = until - before;
    let least = until.saturating_duration_since(Instant::now());
    assert!(most - least < Duration::from_secs(20), "{most:?} {least:?}");
    (most, events)
}

fn about(time: Duration, seconds: u64) -> bool {
    (seconds..seconds + 20).contains(&time.as_secs())
}

#[test]
fn a_clock_is_waited_for_from_now_on_or_until_its_time() {
    run(Fake::default(), |guest| {
        guest.ok("clock_time_get", &[1, 0, 0x80]);
        let monotonic = guest.u64_at(0x80);
        let hour = 3_600_000_000_000;
        for subscription in [
            clock(7, REALTIME, hour, false),
            clock(7, MONOTONIC, hour, false),
            clock(7, REALTIME, NOW + hour, true),
            // A little more: it was some time ago.
            clock(7, MONOTONIC, monotonic + hour + 19_000_000_000, true),
        ] {
            let (time, events) = waits(guest, &[subscription]);
            assert!(about(time, 3600), "{time:?}");
            assert_eq!(events, [(7, 0, 0, 0)]);
        }
        for subscription in
            [clock(7, REALTIME, NOW - 1, true), clock(7, MONOTONIC, 0, true), clock(7, REALTIME, 0, false)]
        {
            let (time, events) = waits(guest, &[subscription]);
            assert!(about(time, 0), "{time:?}");
            assert_eq!(events, [(7, 0, 0, 0)]);
        }
    });
}

#[test]
fn the_earliest_of_several_times_is_waited_for_and_told_alone() {
    let minute = 60_000_000_000;
    run(Fake::default(), |guest| {
        let (time, events) = waits(
            guest,
            &[
                clock(1, REALTIME, 3 * minute, false),
                clock(2, MONOTONIC, minute, false),
                clock(3, REALTIME, u64::MAX, false),
                clock(4, REALTIME, minute, false),
            ],
        );
        assert!(about(time, 60), "{time:?}");
        assert_eq!(events, [(2, 0, 0, 0), (4, 0, 0, 0)]);
    });
}

#[test]
fn input_and_output_are_waited_for_together() {
    let both = [reads(1, 0), writes(2, 1), clock(3, MONOTONIC, 60_000_000_000, false)];
    run(Fake::default(), |guest| {
        for (input, output, events) in [
            (true, false, vec![(1, 0, 1, 1)]),
            (false, true, vec![(2, 0, 2, 1)]),
            (true, true, vec![(1, 0, 1, 1), (2, 0, 2, 1)]),
            (false, false, vec![(3, 0, 0, 0)]),
        ] {
            guest.fake.ready = Ready { input, output };
            assert_eq!(poll(guest, &both), events);
            let (wanted, until) = guest.fake.waited.take().unwrap();
            assert_eq!(wanted, Ready { input: true, output: true });
            assert!(until.is_some());
            assert_eq!(guest.fake.take_asked(), ["wait"]);
        }
        guest.fake.ready.input = true;
        assert_eq!(poll(guest, &[reads(1, 0)]), [(1, 0, 1, 1)]);
        assert_eq!(guest.fake.waited, Some((Ready { input: true, output: false }, None)));
    });
}

#[test]
fn a_time_that_has_come_meanwhile_is_told_too() {
    run(Fake { ready: Ready { input: true, output: false }, ..Fake::default() }, |guest| {
        assert_eq!(poll(guest, &[clock(1, MONOTONIC, 0, false), reads(2, 0)]), [(1, 0, 0, 0), (2, 0, 1, 1)]);
    });
}

#[test]
fn what_cannot_be_waited_for_is_an_event_with_an_error_at_once() {
    let (bad, not_supported, invalid) = (Errno::BadF as u16, Errno::NotSup as u16, Errno::Inval as u16);
    run(Fake::default(), |guest| {
        let (time, events) = waits(
            guest,
            &[
                reads(1, 1),
                reads(2, 2),
                writes(3, 0),
                reads(4, 3),
                writes(5, u32::MAX),
                clock(6, 2, 0, false),
                clock(7, 3, 0, true),
                clock(8, 4, 0, false),
                clock(9, MONOTONIC, 60_000_000_000, false),
                reads(10, 0),
            ],
        );
        assert!(about(time, 0), "{time:?}");
        let wanted = [
            (1, bad, 1, 0),
            (2, bad, 1, 0),
            (3, bad, 2, 0),
            (4, bad, 1, 0),
            (5, bad, 2, 0),
            (6, not_supported, 0, 0),
            (7, not_supported, 0, 0),
            (8, invalid, 0, 0),
        ];
        assert_eq!(events, wanted);
    });
}

#[test]
fn files_and_the_log_are_ready_at_once() {
    let folder = Folder::new();
    let grant = Grant { host: folder.0.join("r"), guest: b"/r".to_vec(), writable: false };
    let state = State { files: Descriptors::open(&[grant]).unwrap(), ..State::default() };
    run_with(state, Fake::default(), |guest| {
        guest.put(0x200, b"file");
        guest.ok("path_open", &[3, 1, 0x200, 4, 0, 2, 0, 0, 0x80]);
        guest.ok("fd_seek", &[4, 3, 0, 0x80]);
        let is_folder = Errno::IsDir as u16;
        let polled = [reads(1, 4), writes(2, 4), writes(3, 2), reads(4, 3), reads(5, 0)];
        let (time, events) = waits(guest, &polled);
        assert!(about(time, 0), "{time:?}");
        // Ten bytes, and three of them are behind.
        assert_eq!(events, [(1, 0, 1, 7), (2, 0, 2, 1), (3, 0, 2, 1), (4, is_folder, 1, 0)]);
        guest.ok("fd_seek", &[4, 30, 0, 0x80]);
        assert_eq!(poll(guest, &[reads(1, 4)]), [(1, 0, 1, 0)]);
    });
}

#[test]
fn when_the_reader_has_gone_waiting_fails() {
    run(Fake { gone: true, ..Fake::default() }, |guest| {
        guest.put(0x1000, &reads(1, 0));
        guest.fails("poll_oneoff", &[0x1000, 0x2000, 1, 0x80], Errno::Pipe);
    });
}

#[test]
fn a_poll_that_means_nothing_waits_for_nothing_and_writes_nothing() {
    let end = u64::from(MEMORY);
    run(Fake::default(), |guest| {
        guest.put(0x1000, &[clock(1, REALTIME, 0, false), descriptor(2, 3, 0)].concat());
        for (args, errno) in [
            ([0x1000, 0x2000, 0, 0x80], Errno::Inval),
            ([0x1000, 0x2000, 2, 0x80], Errno::Inval),
            ([0x1000, 0x2000, 4097, 0x80], Errno::Inval),
            ([end - 47, 0x2000, 1, 0x80], Errno::Fault),
            ([0x1000, end - 31, 1, 0x80], Errno::Fault),
            ([0x1000, 0x2000, 1, end - 3], Errno::Fault),
            ([0x1000, 0x2000, u64::from(u32::MAX), 0x80], Errno::Fault),
            ([u64::from(u32::MAX), 0x2000, 1, 0x80], Errno::Fault),
        ] {
            guest.fails("poll_oneoff", &args, errno);
        }
        assert!(guest.fake.take_asked().is_empty());
    });
}

#[test]
fn events_may_lie_over_the_subscriptions() {
    run(Fake::default(), |guest| {
        guest.put(0x1000, &[writes(1, 2), writes(2, 2), writes(3, 2)].concat());
        guest.ok("poll_oneoff", &[0x1000, 0x1010, 3, 0x80]);
        assert_eq!(guest.u32_at(0x80), 3);
        assert_eq!([0, 1, 2].map(|n| guest.u64_at(0x1010 + n * 32)), [1, 2, 3]);
    });
}
