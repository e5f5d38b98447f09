//! What wakes a process up while it waits for events: a pipe that nginx reads from ([`Channel`]), and an event of its own
//! ([`Later`]). Both are there as long as the process.

use std::cell::UnsafeCell;
use std::os::fd::RawFd;

use nginx_sys::{ngx_connection_t, ngx_event_t, ngx_get_connection};

use super::connection::{CannotWatch, Connection};
use super::cycle;
use super::event::EventRef;
use super::guard::guard;
use super::plain::Plain;

/// The end of a pipe that nginx has a connection for.
#[derive(Clone, Copy)]
pub struct Channel {
    c: Connection<'static>,
    heard: fn(Channel),
}

/// Why nginx does not look at a channel.
pub enum Unwatched {
    /// It has no connection left, and has said so.
    NoConnection,
    CannotWatch,
}

impl Channel {
    /// Has `heard` called when something has come. Nginx closes idle connections of a worker that shuts down, but not channels, as
    /// this is one (src/os/unix/ngx_process_cycle.c).
    pub fn open(end: RawFd, heard: fn(Channel)) -> Result<(), Unwatched> {
        let log = cycle::log().as_ptr();
        // SAFETY: the log is that of the cycle. Nginx has a connection for the end, whatever that is, or says that it has none.
        let c = unsafe { ngx_get_connection(end, log) };
        if c.is_null() {
            return Err(Unwatched::NoConnection);
        }
        // SAFETY: the connection belongs to this process until it ends.
        let channel = Channel { c: unsafe { Connection::from_ptr(c) }, heard };
        for (event, handler) in [(channel.c.read(), Some(on_read as _)), (channel.c.write(), None)] {
            // SAFETY: a connection has both events, and nobody has a reference to them.
            let event = unsafe { &mut *event.as_ptr() };
            (event.log, event.handler) = (log, handler.or(event.handler));
            event.set_channel(1);
        }
        // SAFETY: the connection is this one's.
        unsafe { (*c).data = Box::into_raw(Box::new(channel)).cast() };
        channel.c.watch_read().map_err(|CannotWatch| Unwatched::CannotWatch)
    }
    /// All that had come has been read. Nginx tells of what comes next.
    pub fn wait(self) -> Result<(), CannotWatch> {
        self.c.read().set_ready(false);
        self.c.watch_read()
    }
}

unsafe extern "C" fn on_read(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: nginx calls this with an event of a connection, whose data `open` has set.
        let channel = unsafe { *(*(*event).data.cast::<ngx_connection_t>()).data.cast::<Channel>() };
        (channel.heard)(channel);
    });
}

/// Something to be done after what a process does now.
#[derive(Clone, Copy)]
pub struct Later(&'static Posted);

struct Posted {
    event: UnsafeCell<ngx_event_t>,
    deed: fn(),
}

impl Later {
    /// Made once in a process.
    pub fn new(deed: fn()) -> Later {
        let event = ngx_event_t { handler: Some(on_event), ..ngx_event_t::zeros() };
        Later(Box::leak(Box::new(Posted { event: UnsafeCell::new(event), deed })))
    }

    /// Has it done in the next round of events.
    pub fn post(self) {
        // SAFETY: the event is never dropped.
        let event = unsafe { EventRef::from_ptr(self.0.event.get()) };
        if !event.is_posted() {
            event.prepare(std::ptr::from_ref(self.0).cast(), cycle::log());
            event.post_for_next_round();
        }
    }
}

unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: `post` has set the data.
        let deed = unsafe { (*(*event).data.cast::<Posted>()).deed };
        deed();
    });
}
