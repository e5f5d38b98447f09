//! The threads of programs in this worker, and how they wake up nginx's loop. `content/program` asks for them; `module.rs` ends them with
//! the worker.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use ngx_wasm::programs::{Bell, Limits, Load, Refused, Run, Task, Threads};

use crate::nginx::channel::{Channel, Unwatched};
use crate::nginx::cycle;
use crate::process::engine;
use crate::process::status::{self, ThreadCounts};

/// A worker that ends waits so long for threads, which end within a tick unless they are in a system call.
const LONGEST_END: Duration = Duration::from_secs(2);

/// What wakes up whoever a token belongs to.
type Wake = fn(usize);

struct Worker {
    bell: Arc<Bell>,
    threads: Threads,
    wake: Wake,
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// A run that has not begun. What there is to know of it, `wake` is told with this token.
pub fn new_run(token: usize, wake: Wake) -> Result<Arc<Run>, String> {
    WORKER.with_borrow_mut(|worker| {
        let worker = match worker {
            Some(worker) => worker,
            none => none.insert(begin(wake)?),
        };
        Ok(Run::new(worker.bell.clone(), token))
    })
}

fn begin(wake: Wake) -> Result<Worker, String> {
    let bell = Bell::new().map_err(|err| format!("no pipe: {err}"))?;
    Channel::open(bell.end(), on_bell).map_err(|err| match err {
        Unwatched::NoConnection => "nginx has no connection left (worker_connections)",
        Unwatched::CannotWatch => "nginx cannot wait for a pipe",
    })?;
    let threads = Threads::new(|builder, work| engine::without_signals_of_nginx(|| builder.spawn(work)));
    Ok(Worker { bell: Arc::new(bell), threads, wake })
}

/// Has a task done for a run, on a thread.
pub fn run(limits: Limits, run: Arc<Run>, task: Task) -> Result<(), Refused> {
    WORKER.with_borrow(|worker| match worker {
        Some(worker) => {
            let begun = worker.threads.begin(limits, run, task);
            show(&worker.threads);
            begun
        }
        None => Err(Refused::Closed),
    })
}

/// Has a thread do these tasks, and be there for requests behind that. Whether it does.
pub fn prepare(tasks: Vec<(Arc<Run>, Task)>) -> bool {
    WORKER.with_borrow(|worker| {
        worker.as_ref().is_some_and(|worker| {
            let is_begun = worker.threads.prepare(tasks);
            show(&worker.threads);
            is_begun
        })
    })
}

fn on_bell(channel: Channel) {
    let (tokens, wake) = WORKER.with_borrow(|worker| match worker {
        Some(worker) => (worker.bell.take(), Some(worker.wake)),
        None => (Vec::new(), None),
    });
    if channel.wait().is_err() {
        cycle::log().error("wasm: nginx cannot wait for a pipe any more: programs are not heard of");
    }
    if let Some(wake) = wake {
        tokens.into_iter().for_each(wake);
    }
    // Behind that: whose end was not seen rings once more.
    WORKER.with_borrow(|worker| worker.iter().for_each(|worker| show(&worker.threads)));
}

/// Has the status say how busy the threads are.
fn show(threads: &Threads) {
    let Load { threads, busy, queued } = threads.load();
    status::set_threads(ThreadCounts { threads: threads as u64, busy: busy as u64, queued: queued as u64 });
}

/// The worker ends: so do all programs.
pub fn leave() {
    let Some(worker) = WORKER.with_borrow_mut(Option::take) else { return };
    let left = worker.threads.close(LONGEST_END);
    if left > 0 {
        cycle::log().error(format!("wasm: {left} thread(s) of programs do not end, and are left to themselves"));
    }
}
