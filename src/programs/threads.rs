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
        let waiting = (state.queue.len() + 1).saturating_sub(state.free());
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
        let runs = state.running.iter().filter(|run| !run.has_ended()).count() + state.queue.len();
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::programs::bell::Bell;

    const BOUND: Duration = Duration::from_secs(60);

    fn threads() -> Threads {
        Threads::new(|builder, work| builder.spawn(work))
    }

    fn run() -> Arc<Run> {
        Run::new(Arc::new(Bell::new().unwrap()), 1)
    }

    /// A task that says that it has begun, and goes on when it is told to.
    fn waiting(begun: &mpsc::Sender<()>) -> (Task, mpsc::Sender<()>) {
        let (go, wait) = mpsc::channel();
        let begun = begun.clone();
        let task = move |_: &mut Place, _: &Arc<Run>| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            Ending::Done
        };
        (Box::new(task), go)
    }

    #[test]
    fn there_are_as_many_threads_as_are_needed_and_allowed() {
        let threads = threads();
        let limits = Limits { threads: 2, queue: 1 };
        let (begun, has_begun) = mpsc::channel();
        let mut gos = Vec::new();
        for _ in 0..2 {
            let (task, go) = waiting(&begun);
            threads.begin(limits, run(), task).unwrap();
            has_begun.recv_timeout(BOUND).unwrap();
            gos.push(go);
        }
        assert_eq!(threads.counts(), (2, 0, 0));
        let (task, go) = waiting(&begun);
        threads.begin(limits, run(), task).unwrap();
        gos.push(go);
        let (task, _go) = waiting(&begun);
        assert_eq!(threads.begin(limits, run(), task), Err(Refused::Full));
        assert_eq!(threads.load(), Load { threads: 2, busy: 2, queued: 1 });
        for go in &gos {
            go.send(()).unwrap();
        }
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.close(BOUND), 0);
        assert_eq!(threads.counts(), (0, 0, 0));
    }

    #[test]
    fn a_thread_that_has_nothing_to_do_takes_the_next_run() {
        let threads = threads();
        let limits = Limits { threads: 4, queue: 0 };
        for _ in 0..20 {
            let (sender, receiver) = mpsc::channel();
            let task = move |_: &mut Place, _: &Arc<Run>| {
                sender.send(()).unwrap();
                Ending::Done
            };
            threads.begin(limits, run(), Box::new(task)).unwrap();
            receiver.recv_timeout(BOUND).unwrap();
            while threads.counts().1 == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(threads.counts().0, 1);
        assert_eq!(threads.load(), Load { threads: 1, busy: 0, queued: 0 });
        threads.close(BOUND);
    }

    #[test]
    fn a_thread_whose_program_has_ended_is_not_busy() {
        let threads = threads();
        let (begun, has_begun) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let task = move |_: &mut Place, run: &Arc<Run>| {
            run.end(Ending::Done);
            begun.send(()).unwrap();
            wait.recv().unwrap();
            Ending::Done
        };
        threads.begin(Limits { threads: 4, queue: 0 }, run(), Box::new(task)).unwrap();
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.load(), Load { threads: 1, busy: 0, queued: 0 });
        assert_eq!(threads.counts(), (1, 0, 0));
        go.send(()).unwrap();
        threads.close(BOUND);
    }

    #[test]
    fn without_a_queue_there_is_room_for_as_many_as_there_are_threads() {
        let threads = threads();
        let limits = Limits { threads: 3, queue: 0 };
        let (begun, _has_begun) = mpsc::channel();
        let mut gos = Vec::new();
        // At once: none of the threads has come to take its run.
        for _ in 0..3 {
            let (task, go) = waiting(&begun);
            threads.begin(limits, run(), task).unwrap();
            gos.push(go);
        }
        let (task, _go) = waiting(&begun);
        assert_eq!(threads.begin(limits, run(), task), Err(Refused::Full));
        gos.iter().for_each(|go| go.send(()).unwrap());
        threads.close(BOUND);
    }

    #[test]
    fn what_is_made_ready_takes_no_place_of_requests() {
        let threads = threads();
        let limits = Limits { threads: 2, queue: 0 };
        let (begun, has_begun) = mpsc::channel();
        let (first, ready) = waiting(&begun);
        let (second, second_ready) = waiting(&begun);
        assert!(threads.prepare(vec![(run(), first), (run(), second)]));
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.load(), Load { threads: 1, busy: 0, queued: 0 });
        // One has a thread of its own, and another one waits, although there is no queue.
        let mut gos = Vec::new();
        for _ in 0..2 {
            let (task, go) = waiting(&begun);
            threads.begin(limits, run(), task).unwrap();
            gos.push(go);
        }
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.counts(), (2, 0, 1));
        let (task, _go) = waiting(&begun);
        assert_eq!(threads.begin(limits, run(), task), Err(Refused::Full));
        ready.send(()).unwrap();
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.counts(), (2, 0, 1), "one task has been done, not all");
        second_ready.send(()).unwrap();
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.load(), Load { threads: 2, busy: 2, queued: 0 });
        gos.iter().for_each(|go| go.send(()).unwrap());
        assert_eq!(threads.close(BOUND), 0);
    }

    #[test]
    fn what_is_made_ready_is_there_for_the_first_run() {
        let threads = threads();
        let prepared: Task = Box::new(|place, _| {
            place.keep(7, 42_u32);
            Ending::Done
        });
        assert!(threads.prepare(vec![(run(), prepared)]));
        let (sender, receiver) = mpsc::channel();
        let task = move |place: &mut Place, _: &Arc<Run>| {
            sender.send(place.take::<u32>(7)).unwrap();
            Ending::Done
        };
        threads.begin(Limits { threads: 1, queue: 0 }, run(), Box::new(task)).unwrap();
        assert_eq!(receiver.recv_timeout(BOUND).unwrap(), Some(42));
        assert!(!threads.prepare(vec![(run(), Box::new(|_, _| Ending::Done))]), "requests come already");
        threads.close(BOUND);
    }

    #[test]
    fn a_worker_that_ends_does_not_make_ready_any_more() {
        let threads = threads();
        let (begun, has_begun) = mpsc::channel();
        let busy: Task = Box::new(move |_, run| {
            begun.send(()).unwrap();
            while !run.is_stopped() {
                thread::yield_now();
            }
            Ending::Stopped
        });
        let next = run();
        assert!(threads.prepare(vec![(run(), busy), (next.clone(), Box::new(|_, _| Ending::Done))]));
        has_begun.recv_timeout(BOUND).unwrap();
        assert_eq!(threads.close(BOUND), 0);
        assert_eq!(next.look(true).ending, Some(Ending::Stopped));
    }

    #[test]
    fn those_that_nobody_waits_for_give_up_their_place_in_the_queue() {
        let threads = threads();
        let limits = Limits { threads: 1, queue: 1 };
        let (begun, has_begun) = mpsc::channel();
        let (task, go) = waiting(&begun);
        threads.begin(limits, run(), task).unwrap();
        has_begun.recv_timeout(BOUND).unwrap();
        let gone = run();
        let (task, _go) = waiting(&begun);
        threads.begin(limits, gone.clone(), task).unwrap();
        gone.stop();
        let (task, next) = waiting(&begun);
        threads.begin(limits, run(), task).unwrap();
        assert_eq!(gone.look(true).ending, Some(Ending::Stopped));
        go.send(()).unwrap();
        next.send(()).unwrap();
        has_begun.recv_timeout(BOUND).unwrap();
        threads.close(BOUND);
    }

    #[test]
    fn a_host_that_fails_ends_the_run_and_not_the_thread() {
        let threads = threads();
        let limits = Limits { threads: 1, queue: 1 };
        let failing = run();
        threads.begin(limits, failing.clone(), Box::new(|_, _| panic!("on purpose"))).unwrap();
        let done = run();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let task = move |_: &mut Place, _: &Arc<Run>| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ending::Done
        };
        threads.begin(limits, done.clone(), Box::new(task)).unwrap();
        let ending = loop {
            if let Some(ending) = done.look(true).ending {
                break ending;
            }
            thread::yield_now();
        };
        assert_eq!((ending, count.load(Ordering::SeqCst)), (Ending::Done, 1));
        assert_eq!(failing.look(true).ending, Some(Ending::Host));
        assert_eq!(threads.close(BOUND), 0);
    }

    #[test]
    fn nothing_begins_when_the_worker_ends() {
        let threads = threads();
        let limits = Limits { threads: 1, queue: 8 };
        let (begun, has_begun) = mpsc::channel();
        let running = run();
        let task = move |_: &mut Place, run: &Arc<Run>| {
            begun.send(()).unwrap();
            while !run.is_stopped() {
                thread::yield_now();
            }
            Ending::Stopped
        };
        threads.begin(limits, running, Box::new(task)).unwrap();
        has_begun.recv_timeout(BOUND).unwrap();
        let queued = run();
        threads.begin(limits, queued.clone(), Box::new(|_, _| Ending::Done)).unwrap();
        assert_eq!(threads.close(BOUND), 0);
        assert_eq!(queued.look(true).ending, Some(Ending::Stopped));
        assert_eq!(threads.begin(limits, run(), Box::new(|_, _| Ending::Done)), Err(Refused::Closed));
    }
}
