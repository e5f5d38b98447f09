//! A connection of nginx as `hyper` wants one: bytes in and out, pending when there are none. `connect.rs` makes them,
//! `tls.rs` has them encrypted.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use ngx_wasm::net::verbatim::{Swap, Verbatim};

use super::address::Address;
use crate::nginx::own_connection::{Heard, Moved, OwnConnection};
use crate::nginx::timer;

/// How much a connection may say while nobody asks, in bytes. What was under way when a call was cancelled fits; more is a
/// peer that keeps the worker busy for nothing, and such a connection is closed.
const UNASKED: usize = 1 << 20;

/// An open connection; closed when it is dropped.
pub struct Connection(pub(super) Rc<OpenConnection>);

/// nginx's connection, with what its handlers and its owner both know.
pub(super) type OpenConnection = OwnConnection<State>;

/// What the handlers of nginx and the owner of a connection both know.
#[derive(Default)]
pub(super) struct State {
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
}

/// A look at a connection that somebody else owns.
#[derive(Clone)]
pub struct Handle(Weak<OpenConnection>);

thread_local! {
    /// All open connections, for the end of the process.
    static OPEN: RefCell<Vec<Weak<OpenConnection>>> = const { RefCell::new(Vec::new()) };
}

/// Closes all connections: the worker ends.
pub fn close_all() {
    let open = OPEN.with_borrow_mut(std::mem::take);
    for shared in open.iter().filter_map(Weak::upgrade) {
        close(&shared);
    }
}

fn close(shared: &OpenConnection) {
    if shared.close() {
        shared.wake();
    }
}

fn register(shared: &Rc<OpenConnection>) {
    OPEN.with_borrow_mut(|open| {
        // Those that have been closed are dropped each time the list would grow.
        if open.len() == open.capacity() {
            open.retain(|shared| shared.strong_count() > 0);
        }
        open.push(Rc::downgrade(shared));
    });
}

impl Connection {
    /// Begins to connect.
    pub(super) fn begin(address: &Address) -> io::Result<Connection> {
        let shared = OwnConnection::begin(address, State::default())?;
        register(&shared);
        Ok(Connection(shared))
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

    /// Whether nginx wants it closed, because the worker shuts down, or that has been done.
    pub(super) fn is_unwanted(&self) -> bool {
        is_unwanted(&self.0)
    }

    /// For those that want to say whether it is idle.
    pub fn handle(&self) -> Handle {
        Handle(Rc::downgrade(&self.0))
    }

    /// Whether the other end has said nothing, and not gone either.
    pub fn is_quiet(&self) -> bool {
        self.0.is_quiet() && !self.is_unwanted()
    }

    /// Ready once there is room to write, or the connection attempt has ended.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_unwanted() || self.0.is_write_ready() {
            return Poll::Ready(());
        }
        remember(&self.0.writer, cx);
        Poll::Pending
    }
}

fn is_unwanted(shared: &OpenConnection) -> bool {
    !shared.is_open() || shared.is_unwanted.get()
}

impl Handle {
    /// Says whether the connection waits for its next use. A worker that shuts down closes those
    /// (src/core/ngx_connection.c, ngx_close_idle_connections).
    pub fn set_idle(&self, is_idle: bool) {
        if let Some(shared) = self.0.upgrade() {
            shared.unasked.set(0);
            shared.set_idle(is_idle);
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
        self.0.upgrade().is_some_and(|shared| shared.is_open())
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

impl State {
    pub fn wake(&self) {
        for place in [&self.reader, &self.writer] {
            wake(place);
        }
    }

    /// Has `cx` woken by the next event, whichever it is: a handshake of TLS waits for both.
    #[cfg(ngx_feature = "ssl")]
    pub fn remember(&self, cx: &Context<'_>) {
        remember(&self.reader, cx);
        remember(&self.writer, cx);
    }
}

fn wake(place: &RefCell<Option<Waker>>) {
    let waker = place.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Heard for State {
    fn readable(&self) {
        wake(&self.reader);
    }

    fn writable(&self) {
        wake(&self.writer);
    }

    fn unwanted(&self, is_late: bool) {
        self.is_unwanted.set(true);
        // Who waits to write, or for the connection, is not wanted either.
        self.wake();
        if is_late {
            timer::leave();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.is_unwanted() {
            // The end of the stream.
            return Poll::Ready(Ok(()));
        }
        // SAFETY: nobody takes away what has been written there: nginx writes, at the beginning of the room.
        let room = unsafe { buf.as_mut() };
        if room.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let shared = &self.0;
        let Moved::Bytes(n) = shared.receive(room)? else {
            remember(&shared.reader, cx);
            return Poll::Pending;
        };
        // SAFETY: so many bytes of the room have been written.
        unsafe { buf.advance(n) };
        if shared.is_idle() {
            let unasked = shared.unasked.get().saturating_add(n);
            shared.unasked.set(unasked);
            if unasked > UNASKED {
                shared.is_unwanted.set(true);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Hands bytes to nginx, which takes as many as the system does.
fn poll_send(shared: &OpenConnection, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
    if is_unwanted(shared) {
        return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
    }
    if buf.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let Moved::Bytes(n) = shared.send(buf)? else {
        remember(&shared.writer, cx);
        return Poll::Pending;
    };
    Poll::Ready(Ok(n))
}

/// Sends what has been rewritten.
fn poll_rewritten(shared: &OpenConnection, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let (bytes, sent) = &mut *shared.rewritten.borrow_mut();
    while *sent < bytes.len() {
        *sent += ready!(poll_send(shared, cx, &bytes[*sent..]))?;
    }
    if *sent > 0 {
        (*bytes, *sent) = (Vec::new(), 0);
    }
    Poll::Ready(Ok(()))
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let shared = &self.0;
        ready!(poll_rewritten(shared, cx))?;
        let rewritten = shared.verbatim.borrow_mut().rewrite(buf);
        let Some(bytes) = rewritten else { return poll_send(shared, cx, buf) };
        shared.rewritten.replace((bytes, 0));
        // What does not leave now does so before anything else, or when it is flushed.
        if let Poll::Ready(Err(err)) = poll_rewritten(shared, cx) {
            return Poll::Ready(Err(err));
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nginx hands bytes to the system at once.
        poll_rewritten(&self.0, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Dropping closes.
        Poll::Ready(Ok(()))
    }
}
