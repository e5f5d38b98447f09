//! Deadlines: which guests run, until when, and how they are stopped.
//!
//! Machine code of WasmEdge looks at a token of its executor in each loop, and, by `entries.rs`, at the begin of each function that calls
//! another. The C API sets that token in one way: [`async_cancel`](super::library::Functions::async_cancel), meant for a call on a thread
//! of its own. It sets it also when that call has long ended, and so each executor has such a call behind it, of a function that does
//! nothing. What is stopped cannot go on: time-outs that are CPU time are looked at from outside.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::executor::Stop;
use crate::vm::clock::MOST_WAITING;
use crate::vm::{TICK, cpu_time};

/// The clock of an engine, and the calls that have deadlines by it.
#[derive(Default)]
pub struct Deadlines {
    /// Ticks so far.
    now: AtomicU64,
    calls: AtomicU64,
    running: Mutex<Vec<Running>>,
}

/// A call into a guest.
struct Running {
    call: u64,
    stop: Stop,
    /// When it is to be stopped, by the clock.
    at: u64,
    cpu: Option<CpuTime>,
    is_stopped: bool,
}

/// What a call may use of the time of its thread.
struct CpuTime {
    clock: libc::clockid_t,
    timeout: Duration,
    begun: Duration,
    /// When it is stopped anyway: it waits for something.
    at_most: u64,
}

/// A call that has begun.
pub struct Begun(u64);

impl Deadlines {
    /// Moves the clock on, and stops what is late. From a signal handler, too: it waits for nothing. If somebody is about to begin or
    /// end a call, late ones wait for the next tick.
    pub fn tick(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        let mut running = match self.running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        for call in running.iter_mut().filter(|call| now >= call.at) {
            match call.cpu.as_ref().and_then(|cpu| cpu.left(now)) {
                Some(left) => call.at = now + ticks(left),
                None => {
                    // Each time: host calls may have kept an inner call's end from the outer one.
                    call.is_stopped = true;
                    call.stop.stop();
                }
            }
        }
    }

    /// A call begins, on this thread. `stop` stays good until it ends.
    pub fn begin(&self, stop: Stop, timeout: Duration, is_cpu_time: bool) -> Begun {
        let now = self.now.load(Ordering::SeqCst);
        let at = now + ticks(timeout);
        let cpu = is_cpu_time.then(|| CpuTime::new(timeout, now)).flatten();
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.running().push(Running { call, stop, at, cpu, is_stopped: false });
        Begun(call)
    }

    /// It has ended. Answers whether it was to be stopped: then the token may still be set.
    pub fn end(&self, Begun(call): Begun) -> bool {
        let mut running = self.running();
        match running.iter().rposition(|running| running.call == call) {
            Some(place) => running.swap_remove(place).is_stopped,
            None => false,
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CpuTime {
    /// Nothing where the system does not tell the time of other threads: then the time is that which passes.
    fn new(timeout: Duration, now: u64) -> Option<CpuTime> {
        let mut clock = 0;
        // SAFETY: the thread is this one, and the clock has its place.
        let result = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        let at_most = now.saturating_add(ticks(timeout).saturating_mul(MOST_WAITING));
        (result == 0).then(|| CpuTime { clock, timeout, begun: cpu_time(), at_most })
    }

    /// What it has not used, if it may go on.
    fn left(&self, now: u64) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the thread of the call is in it, so it has a clock; the time has its place. The function may be called in handlers.
        let result = unsafe { libc::clock_gettime(self.clock, &mut time) };
        let used = Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
        let left = self.timeout.saturating_sub(used.saturating_sub(self.begun));
        (result == 0 && !left.is_zero() && now < self.at_most).then_some(left)
    }
}

/// As ticks, and one more, because the first may come at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).saturating_add(1).min(u64::MAX / 4)
}
