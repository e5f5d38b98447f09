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
        self.calls.store(self.calls.load(Ordering::Relaxed) + 1, Ordering::SeqCst);
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
        // Nothing is looked at after it, so it need not be ordered as `enter` is.
        self.calls.store(self.calls.load(Ordering::Relaxed) + 1, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::vm::{CompileError, Module};

    /// Nothing waits so long unless something is wrong.
    const BOUND: Duration = Duration::from_secs(60);

    #[derive(Default)]
    struct CountingEngine {
        activity: Arc<Activity>,
        ticks: AtomicU64,
    }

    impl Engine for CountingEngine {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn compile(&self, _: &[u8]) -> Result<Arc<dyn Module>, CompileError> {
            Err(CompileError::NotWasm("not an engine".into()))
        }

        fn tick(&self) {
            self.ticks.fetch_add(1, Ordering::SeqCst);
        }

        fn activity(&self) -> &Arc<Activity> {
            &self.activity
        }
    }

    fn started() -> (Arc<CountingEngine>, Ticker) {
        let engine = Arc::new(CountingEngine::default());
        let ticker = Ticker::start(engine.clone()).unwrap();
        (engine, ticker)
    }

    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < BOUND, "{what} did not happen");
            // The interval of looking again, not of anything that is waited for.
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_for_ticks(engine: &CountingEngine, more: u64) {
        let now = engine.ticks.load(Ordering::SeqCst);
        wait_for("ticking", || engine.ticks.load(Ordering::SeqCst) >= now + more);
    }

    fn wait_for_rest(engine: &CountingEngine) {
        wait_for("parking", || engine.activity.parked.load(Ordering::SeqCst));
    }

    #[test]
    fn it_ticks_while_a_guest_runs() {
        let (engine, _ticker) = started();
        engine.activity.enter();
        // Longer than it would take to go to sleep.
        wait_for_ticks(&engine, u64::from(IDLE_TICKS) + 10);
        assert!(!engine.activity.parked.load(Ordering::SeqCst));
        engine.activity.leave();
    }

    #[test]
    fn it_parks_when_idle_and_wakes_up_for_the_next_guest_every_time() {
        let (engine, _ticker) = started();
        for _ in 0..2 {
            wait_for_rest(&engine);
            engine.activity.enter();
            assert!(!engine.activity.parked.load(Ordering::SeqCst));
            wait_for_ticks(&engine, 3);
            engine.activity.leave();
        }
    }

    #[test]
    fn it_does_not_tick_while_parked() {
        let (engine, ticker) = started();
        wait_for_rest(&engine);
        let ticks = engine.ticks.load(Ordering::SeqCst);
        // Ends the thread, which must not have ticked again on the way.
        drop(ticker);
        assert_eq!(engine.ticks.load(Ordering::SeqCst), ticks);
    }

    #[test]
    fn dropping_it_ends_the_thread_whatever_it_does() {
        for (wait, busy) in [(false, false), (true, false), (false, true)] {
            let (engine, ticker) = started();
            if busy {
                engine.activity.enter();
            }
            if wait {
                wait_for_rest(&engine);
            }
            drop(ticker);
            // The thread had the other one.
            assert_eq!(Arc::strong_count(&engine), 1);
        }
    }

    #[test]
    fn activity_needs_no_ticker() {
        let activity = Activity::default();
        activity.enter();
        activity.leave();
        assert_eq!(activity.calls.load(Ordering::SeqCst), 2);
    }
}
