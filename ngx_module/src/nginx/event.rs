//! An event of nginx that this module owns, about a request: it can be posted, and has a timer. It is disarmed when it is dropped.

use std::cell::UnsafeCell;

use nginx_sys::{
    ngx_add_timer, ngx_del_timer, ngx_delete_posted_event, ngx_event_t, ngx_http_run_posted_requests, ngx_msec_t,
    ngx_post_event, ngx_posted_events,
};

use super::after::After;
use super::guard::guard;
use super::pool::Kept;
use super::request::HttpRequest;

/// What is kept of a request, and has events.
pub trait AboutRequest {
    /// That one.
    fn r(&self) -> HttpRequest<'_>;
}

/// What an event does: it is told whether its time was up, and says what is to come after it.
pub type Deed<T> = for<'a> fn(&'a T, bool) -> After<'a>;

/// An event about the request of a `T`, which owns it.
pub struct Event<T>(Box<Armed<T>>);

struct Armed<T> {
    /// Nginx changes it while it is armed.
    event: UnsafeCell<ngx_event_t>,
    about: Kept<T>,
    deed: Deed<T>,
}

impl<T: AboutRequest> Event<T> {
    /// An event that nobody has armed. `about` owns it, or something that goes before it.
    pub fn new(about: Kept<T>, deed: Deed<T>) -> Event<T> {
        // SAFETY: an event of zeros is one that nobody has armed.
        let mut event = unsafe { std::mem::zeroed::<ngx_event_t>() };
        event.handler = Some(on_event::<T>);
        event.log = about.r().log().as_ptr();
        let mut armed = Box::new(Armed { event: UnsafeCell::new(event), about, deed });
        let data = &raw mut *armed;
        armed.event.get_mut().data = data.cast();
        Event(armed)
    }
}

impl<T> Event<T> {
    fn as_ptr(&self) -> *mut ngx_event_t {
        self.0.event.get()
    }

    /// Has its deed done after `delay` milliseconds. One that is armed keeps its time.
    pub fn arm(&self, delay: ngx_msec_t) {
        // SAFETY: the box keeps the event in its place until `drop` disarms it.
        unsafe {
            if (*self.as_ptr()).timer_set() == 0 {
                ngx_add_timer(self.as_ptr(), delay);
            }
        }
    }

    /// Takes the timer back.
    pub fn disarm(&self) {
        // SAFETY: as above; nginx knows a timer that is set.
        unsafe {
            if (*self.as_ptr()).timer_set() != 0 {
                ngx_del_timer(self.as_ptr());
            }
        }
    }

    /// Has its deed done when nginx is done with what it does now.
    pub fn post(&self) {
        // SAFETY: as above; the queue is nginx's own.
        unsafe {
            if (*self.as_ptr()).posted() == 0 {
                ngx_post_event(self.as_ptr(), &raw mut ngx_posted_events);
            }
        }
    }
}

impl<T> Drop for Event<T> {
    fn drop(&mut self) {
        self.disarm();
        // SAFETY: as above; nginx knows an event that is posted.
        unsafe {
            if (*self.as_ptr()).posted() != 0 {
                ngx_delete_posted_event(self.as_ptr());
            }
        }
    }
}

unsafe extern "C" fn on_event<T: AboutRequest>(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an event that is armed or posted, and so there, with what owns it. Its connection is there
    // when its request has gone, as far as nginx looks at it then (src/http/ngx_http_request.c, ngx_http_run_posted_requests).
    guard((), || unsafe {
        let is_timeout = (*event).timedout() != 0;
        (*event).set_timedout(0);
        let armed = (*event).data.cast::<Armed<T>>();
        let (about, deed) = ((*armed).about, (*armed).deed);
        let c = about.r().connection().as_ptr();
        deed(&about, is_timeout).run();
        ngx_http_run_posted_requests(c);
    });
}
