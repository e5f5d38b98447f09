//! New workers after a reload. Nginx's master forks them, and tells the old ones to quit a moment later (100 ms). A new worker starts its
//! filters before it serves, and where that takes longer, nobody would look at requests meanwhile. So where filters are known to
//! start slowly, the master waits behind each fork: the new worker has one end of a pair of sockets until its filters have started, and the
//! master reads the other end. When some of them start, half of the processors at most have to do with it, and old workers the others.
//!
//! What nginx does, and in which order, stays as it is; it takes longer. `module.rs` says what is expected, and when a worker is ready.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nginx_sys::NGX_LOG_WARN;

use crate::nginx::cycle;
use crate::nginx::guard::guard;

/// Filters that start faster than this, all together, are not waited for: nginx itself waits longer.
const SLOW: Duration = Duration::from_millis(5);

/// What is given to each worker beside what starts took before.
const PATIENCE: Duration = Duration::from_secs(2);

/// Forks of new workers that are waited for.
struct Forks {
    /// How many are to come.
    expected: usize,
    /// How many may start at once.
    at_once: usize,
    /// How long one is waited for.
    patience: Duration,
    /// For the fork that is under way: the master's end, and the worker's.
    pair: Option<(UnixStream, UnixStream)>,
    /// The master's ends of those that have not started.
    starting: VecDeque<UnixStream>,
    /// In a worker: its end, until it has started.
    own: Option<UnixStream>,
}

static FORKS: Mutex<Forks> =
    Mutex::new(Forks { expected: 0, at_once: 1, patience: PATIENCE, pair: None, starting: VecDeque::new(), own: None });

fn forks() -> MutexGuard<'static, Forks> {
    FORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The master is about to fork so many workers while others serve, and their filters need about so long to start.
pub fn expect(workers: usize, time: Duration) {
    let mut forks = forks();
    // Of a configuration whose workers were not all made.
    forks.starting.clear();
    forks.expected = if time < SLOW { 0 } else { workers };
    if forks.expected == 0 {
        return;
    }
    let processors = thread::available_parallelism().map_or(1, |count| count.get());
    forks.at_once = (processors / 2).max(1);
    // So many share the processors with all that goes on, and the machine may have more to do than when that was measured.
    forks.patience = time.saturating_mul(4).saturating_add(PATIENCE);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the functions need nothing, and stay as long as this library: they are known to the C library as its own.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_master), Some(in_worker)) };
    });
}

/// The filters of this worker have started.
pub fn ready() {
    forks().own = None;
}

extern "C" fn before_fork() {
    guard((), || {
        let mut forks = forks();
        if forks.expected > 0 {
            forks.pair = UnixStream::pair().ok();
        }
    });
}

extern "C" fn in_master() {
    guard((), || {
        let mut forks = forks();
        if forks.expected == 0 {
            return;
        }
        forks.expected -= 1;
        if let Some((own, _)) = forks.pair.take() {
            forks.starting.push_back(own);
        }
        // The last one waits for all.
        let most = if forks.expected == 0 { 0 } else { forks.at_once - 1 };
        while forks.starting.len() > most {
            let Some(worker) = forks.starting.pop_front() else { break };
            match wait(worker, forks.patience) {
                Waited::Started => {}
                Waited::TooLong => cycle::log().write(
                    NGX_LOG_WARN,
                    "wasm: the filters of a new worker have not started in time; nginx goes on, and old workers end",
                ),
                Waited::Ending => {
                    forks.starting.clear();
                    forks.expected = 0;
                }
            }
        }
    });
}

extern "C" fn in_worker() {
    guard((), || {
        let mut forks = forks();
        forks.expected = 0;
        mem::take(&mut forks.starting);
        if let Some((_, own)) = forks.pair.take() {
            forks.own = Some(own);
        }
    });
}

enum Waited {
    /// Or the worker has ended.
    Started,
    TooLong,
    /// The master is to end, too.
    Ending,
}

fn wait(mut worker: UnixStream, patience: Duration) -> Waited {
    let end = Instant::now() + patience;
    loop {
        if cycle::is_ending() {
            return Waited::Ending;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || worker.set_read_timeout(Some(left)).is_err() {
            return Waited::TooLong;
        }
        match worker.read(&mut [0]) {
            // Nginx looks at what a signal was about when this is over.
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            _ => return Waited::Started,
        }
    }
}
