//! A connection of nginx as `hyper` wants one: bytes in and out, pending when there are none. `connect.rs` makes them,
//! `tls.rs` has them encrypted.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use nginx_sys::{
    ngx_close_connection, ngx_connection_t, ngx_destroy_pool, ngx_event_t, ngx_handle_read_event,
    ngx_handle_write_event,
};

use ngx_wasm::net::verbatim::{Swap, Verbatim};

use super::tls;
use super::words::Words;
use crate::nginx::guard::guard;
use crate::nginx::rc;
use crate::nginx::{executor, timer};

/// How much a connection may say while nobody asks, in bytes. What was under way when a call was cancelled fits; more is a
/// peer that keeps the worker busy for nothing, and such a connection is closed.
const UNASKED: usize = 1 << 20;

/// An open connection; closed when it is dropped.
pub struct Connection(pub(super) Rc<Shared>);

/// What the handlers of nginx and the owner of a connection both know.
pub(super) struct Shared {
    /// Null once it is closed.
    pub c: Cell<*mut ngx_connection_t>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
    /// Nginx wants idle connections closed, because the worker shuts down.
    is_unwanted: Cell<bool>,
    /// What has come while it was idle.
    unasked: Cell<usize>,
    /// Bytes of the next head that `hyper` cannot hold.
    verbatim: RefCell<Verbatim>,
    /// A piece with such bytes in it that has been taken, and how much of it has left.
    rewritten: RefCell<(Vec<u8>, usize)>,
    /// The log of the connection: why something failed.
    pub words: Box<Words>,
}

/// A look at a connection that somebody else owns.
#[derive(Clone)]
pub struct Handle(Weak<Shared>);

thread_local! {
    /// All open connections, for the end of the process.
    static OPEN: RefCell<Vec<Weak<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// Closes all connections: the worker ends.
pub fn close_all() {
    let open = OPEN.with_borrow_mut(std::mem::take);
    for shared in open.iter().filter_map(Weak::upgrade) {
        shared.close();
    }
}

fn register(shared: &Rc<Shared>) {
    OPEN.with_borrow_mut(|open| {
        // Those that have been closed are dropped each time the list would grow.
        if open.len() == open.capacity() {
            open.retain(|shared| shared.strong_count() > 0);
        }
        open.push(Rc::downgrade(shared));
    });
}

impl Connection {
    /// Takes a connection over.
    ///
    /// # Safety
    /// `c` is open, nobody else uses it, and `words` is its log.
    pub(super) unsafe fn new(c: *mut ngx_connection_t, words: Box<Words>) -> Connection {
        let shared = Rc::new(Shared {
            c: Cell::new(c),
            reader: RefCell::new(None),
            writer: RefCell::new(None),
            is_unwanted: Cell::new(false),
            unasked: Cell::new(0),
            verbatim: RefCell::default(),
            rewritten: RefCell::default(),
            words,
        });
        register(&shared);
        // SAFETY: the data of the connection is there until `close` has taken the connection from nginx.
        unsafe {
            (*c).data = Rc::as_ptr(&shared).cast_mut().cast();
            shared.take_events();
        }
        Connection(shared)
    }

    /// Sends all of `bytes`.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| Pin::new(&mut *self).poll_write(cx, bytes)).await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Appends what has come to `bytes`, and says how much that is; 0 is the end.
    pub async fn read_some(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let mut room = [0; 4096];
        let mut buffer = ReadBuf::new(&mut room);
        poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, buffer.unfilled())).await?;
        bytes.extend_from_slice(buffer.filled());
        Ok(buffer.filled().len())
    }

    /// Whether nginx wants it closed, because the worker shuts down.
    pub(super) fn is_unwanted(&self) -> bool {
        self.0.is_unwanted.get()
    }

    /// For those that want to say whether it is idle.
    pub fn handle(&self) -> Handle {
        Handle(Rc::downgrade(&self.0))
    }

    /// Whether the other end has said nothing, and not gone either.
    pub fn is_quiet(&self) -> bool {
        let c = self.0.c.get();
        // SAFETY: an open connection has its events.
        !c.is_null() && !self.0.is_unwanted.get() && unsafe { (*(*c).read).ready() == 0 && (*(*c).read).eof() == 0 }
    }

    /// Ready once there is room to write, or the connection attempt has ended.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let c = self.0.c.get();
        // SAFETY: an open connection has its events.
        if c.is_null() || self.0.is_unwanted.get() || unsafe { (*(*c).write).ready() != 0 } {
            return Poll::Ready(());
        }
        remember(&self.0.writer, cx);
        Poll::Pending
    }
}

impl Handle {
    /// Says whether the connection waits for its next use. A worker that shuts down closes those
    /// (src/core/ngx_connection.c, ngx_close_idle_connections).
    pub fn set_idle(&self, is_idle: bool) {
        if let Some(shared) = self.0.upgrade() {
            shared.unasked.set(0);
            let c = shared.c.get();
            if !c.is_null() {
                // SAFETY: the connection is open.
                unsafe { (*c).set_idle(is_idle.into()) };
            }
        }
    }

    /// The head that is to be sent next has these changes.
    pub fn expect(&self, swaps: Vec<Swap>) {
        if let Some(shared) = self.0.upgrade() {
            shared.verbatim.borrow_mut().expect(swaps);
        }
    }

