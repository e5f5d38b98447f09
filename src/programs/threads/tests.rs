//! Threads of a worker: how many there are, who gets one, and how they end.

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

/// The same, of which the run has ended before: what it leaves is still to be put back.
fn putting_back(begun: &mpsc::Sender<()>) -> (Task, mpsc::Sender<()>) {
    let (rest, go) = waiting(begun);
    let task = move |place: &mut Place, run: &Arc<Run>| {
        run.end(Ending::Done);
        rest(place, run)
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
    let (task, go) = putting_back(&begun);
    threads.begin(Limits { threads: 4, queue: 0 }, run(), task).unwrap();
    has_begun.recv_timeout(BOUND).unwrap();
    assert_eq!(threads.load(), Load { threads: 1, busy: 0, queued: 0 });
    assert_eq!(threads.counts(), (1, 0, 0));
    go.send(()).unwrap();
    threads.close(BOUND);
}

#[test]
fn a_run_may_wait_without_a_queue_for_a_thread_whose_program_has_ended() {
    let threads = threads();
    let limits = Limits { threads: 1, queue: 0 };
    let (begun, has_begun) = mpsc::channel();
    let (task, go) = putting_back(&begun);
    threads.begin(limits, run(), task).unwrap();
    has_begun.recv_timeout(BOUND).unwrap();
    let (task, next) = waiting(&begun);
    threads.begin(limits, run(), task).unwrap();
    // One, and no more.
    let (task, _go) = waiting(&begun);
    assert_eq!(threads.begin(limits, run(), task), Err(Refused::Full));
    go.send(()).unwrap();
    has_begun.recv_timeout(BOUND).unwrap();
    let (task, _go) = waiting(&begun);
    assert_eq!(threads.begin(limits, run(), task), Err(Refused::Full));
    next.send(()).unwrap();
    assert_eq!(threads.close(BOUND), 0);
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
