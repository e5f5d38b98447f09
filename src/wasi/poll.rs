//! What a program waits for: its clocks, its input, room for its output. `poll_oneoff`.
//!
//! All that can be said at once is said at once: of files, which never keep anybody waiting, and of what cannot be waited for,
//! which is an event with an error number. What is left is waited for together.

use std::time::{Duration, Instant};

use super::call::{Call, Row, Run};
use super::clock::{MONOTONIC, PROCESS_CPU, REALTIME, THREAD_CPU, monotonic};
use super::descriptors::{Descriptor, OpenFile};
use super::streams::{STDERR, STDIN, STDOUT, process};
use super::{Errno, Outside, Ready};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[Row { name: "poll_oneoff", types: &[("iiii", "i")], run: Run::Errno(poll_oneoff) }];

/// The size of what a guest subscribes to.
const SUBSCRIPTION: u32 = 48;
/// The size of what it is told.
const EVENT: u32 = 32;

/// More than these could not be told apart, and would keep the host busy.
const MOST_SUBSCRIPTIONS: u32 = 4096;

const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

/// How many bytes there are is told of files alone. It is more than none otherwise: C libraries take that for an empty input
/// (FIONREAD).
const SOME: u64 = 1;

/// Answers a filter at once that every subscription has come true: a worker must not wait inside a guest. A program may wait.
fn poll_oneoff(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [subscriptions, events, count, stored_at] = args(raw);
    if count == 0 {
        return Err(Errno::Inval);
    }
    let memory = call.memory();
    memory.check(subscriptions, u64::from(count) * u64::from(SUBSCRIPTION))?;
    memory.check(events, u64::from(count) * u64::from(EVENT))?;
    memory.check(stored_at, 4)?;
    if call.is_program() {
        let happened = wait(call, subscriptions, count)?;
        let mut memory = call.memory();
        for (n, event) in (0..count).zip(&happened) {
            memory.write(events + n * EVENT, event)?;
        }
        return Ok(memory.write_u32(stored_at, happened.len() as u32)?);
    }
    let mut memory = call.memory();
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

/// What a program subscribes to.
struct Subscription {
    userdata: [u8; 8],
    kind: u8,
    condition: Condition,
}

/// When a subscription comes true.
enum Condition {
    /// It has; so many bytes can be moved.
    Now(u64),
    /// It never can.
    Failed(Errno),
    /// When there is something to read.
    Input,
    /// When there is room to write.
    Output,
    /// At this time; `None` is too far away.
    Time(Option<Instant>),
}

/// Waits for what is subscribed to at this place, which is in memory. Answers the events: one at least.
fn wait(call: &mut Call<'_>, at: u32, count: u32) -> Result<Vec<[u8; EVENT as usize]>, Errno> {
    if count > MOST_SUBSCRIPTIONS {
        return Err(Errno::Inval);
    }
    let now = Instant::now();
    let read = |n| Subscription::read(call, at + n * SUBSCRIPTION, now);
    let subscriptions = (0..count).map(read).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Ready::default();
    let mut until = None;
    for subscription in &subscriptions {
        match subscription.condition {
            Condition::Input => wanted.input = true,
            Condition::Output => wanted.output = true,
            Condition::Now(_) | Condition::Failed(_) => until = earlier(until, Some(now)),
            Condition::Time(time) => until = earlier(until, time),
        }
    }
    let ready = process(call.host)?.wait(wanted, until)?;
    let mut time = Instant::now();
    if ready == Ready::default() {
        // It has come, even if this clock is behind the one that was waited for.
        time = time.max(until.unwrap_or(time));
    }
    Ok(subscriptions.iter().filter_map(|subscription| subscription.event(ready, time)).collect())
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Subscription {
    fn read(call: &mut Call<'_>, at: u32, now: Instant) -> Result<Subscription, Errno> {
        let bytes = field::<{ SUBSCRIPTION as usize }>(call.memory().read(at, SUBSCRIPTION)?, 0);
        let kind = bytes[8];
        let condition = match kind {
            CLOCK => clock(call.host, &bytes, now),
            FD_READ | FD_WRITE => descriptor(call, kind, u32::from_le_bytes(field(&bytes, 16))),
            _ => return Err(Errno::Inval),
        };
        Ok(Subscription { userdata: field(&bytes, 0), kind, condition })
    }

    /// What the guest is told, if it has come true.
    fn event(&self, ready: Ready, time: Instant) -> Option<[u8; EVENT as usize]> {
        let (errno, bytes) = match self.condition {
            Condition::Now(bytes) => (0, bytes),
            Condition::Failed(errno) => (errno as u16, 0),
            Condition::Input if ready.input => (0, SOME),
            Condition::Output if ready.output => (0, SOME),
            Condition::Time(Some(at)) if at <= time => (0, 0),
            Condition::Input | Condition::Output | Condition::Time(_) => return None,
        };
        let mut event = [0; EVENT as usize];
        event[..8].copy_from_slice(&self.userdata);
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = self.kind;
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        Some(event)
    }
}

/// `N` of these bytes, which are there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|n| bytes[at + n])
}

fn clock(host: &dyn Outside, bytes: &[u8], now: Instant) -> Condition {
    const ABSOLUTE: u16 = 1;
    let id = u32::from_le_bytes(field(bytes, 16));
    let timeout = u64::from_le_bytes(field(bytes, 24));
    let is_absolute = u16::from_le_bytes(field(bytes, 40)) & ABSOLUTE != 0;
    let rest = match id {
        REALTIME | MONOTONIC if !is_absolute => timeout,
        REALTIME => timeout.saturating_sub(host.now()),
        MONOTONIC => timeout.saturating_sub(monotonic()),
        // A program that waits uses none, so that the time would never come.
        PROCESS_CPU | THREAD_CPU => return Condition::Failed(Errno::NotSup),
        _ => return Condition::Failed(Errno::Inval),
    };
    Condition::Time(now.checked_add(Duration::from_nanos(rest)))
}

fn descriptor(call: &mut Call<'_>, kind: u8, fd: u32) -> Condition {
    match (fd, kind) {
        (STDIN, FD_READ) => Condition::Input,
        (STDOUT, FD_WRITE) => Condition::Output,
        // The log has room.
        (STDERR, FD_WRITE) => Condition::Now(SOME),
        (..=STDERR, _) => Condition::Failed(Errno::BadF),
        _ => match call.state.files.get(fd) {
            Ok(Descriptor::File(file)) if kind == FD_READ => match left(file) {
                Ok(bytes) => Condition::Now(bytes),
                Err(errno) => Condition::Failed(errno),
            },
            Ok(Descriptor::File(_)) => Condition::Now(SOME),
            Ok(Descriptor::Folder(_)) => Condition::Failed(Errno::IsDir),
            Err(errno) => Condition::Failed(errno),
        },
    }
}

/// How many bytes of a file there are from its place on.
fn left(file: &mut OpenFile) -> Result<u64, Errno> {
    use std::io::Seek;
    Ok(file.file.metadata()?.len().saturating_sub(file.file.stream_position()?))
}
