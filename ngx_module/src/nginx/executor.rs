//! Runs futures on nginx's event loop. A future that is woken is put into a queue, and one posted event of nginx empties
//! it, so nothing is polled while nginx or a guest is in the middle of something.
//!
//! There is one thread: wakers are called by events of nginx and by other futures, never from outside.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::future::Future;

use async_task::Runnable;
use nginx_sys::ngx_event_t;

use super::cycle;
use super::event::EventRef;
use super::guard::guard;
use super::plain::Plain;

/// How many steps of futures run before other events of nginx have their turn.
const STEPS: usize = 512;

/// The queue of this process' one thread. It is never dropped: futures hold parts of nginx, which has gone when a process
/// drops what is left.
struct Executor {
    queue: RefCell<VecDeque<Runnable>>,
    event: UnsafeCell<ngx_event_t>,
    /// Nginx has begun to handle events.
    is_looping: Cell<bool>,
    /// The process ends: nothing of nginx may be touched any more.
    is_over: Cell<bool>,
}

thread_local! {
    static EXECUTOR: &'static Executor = Box::leak(Box::new(Executor {
        queue: RefCell::new(VecDeque::new()),
        event: UnsafeCell::new(ngx_event_t { handler: Some(on_event), ..ngx_event_t::zeros() }),
        is_looping: Cell::new(false),
        is_over: Cell::new(false),
    }));
}

/// Runs a future to its end, or until the task is dropped.
#[must_use = "a task that is dropped ends; detach it to let it run"]
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> async_task::Task<T> {
    let (runnable, task) = async_task::spawn_local(future, schedule);
    runnable.schedule();
    task
}

/// Whether the process ends. What is dropped from then on leaves nginx alone.
pub fn is_over() -> bool {
    EXECUTOR.with(|executor| executor.is_over.get())
}

/// Nothing runs any more in this process.
pub fn end() {
    EXECUTOR.with(|executor| executor.is_over.set(true));
}

fn schedule(runnable: Runnable) {
    EXECUTOR.with(|executor| {
        executor.queue.borrow_mut().push_back(runnable);
        executor.post();
    });
}

impl Executor {
    fn post(&self) {
        if self.is_over.get() {
            return;
        }
        // SAFETY: the event is never dropped and belongs to this thread.
        let event = unsafe { EventRef::from_ptr(self.event.get()) };
        if event.is_posted() {
            return;
        }
        event.prepare(event.as_ptr().cast(), cycle::log());
        // Before nginx handles events, the list for the next round is the one that it looks at first (src/event/ngx_event.c,
        // ngx_process_events_and_timers).
        if self.is_looping.get() { event.post() } else { event.post_for_next_round() }
    }
}

unsafe extern "C" fn on_event(_: *mut ngx_event_t) {
    EXECUTOR.with(|executor| {
        executor.is_looping.set(true);
        for _ in 0..STEPS {
            let Some(runnable) = executor.queue.borrow_mut().pop_front() else { return };
            // A future that panics ends, and the others go on.
            guard((), || {
                runnable.run();
            });
        }
        // Others first.
        executor.is_looping.set(false);
        executor.post();
        executor.is_looping.set(true);
    });
}