    /// Whether it has not been closed yet.
    pub fn is_open(&self) -> bool {
        self.0.upgrade().is_some_and(|shared| !shared.c.get().is_null())
    }

    /// Ends the connection, however its owner likes that.
    pub fn close(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.is_unwanted.set(true);
            shared.wake();
        }
    }
}

fn remember(place: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut place = place.borrow_mut();
    if !place.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}

impl Shared {
    /// Has nginx call the handlers below.
    pub unsafe fn take_events(&self) {
        let c = self.c.get();
        // SAFETY: the connection is open, and has its two events.
        unsafe {
            (*(*c).read).handler = Some(on_read);
            (*(*c).write).handler = Some(on_write);
        }
    }

    pub fn wake(&self) {
        for place in [&self.reader, &self.writer] {
            let waker = place.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Has `cx` woken by the next event, whichever it is: a handshake of TLS waits for both.
    #[cfg(ngx_feature = "ssl")]
    pub fn remember(&self, cx: &Context<'_>) {
        remember(&self.reader, cx);
        remember(&self.writer, cx);
    }

    fn close(&self) {
        let c = self.c.replace(std::ptr::null_mut());
        if c.is_null() || executor::is_over() {
            return;
        }
        // SAFETY: nobody else has the connection. Its pool is our own, and outlives it, as its log says.
        unsafe {
            if !(*c).ssl.is_null() {
                tls::shut_down(c);
            }
            let pool = (*c).pool;
            ngx_close_connection(c);
            if !pool.is_null() {
                ngx_destroy_pool(pool);
            }
        }
        self.wake();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

unsafe extern "C" fn on_read(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an open connection, whose data is ours.
    guard((), || unsafe {
        let c = (*event).data.cast::<ngx_connection_t>();
        let shared = &*(*c).data.cast::<Shared>();
        if (*c).close() != 0 {
            shared.is_unwanted.set(true);
            // Who waits to write, or for the connection, is not wanted either.
            shared.wake();
            if (*c).error() != 0 {
                timer::leave();
            }
            return;
        }
        let waker = shared.reader.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    });
}

unsafe extern "C" fn on_write(event: *mut ngx_event_t) {
    // SAFETY: as above.
    guard((), || unsafe {
        let c = (*event).data.cast::<ngx_connection_t>();
        let shared = &*(*c).data.cast::<Shared>();
        let waker = shared.writer.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    });
}

impl Shared {
    /// Why reading or writing failed, in nginx's words.
    pub fn failure(&self) -> io::Error {
        match self.words.take() {
            Some(words) => io::Error::other(words),
            None => io::Error::new(io::ErrorKind::ConnectionAborted, "the connection broke"),
        }
    }
}

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let c = self.0.c.get();
        if c.is_null() || self.0.is_unwanted.get() {
            // The end of the stream.
            return Poll::Ready(Ok(()));
        }
        // SAFETY: the connection is open; nginx writes at most as many bytes as there is room for, and says how many.
        unsafe {
            let room = buf.as_mut();
            if room.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let Some(recv) = (*c).recv else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
            let n = recv(c, room.as_mut_ptr().cast(), room.len());
            if n >= 0 {
                buf.advance(n as usize);
                if (*c).idle() != 0 {
                    let unasked = self.0.unasked.get().saturating_add(n as usize);
                    self.0.unasked.set(unasked);
                    if unasked > UNASKED {
                        self.0.is_unwanted.set(true);
                    }
                }
                return Poll::Ready(Ok(()));
            }
            if n != rc::AGAIN {
                return Poll::Ready(Err(self.0.failure()));
            }
            remember(&self.0.reader, cx);
            if ngx_handle_read_event((*c).read, 0) != rc::OK {
                return Poll::Ready(Err(self.0.failure()));
            }
        }
        Poll::Pending
    }
}

impl Shared {
    /// Hands bytes to nginx, which takes as many as the system does.
    fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let c = self.c.get();
        if c.is_null() || self.is_unwanted.get() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // SAFETY: the connection is open; nginx only reads the bytes.
        unsafe {
            let Some(send) = (*c).send else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
            let n = send(c, buf.as_ptr().cast_mut(), buf.len());
            if n >= 0 {
                return Poll::Ready(Ok(n as usize));
            }
            if n != rc::AGAIN {
                return Poll::Ready(Err(self.failure()));
            }
            remember(&self.writer, cx);
            if ngx_handle_write_event((*c).write, 0) != rc::OK {
                return Poll::Ready(Err(self.failure()));
            }
        }
        Poll::Pending
    }

    /// Sends what has been rewritten.
    fn poll_rewritten(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (bytes, sent) = &mut *self.rewritten.borrow_mut();
        while *sent < bytes.len() {
            *sent += ready!(self.poll_send(cx, &bytes[*sent..]))?;
        }
        if *sent > 0 {
            (*bytes, *sent) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let shared = &self.0;
        ready!(shared.poll_rewritten(cx))?;
        let rewritten = shared.verbatim.borrow_mut().rewrite(buf);
        let Some(bytes) = rewritten else { return shared.poll_send(cx, buf) };
        shared.rewritten.replace((bytes, 0));
        // What does not leave now does so before anything else, or when it is flushed.
        if let Poll::Ready(Err(err)) = shared.poll_rewritten(cx) {
            return Poll::Ready(Err(err));
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nginx hands bytes to the system at once.
        self.0.poll_rewritten(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Dropping closes.
        Poll::Ready(Ok(()))
    }
}
