//! The clock behind CPU deadlines: a [`Ticker`] thread moves the epochs of engines on while guest code runs, and sleeps
//! when none has run for a while. A worker process starts it; a process that will still fork must not.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Engine;

/// The resolution of deadlines.
pub const TICK: Duration = Duration::from_millis(10);

/// A start may take so many times its CPU time until it is given up: one that waits for something would never use it up.
pub(super) const MOST_WAITING: u64 = 100;

/// The CPU time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Ticks without guest code after which the ticker goes to sleep.
const IDLE_TICKS: u32 = 100;

/// Counts entries to and exits from guest code, and wakes a sleeping [`Ticker`].
#[derive(Debug, Default)]
pub struct Activity {
    /// Odd while guest code with time-outs runs. Only the thread that runs it writes this.
    calls: AtomicU64,
    /// How many other threads run guest code.
    threads: AtomicUsize,
    parked: AtomicBool,
    ticker: Mutex<Option<thread::Thread>>,
}

impl Activity {
    /// The one of this process, which all its engines share: one thread runs all guests that have time-outs.
    pub fn global() -> &'static Arc<Activity> {
        static GLOBAL: LazyLock<Arc<Activity>> = LazyLock::new(Arc::default);
        &GLOBAL
    }

    /// To be called right before guest code runs.
    pub fn enter(&self) {
        self.calls.store(self.calls.load(Ordering::Relaxed) + 1, Ordering::SeqCst);
        // The ticker stores `parked` and then looks at `calls`; the order here is the reverse, so one sees the other.
        self.wake();
    }

    fn wake(&self) {
        if self.parked.load(Ordering::SeqCst) {
            self.parked.store(false, Ordering::SeqCst);
            if let Some(ticker) = &*locked(&self.ticker) {
                ticker.unpark();
            }
        }
    }

    /// The same on a thread that has a guest to itself. It may leave, and enter again, while that waits in a host call.
    pub fn enter_thread(&self) {
        self.threads.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    /// To be called on such a thread when guest code has returned.
    pub fn leave_thread(&self) {
        self.threads.fetch_sub(1, Ordering::SeqCst);
    }

    /// To be called when guest code has returned.
    pub fn leave(&self) {
        // Nothing is looked at after it, so it need not be ordered as `enter` is.
        self.calls.store(self.calls.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// A thread that calls [`Engine::tick`] every [`TICK`] while guest code runs. Dropping it ends the thread.
pub struct Ticker {
    shared: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
}

struct TickerState {
    stop: AtomicBool,
    activity: Arc<Activity>,
    /// Those that have been dropped since are left out.
    engines: Mutex<Vec<Weak<dyn Engine>>>,
}

impl Ticker {
    /// Starts the thread; signals that the calling thread blocks stay blocked in it. One per process.
    pub fn start(activity: &Arc<Activity>) -> io::Result<Ticker> {
        let shared = Arc::new(TickerState {
            stop: AtomicBool::new(false),
            activity: activity.clone(),
            engines: Mutex::default(),
        });
        let own = shared.clone();
        let thread = thread::Builder::new().name("wasm ticker".into()).spawn(move || own.run())?;
        *locked(&activity.ticker) = Some(thread.thread().clone());
        Ok(Ticker { shared, thread: Some(thread) })
    }

    /// Moves the clock of this engine on, too, as long as it lives.
    pub fn serve(&self, engine: &Arc<dyn Engine>) {
        let mut engines = locked(&self.shared.engines);
        engines.retain(|known| known.strong_count() > 0);
        let engine = Arc::downgrade(engine);
        if !engines.iter().any(|known| known.ptr_eq(&engine)) {
            engines.push(engine);
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl TickerState {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn tick(&self) {
        for engine in locked(&self.engines).iter().filter_map(Weak::upgrade) {
            engine.tick();
        }
    }

    fn run(&self) {
        let activity = &self.activity;
        let mut seen = 0;
        let mut idle = 0;
        while !self.stopped() {
            thread::park_timeout(TICK);
            self.tick();
            let calls = activity.calls.load(Ordering::SeqCst);
            if calls != seen || calls % 2 == 1 || activity.threads.load(Ordering::SeqCst) > 0 {
                seen = calls;
                idle = 0;
                continue;
            }
            idle += 1;
            if idle < IDLE_TICKS {
                continue;
            }
            activity.parked.store(true, Ordering::SeqCst);
            if activity.calls.load(Ordering::SeqCst) != seen || activity.threads.load(Ordering::SeqCst) > 0 {
                activity.parked.store(false, Ordering::SeqCst);
            }
            while activity.parked.load(Ordering::SeqCst) && !self.stopped() {
                thread::park();
            }
            idle = 0;
        }
    }
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::vm::TrustedCode;
    use crate::vm::{CompileError, Module, Outline};

    /// Nothing waits so long unless something is wrong.
    const BOUND: Duration = Duration::from_secs(60);

    #[derive(Default)]
    struct CountingEngine {
        ticks: AtomicU64,
    }

    impl Engine for CountingEngine {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn compile(&self, _: &[u8]) -> Result<Arc<dyn Module>, CompileError> {
            Err(CompileError::NotWasm("not an engine".into()))
        }

        fn validate(&self, _: &[u8]) -> Result<(), CompileError> {
            Err(CompileError::NotWasm("not an engine".into()))
        }

        fn outline(&self, _: &[u8]) -> Option<Outline> {
            None
        }

        fn fingerprint(&self) -> Vec<u8> {
            Vec::new()
        }

        fn load(&self, _: &TrustedCode) -> Result<Arc<dyn Module>, CompileError> {
            Err(CompileError::NotWasm("not an engine".into()))
        }

        fn tick(&self) {
            self.ticks.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Started {
        engine: Arc<CountingEngine>,
        activity: Arc<Activity>,
        ticker: Ticker,
    }

    /// With an activity of its own: tests run in threads of one process.
    fn started() -> Started {
        let engine = Arc::new(CountingEngine::default());
        let activity = Arc::default();
        let ticker = Ticker::start(&activity).unwrap();
        ticker.serve(&(engine.clone() as Arc<dyn Engine>));
        Started { engine, activity, ticker }
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

    fn wait_for_rest(activity: &Activity) {
        wait_for("parking", || activity.parked.load(Ordering::SeqCst));
    }

    #[test]
    fn it_ticks_while_a_guest_runs() {
        let Started { engine, activity, ticker: _ticker } = started();
        activity.enter();
        // Longer than it would take to go to sleep.
        wait_for_ticks(&engine, u64::from(IDLE_TICKS) + 10);
        assert!(!activity.parked.load(Ordering::SeqCst));
        activity.leave();
    }

    #[test]
    fn it_parks_when_idle_and_wakes_up_for_the_next_guest_every_time() {
        let Started { engine, activity, ticker: _ticker } = started();
        for _ in 0..2 {
            wait_for_rest(&activity);
            activity.enter();
            assert!(!activity.parked.load(Ordering::SeqCst));
            wait_for_ticks(&engine, 3);
            activity.leave();
        }
    }

    #[test]
    fn it_does_not_tick_while_parked() {
        let Started { engine, activity, ticker } = started();
        wait_for_rest(&activity);
        let ticks = engine.ticks.load(Ordering::SeqCst);
        // Ends the thread, which must not have ticked again on the way.
        drop(ticker);
        assert_eq!(engine.ticks.load(Ordering::SeqCst), ticks);
    }

    #[test]
    fn it_serves_several_engines_each_once_and_none_that_has_gone() {
        let Started { engine, activity, ticker } = started();
        let second = Arc::new(CountingEngine::default());
        let known: Arc<dyn Engine> = second.clone();
        for _ in 0..3 {
            ticker.serve(&known);
        }
        assert_eq!(locked(&ticker.shared.engines).len(), 2);
        activity.enter();
        wait_for_ticks(&engine, 3);
        wait_for_ticks(&second, 3);
        drop(known);
        drop(second);
        let third: Arc<dyn Engine> = Arc::new(CountingEngine::default());
        // The thread holds the second one only while it ticks.
        wait_for("forgetting", || {
            ticker.serve(&third);
            locked(&ticker.shared.engines).len() == 2
        });
        wait_for_ticks(&engine, 3);
        activity.leave();
    }

    #[test]
    fn one_that_follows_another_wakes_up_too() {
        let activity = Arc::default();
        drop(Ticker::start(&activity).unwrap());
        let ticker = Ticker::start(&activity).unwrap();
        let engine = Arc::new(CountingEngine::default());
        ticker.serve(&(engine.clone() as Arc<dyn Engine>));
        wait_for_rest(&activity);
        activity.enter();
        wait_for_ticks(&engine, 3);
        activity.leave();
    }

    #[test]
    fn dropping_it_ends_the_thread_whatever_it_does() {
        for (wait, busy) in [(false, false), (true, false), (false, true)] {
            let Started { engine, activity, ticker } = started();
            if busy {
                activity.enter();
            }
            if wait {
                wait_for_rest(&activity);
            }
            drop(ticker);
            // The thread had the other one.
            assert_eq!(Arc::strong_count(&activity), 1);
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
