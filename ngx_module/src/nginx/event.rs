//! Events of nginx: a handle of one ([`EventRef`]), and one that this module owns, about a request ([`Event`]): it can be posted,
//! and has a timer. It is disarmed when it is dropped.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{
    ngx_add_timer, ngx_del_timer, ngx_delete_posted_event, ngx_event_t, ngx_http_run_posted_requests, ngx_msec_t,
    ngx_post_event, ngx_posted_events, ngx_posted_next_events,
};

use super::after::After;
use super::bits::bits;
use super::guard::guard;
use super::log::Log;
use super::plain::Plain;
use super::pool::Kept;
use super::request::HttpRequest;

/// An event that is there as long as `'e`, and not armed or posted any more when it goes.
#[derive(Clone, Copy)]
pub struct EventRef<'e>(NonNull<ngx_event_t>, PhantomData<&'e Cell<()>>);

impl EventRef<'_> {
    /// # Safety
    /// `event` is an event that is there as long as the handle. Whoever owns it disarms it, and takes it out of the queue, before
    /// it goes.
    pub unsafe fn from_ptr(event: *mut ngx_event_t) -> Self {
        // SAFETY: an event is not at null.
        EventRef(unsafe { NonNull::new_unchecked(event) }, PhantomData)
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_event_t {
        self.0.as_ptr()
    }

    bits! {
        get has_timer: timer_set;
        get is_posted: posted;
        get is_ready: ready;
        set set_ready: set_ready;
        get is_eof: eof;
        get is_error: error;
        get is_delayed: delayed;
        set set_delayed: set_delayed;
        get is_cancelable: cancelable;
        set set_cancelable: set_cancelable;
        get is_timed_out: timedout;
        set set_timed_out: set_timedout;
    }

    /// Says what its handler finds as data, and where nginx logs what it says of it.
    pub(super) fn prepare(self, data: *const c_void, log: Log<'_>) {
        // SAFETY: the event is there, and nobody has a reference to it.
        let event = unsafe { &mut *self.as_ptr() };
        (event.data, event.log) = (data.cast_mut(), log.as_ptr());
    }

    /// Has nginx call its handler after `delay` milliseconds. One that is armed keeps its time.
    pub fn arm(self, delay: ngx_msec_t) {
        if !self.has_timer() {
            // SAFETY: whoever owns the event disarms it before it goes.
            unsafe { ngx_add_timer(self.as_ptr(), delay) };
        }
    }

    /// Takes the timer back, if there is one.
    pub fn disarm(self) {
        if self.has_timer() {
            // SAFETY: nginx has it among its timers.
            unsafe { ngx_del_timer(self.as_ptr()) };
        }
    }

    /// Has nginx call its handler when it is done with what it does.
    pub fn post(self) {
        if !self.is_posted() {
            // SAFETY: the queue is nginx's own, and whoever owns the event takes it out of that before it goes.
            unsafe { ngx_post_event(self.as_ptr(), &raw mut ngx_posted_events) };
        }
    }

    /// Has nginx call its handler when it has waited for other events, or before it does so for the first time.
    pub(super) fn post_for_next_round(self) {
        if !self.is_posted() {
            // SAFETY: the queue is nginx's own, and whoever owns the event takes it out of that before it goes.
            unsafe { ngx_post_event(self.as_ptr(), &raw mut ngx_posted_next_events) };
        }
    }

    /// Takes it out of the queue, if it is there.
    pub fn unpost(self) {
        if self.is_posted() {
            // SAFETY: nginx has it in a queue.
            unsafe { ngx_delete_posted_event(self.as_ptr()) };
        }
    }
}

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
        let mut event = ngx_event_t::zeros();
        event.handler = Some(on_event::<T>);
        event.log = about.r().log().as_ptr();
        let mut armed = Box::new(Armed { event: UnsafeCell::new(event), about, deed });
        let data = &raw mut *armed;
        armed.event.get_mut().data = data.cast();
        Event(armed)
    }
}

impl<T> Event<T> {
    fn event(&self) -> EventRef<'_> {
        // SAFETY: the box keeps the event in its place until `drop` disarms it.
        unsafe { EventRef::from_ptr(self.0.event.get()) }
    }

    /// Has its deed done after `delay` milliseconds. One that is armed keeps its time.
    pub fn arm(&self, delay: ngx_msec_t) {
        self.event().arm(delay);
    }

    /// Takes the timer back.
    pub fn disarm(&self) {
        self.event().disarm();
    }

    /// Has its deed done when nginx is done with what it does now.
    pub fn post(&self) {
        self.event().post();
    }

    /// Has its deed done when nginx has looked after other events.
    pub fn post_for_next_round(&self) {
        self.event().post_for_next_round();
    }
}

impl<T> Drop for Event<T> {
    fn drop(&mut self) {
        self.disarm();
        self.event().unpost();
    }
}

unsafe extern "C" fn on_event<T: AboutRequest>(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: nginx calls the handler of an event that is armed or posted, and so there.
        let event = unsafe { EventRef::from_ptr(event) };
        let is_timeout = event.is_timed_out();
        event.set_timed_out(false);
        // SAFETY: the event lies in what `new` has made, which is there as long as it.
        let armed = unsafe { &*(*event.as_ptr()).data.cast::<Armed<T>>() };
        let (about, deed) = (armed.about, armed.deed);
        let c = about.r().connection().as_ptr();
        let after = deed(&about, is_timeout);
        // SAFETY: nobody uses a handle of the request behind this.
        unsafe { after.run() };
        // SAFETY: the connection is there when its request has gone, as far as nginx looks at it then
        // (src/http/ngx_http_request.c, ngx_http_run_posted_requests).
        unsafe { ngx_http_run_posted_requests(c) };
    });
}
