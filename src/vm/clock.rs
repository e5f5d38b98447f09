//! The clock behind CPU deadlines: a [`Ticker`] thread moves an engine's epoch on while guest code runs, and sleeps
//! when none has run for a while. A worker process starts it; a process that will still fork must not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Engine;

/// The resolution of deadlines.
pub const TICK: Duration = Duration::from_millis(10);

/// Ticks without guest code after which the ticker goes to sleep.
const IDLE_TICKS: u32 = 100;

/// Counts entries to and exits from guest code, and wakes a sleeping [`Ticker`].
#[derive(Debug, Default)]
pub struct Activity {
    /// Odd while guest code runs. Only the thread that runs guests writes it.
    calls: AtomicU64,
    parked: AtomicBool,
    ticker: std::sync::OnceLock<thread::Thread>,
}

impl Activity {
    /// To be called right before guest code runs.
    pub fn enter(&self) {
        self.step();
        // The ticker stores `parked` and then looks at `calls`; the order here is the reverse, so one sees the other.
        if self.parked.load(Ordering::SeqCst) {
            self.parked.store(false, Ordering::SeqCst);
            if let Some(ticker) = self.ticker.get() {
                ticker.unpark();
            }
        }
    }

    /// To be called when guest code has returned.
    pub fn leave(&self) {
        self.step();
    }

    fn step(&self) {
        self.calls.store(self.calls.load(Ordering::Relaxed) + 1, Ordering::SeqCst);
    }
}

/// A thread that calls [`Engine::tick`] every [`TICK`] while guest code runs. Dropping it ends the thread.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread; signals that the calling thread blocks stay blocked in it. One per engine and process.
    pub fn start(engine: Arc<dyn Engine>) -> io::Result<Ticker> {
        let stop = Arc::new(AtomicBool::new(false));
        let activity = engine.activity().clone();
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("wasm ticker".into()).spawn(move || run(engine.as_ref(), &stopped))?;
        let _ = activity.ticker.set(thread.thread().clone());
        Ok(Ticker { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn run(engine: &dyn Engine, stop: &AtomicBool) {
    let activity = engine.activity();
    let mut seen = 0;
    let mut idle = 0;
    while !stop.load(Ordering::SeqCst) {
        thread::park_timeout(TICK);
        engine.tick();
        let calls = activity.calls.load(Ordering::SeqCst);
        if calls != seen || calls % 2 == 1 {
            seen = calls;
            idle = 0;
            continue;
        }
        idle += 1;
        if idle < IDLE_TICKS {
            continue;
        }
        activity.parked.store(true, Ordering::SeqCst);
        if activity.calls.load(Ordering::SeqCst) != seen {
            activity.parked.store(false, Ordering::SeqCst);
        }
        while activity.parked.load(Ordering::SeqCst) && !stop.load(Ordering::SeqCst) {
            thread::park();
        }
        idle = 0;
    }
}
