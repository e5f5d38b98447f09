//! Time for futures: nginx's timers.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nginx_sys::{ngx_event_t, ngx_exiting, ngx_msec_t, ngx_quit};

use super::event::EventRef;
use super::plain::Plain;
use super::{cycle, executor};
use crate::nginx::guard::guard;

/// Whether a worker that shuts down waits for a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtExit {
    Wait,
    Leave,
}

thread_local! {
    /// Armed timers that a worker that shuts down waits for.
    static WAITED_FOR: RefCell<BTreeSet<*mut ngx_event_t>> = const { RefCell::new(BTreeSet::new()) };
    static HAS_LEFT: Cell<bool> = const { Cell::new(false) };
}

/// The worker has waited as long as it may (`worker_shutdown_timeout`): no timer holds it up any more. Nginx closes connections
/// then (src/core/ngx_cycle.c, ngx_shutdown_timer_handler), but a call may wait for something else, such as a name.
pub fn leave() {
    HAS_LEFT.set(true);
    for event in WAITED_FOR.with_borrow_mut(std::mem::take) {
        // SAFETY: timers are taken out before they go.
        unsafe { (*event).set_cancelable(1) };
    }
}

/// Whether the worker shuts down: what need not go on is not begun.
pub fn is_shutting_down() -> bool {
    // SAFETY: nginx sets the variables, in this thread.
    unsafe { ngx_exiting != 0 || ngx_quit != 0 }
}

/// A future that is ready after some time.
pub struct Sleep(Rc<Inner>);

struct Inner {
    /// Nginx changes it while the timer is set.
    event: UnsafeCell<ngx_event_t>,
    delay: ngx_msec_t,
    is_armed: Cell<bool>,
    has_fired: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Inner {
    fn event(&self) -> EventRef<'_> {
        // SAFETY: the event stays in its place until the future is dropped, which disarms it.
        unsafe { EventRef::from_ptr(self.event.get()) }
    }
}

/// Ready after `duration`, counted from the first poll.
pub fn sleep(duration: Duration, at_exit: AtExit) -> Sleep {
    // Nginx compares times by their difference, so half of the range is the longest; a month is long enough.
    const LONGEST: u128 = 30 * 24 * 3600 * 1000;
    let mut event = ngx_event_t::zeros();
    event.handler = Some(on_event);
    event.set_cancelable((at_exit == AtExit::Leave).into());
    Sleep(Rc::new(Inner {
        event: UnsafeCell::new(event),
        delay: duration.as_millis().min(LONGEST) as ngx_msec_t,
        is_armed: Cell::new(false),
        has_fired: Cell::new(false),
        waker: Cell::new(None),
    }))
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &self.0;
        if inner.has_fired.get() {
            return Poll::Ready(());
        }
        inner.waker.set(Some(cx.waker().clone()));
        if !inner.is_armed.get() && !executor::is_over() {
            inner.is_armed.set(true);
            let event = inner.event();
            event.prepare(Rc::as_ptr(inner).cast(), cycle::log());
            if HAS_LEFT.get() {
                event.set_cancelable(true);
            } else if !event.is_cancelable() {
                WAITED_FOR.with_borrow_mut(|events| events.insert(event.as_ptr()));
            }
            event.arm(inner.delay);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let event = self.0.event();
        if self.0.is_armed.get() && !event.is_cancelable() {
            WAITED_FOR.with_borrow_mut(|events| events.remove(&event.as_ptr()));
        }
        if !executor::is_over() {
            event.disarm();
        }
    }
}

unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: nginx calls the handler of an armed timer, whose future is there.
        let inner = unsafe { &*(*event).data.cast::<Inner>() };
        inner.has_fired.set(true);
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    });
}

/// The time was up.
pub struct Elapsed;

/// Runs `future` for `duration` at most. Those who have a large one pin it and keep it in its place.
pub async fn timeout<F: Future + Unpin>(
    duration: Duration,
    at_exit: AtExit,
    mut future: F,
) -> Result<F::Output, Elapsed> {
    let mut sleep = sleep(duration, at_exit);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
