//! The threads that programs run on, in one worker: started when they are needed first, never more than there may be, and a queue of
//! runs that wait for one. The adapter hands in runs, and closes all of it when the worker ends.
//!
//! A thread that has run a program keeps what the next run of the same one can use ([`Place`]). What the first ones can use, one thread
//! makes before there are any ([`Threads::prepare`]).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::ending::Ending;
use super::place::Place;
use super::run::Run;

/// A guest may use 512 KiB of it, and host functions run behind that.
const STACK: usize = 2 << 20;

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads.
    pub threads: usize,
    /// Runs that wait for one.
    pub queue: usize,
}

/// What is to be done for a run. It tells the run how it has ended.
pub type Task = Box<dyn FnOnce(&mut Place, &Arc<Run>) -> Ending + Send>;

/// How a thread is started: the adapter has nginx's signals blocked in it.
pub type Spawn = fn(thread::Builder, Box<dyn FnOnce() + Send>) -> std::io::Result<thread::JoinHandle<()>>;

/// The threads of a worker.
pub struct Threads {
    shared: Arc<Shared>,
    spawn: Spawn,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do, or nothing any more.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Arc<Run>, Task)>,
    /// Those that threads are busy with.
    running: Vec<Arc<Run>>,
    /// Those of a thread that makes things ready, and takes what is in the queue when it has done so. Requests do not wait for them
    /// where there may be another thread.
    preparing: Vec<Arc<Run>>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

/// How busy the threads of a worker are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Threads that there are.
    pub threads: usize,
    /// Those that have a run which has not ended, or are about to take one.
    pub busy: usize,
    /// Runs that wait for one of them.
    pub queued: usize,
}

/// Why a run does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All threads are busy, and the queue is full.
    Full,
    /// There is no thread, and none could be started.
    NoThread(String),
    /// The worker ends.
    Closed,
}

impl Threads {
    /// No threads yet.
    pub fn new(spawn: Spawn) -> Threads {
        let shared = Shared { state: Mutex::default(), work: Condvar::new(), ended: Condvar::new() };
        Threads { shared: Arc::new(shared), spawn }
    }

    /// Has `task` done for `run`, on a thread that is free, or a new one, or the next one that will be free.
    pub fn begin(&self, limits: Limits, run: Arc<Run>, task: Task) -> Result<(), Refused> {
        let mut state = self.shared.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.free() <= state.queue.len() && state.threads < limits.threads {
            match self.start(Vec::new()) {
                Ok(()) => state.threads += 1,
                Err(reason) if state.threads == 0 => return Err(Refused::NoThread(reason.to_string())),
                // Those that there are have to do.
                Err(_) => {}
            }
        }
        // A client that has its response may ask again before the thread has put back what ran for it, which is no wait for a place.
        let waiting = (state.queue.len() + 1).saturating_sub(state.free() + state.ending());
        // Whoever has gone does not wait. Whoever waits for what is made ready is one that would have had that thread.
        if waiting > limits.queue + state.threads_preparing() && !state.forget_stopped() {
            return Err(Refused::Full);
        }
        state.queue.push_back((run, task));
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Starts a thread that does these tasks before it takes any run: for what is to be ready when the first ones come. Whether it
    /// does: not if there are threads already. If none can be started, the first run says so.
    pub fn prepare(&self, tasks: Vec<(Arc<Run>, Task)>) -> bool {
        let mut state = self.shared.state();
        if state.is_closed || state.threads > 0 || tasks.is_empty() {
            return false;
        }
        let runs = tasks.iter().map(|(run, _)| run.clone()).collect();
        if self.start(tasks).is_err() {
            return false;
        }
        state.threads += 1;
        state.preparing = runs;
        true
    }

    fn start(&self, first: Vec<(Arc<Run>, Task)>) -> std::io::Result<()> {
        let shared = self.shared.clone();
        let builder = thread::Builder::new().name("wasm program".into()).stack_size(STACK);
        (self.spawn)(builder, Box::new(move || shared.work(first))).map(drop)
    }

    /// Stops all runs, and waits for the threads to end, so long at most. How many have not: they are in a system call, or nobody
    /// moves the clock of their engines.
    pub fn close(&self, longest: Duration) -> usize {
        let until = Instant::now() + longest;
        let mut state = self.shared.state();
        state.is_closed = true;
        state.queue.drain(..).for_each(|(run, _)| run.end(Ending::Stopped));
        state.running.iter().chain(&state.preparing).for_each(|run| run.stop());
        self.shared.work.notify_all();
        while state.threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.threads
    }

    /// How busy they are.
    pub fn load(&self) -> Load {
        let state = self.shared.state();
        // A thread that has been woken up takes what waits, and nobody is told when it does. Nor is anybody told when it has put back
        // the instance of a program that has ended.
        let runs = state.running.len() - state.ending() + state.queue.len();
        let busy = runs.min(state.threads);
        Load { threads: state.threads, busy, queued: runs - busy }
    }

    /// How many threads there are, how many of them have nothing to do, and how many runs wait.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.shared.state();
        (state.threads, state.idle, state.queue.len())
    }
}

impl State {
    /// Threads that have nothing to do, or have been started and will take what there is.
    fn free(&self) -> usize {
        self.threads.saturating_sub(self.running.len() + self.threads_preparing())
    }

    /// Threads whose run has ended, and that will take the next one when they have put back its instance.
    fn ending(&self) -> usize {
        self.running.iter().filter(|run| run.has_ended()).count()
    }

    fn threads_preparing(&self) -> usize {
        usize::from(!self.preparing.is_empty())
    }

    /// Ends those in the queue for which nobody waits. Whether there were any.
    fn forget_stopped(&mut self) -> bool {
        let before = self.queue.len();
        self.queue.retain(|(run, _)| {
            let is_stopped = run.is_stopped();
            if is_stopped {
                run.end(Ending::Stopped);
            }
            !is_stopped
        });
        self.queue.len() < before
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does.
    fn work(&self, first: Vec<(Arc<Run>, Task)>) {
        let mut place = Place::default();
        if !first.is_empty() {
            for (run, task) in first {
                run.end(perform(&mut place, &run, task));
            }
            self.state().preparing.clear();
        }
        while let Some((run, task)) = self.next() {
            let ending = perform(&mut place, &run, task);
            let mut state = self.state();
            state.running.retain(|running| !Arc::ptr_eq(running, &run));
            drop(state);
            run.end(ending);
        }
        drop(place);
        self.state().threads -= 1;
        self.ended.notify_all();
    }

    /// What is to be done next. `None`: nothing any more.
    fn next(&self) -> Option<(Arc<Run>, Task)> {
        let mut state = self.state();
        state.idle += 1;
        loop {
            if let Some((run, task)) = state.queue.pop_front() {
                state.idle -= 1;
                state.running.push(run.clone());
                return Some((run, task));
            }
            if state.is_closed {
                state.idle -= 1;
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn perform(place: &mut Place, run: &Arc<Run>, task: Task) -> Ending {
    if run.is_stopped() {
        return Ending::Stopped;
    }
    // What a run leaves behind when the host fails in it is not used again.
    catch_unwind(AssertUnwindSafe(|| task(place, run))).unwrap_or_else(|_| {
        *place = Place::default();
        Ending::Host
    })
}

#[cfg(test)]
mod tests;
