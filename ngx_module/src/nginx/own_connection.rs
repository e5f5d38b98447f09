//! A connection that this module makes, to somebody else: nginx's, with a pool, a log and handlers of its own.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;

use nginx_sys::{
    ngx_close_connection, ngx_connection_log_error_e_NGX_ERROR_INFO as NGX_ERROR_INFO, ngx_connection_t,
    ngx_event_connect_peer, ngx_event_get_peer, ngx_event_t, ngx_peer_connection_t, ngx_str_t,
};

use super::connection::Connection;
use super::guard::guard;
use super::plain::Plain;
use super::pool::OwnPool;
use super::sockaddr::Address;
use super::words::Words;
use super::{executor, rc};

/// The pool of a connection serves TLS, which wants little of it.
const POOL: usize = 512;

/// Who hears of what happens to a connection.
pub trait Heard: 'static {
    /// Something has come, or the other end has closed.
    fn readable(&self);

    /// There is room to write, or the attempt to connect has ended.
    fn writable(&self);

    /// Nginx wants the connection closed, because the worker shuts down; `is_late`: it has waited as long as it may.
    fn unwanted(&self, is_late: bool);
}

/// A connection, and who hears of it. It is closed when it is dropped.
pub struct OwnConnection<T> {
    /// Null once it is closed. Nginx frees it in `close` only.
    c: Cell<*mut ngx_connection_t>,
    /// The pool of the connection, until it is closed.
    pool: RefCell<Option<OwnPool>>,
    /// What its TLS goes by, which connections of nginx point to.
    #[cfg(ngx_feature = "ssl")]
    tls: RefCell<Option<Rc<super::ssl::Context>>>,
    /// The log of the connection: why something failed.
    words: Box<Words>,
    heard: T,
}

impl<T> Deref for OwnConnection<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.heard
    }
}

/// What came of reading or writing.
pub enum Moved {
    /// So many bytes; when reading, 0 is the end.
    Bytes(usize),
    /// None for now: who hears of the connection is told when there may be some.
    Nothing,
}

impl<T: Heard> OwnConnection<T> {
    /// Begins to connect. The connection is writable when that has ended, one way or the other.
    pub fn begin(address: &Address, heard: T) -> io::Result<Rc<OwnConnection<T>>> {
        let words = Words::new();
        let name = address.to_string();
        let mut name = ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() };
        let mut peer = ngx_peer_connection_t::zeros();
        (peer.sockaddr, peer.socklen) = address.as_ptr();
        (peer.name, peer.log) = (&mut name, words.log().as_ptr());
        peer.get = Some(ngx_event_get_peer);
        peer.set_log_error(NGX_ERROR_INFO);
        // SAFETY: the structure asks for a stream socket. Nginx uses it, and what it leads to, during the call only, but for the log,
        // which outlives the connection.
        let code = unsafe { ngx_event_connect_peer(&mut peer) };
        let refusal = || words.take().map_or_else(io::Error::last_os_error, io::Error::other);
        if peer.connection.is_null() {
            return Err(refusal());
        }
        let refusal = (code != rc::OK && code != rc::AGAIN).then(refusal);
        // SAFETY: the log of the pool is in a box that goes after it.
        let pool = unsafe { OwnPool::new(POOL, words.log()) };
        let own = Rc::new(OwnConnection {
            c: Cell::new(peer.connection),
            pool: RefCell::new(pool),
            #[cfg(ngx_feature = "ssl")]
            tls: RefCell::new(None),
            words,
            heard,
        });
        if let Some(reason) = refusal {
            return Err(reason);
        }
        let Some(pool) = own.pool.borrow().as_ref().map(|pool| pool.get().as_ptr()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        // SAFETY: the connection is open, and nobody else has it.
        let c = unsafe { &mut *peer.connection };
        // The data is there until `close` has taken the connection from nginx.
        (c.pool, c.data) = (pool, Rc::as_ptr(&own).cast_mut().cast());
        own.take_events();
        if code == rc::OK {
            own.set_write_ready();
        }
        Ok(own)
    }

    /// Has nginx call the handlers below.
    pub(super) fn take_events(&self) {
        let Some(c) = self.get() else { return };
        // SAFETY: the connection is open, and has its two events; `begin` has set its data.
        unsafe { (*c.read().as_ptr()).handler = Some(on_read::<T>) };
        // SAFETY: the same holds for the other event.
        unsafe { (*c.write().as_ptr()).handler = Some(on_write::<T>) };
    }
}

impl<T> OwnConnection<T> {
    /// The connection, while it is open. Nobody keeps the handle while other code runs, which might close it.
    pub(super) fn get(&self) -> Option<Connection<'_>> {
        // SAFETY: it is not null, and so open.
        (!self.c.get().is_null()).then(|| unsafe { Connection::from_ptr(self.c.get()) })
    }

    pub fn is_open(&self) -> bool {
        !self.c.get().is_null()
    }

    /// Whether the other end has said nothing, and not gone either. Of a connection that is closed nobody knows.
    pub fn is_quiet(&self) -> bool {
        self.get().is_some_and(|c| !c.read().is_ready() && !c.read().is_eof())
    }

    /// Whether the socket takes something, or the attempt to connect has ended.
    pub fn is_write_ready(&self) -> bool {
        self.get().is_some_and(|c| c.write().is_ready())
    }

    fn set_write_ready(&self) {
        if let Some(c) = self.get() {
            c.set_write_ready(true);
        }
    }

    /// Whether the connection waits for its next use. A worker that shuts down closes those
    /// (src/core/ngx_connection.c, ngx_close_idle_connections).
    pub fn is_idle(&self) -> bool {
        self.get().is_some_and(Connection::is_idle)
    }

    pub fn set_idle(&self, is_idle: bool) {
        if let Some(c) = self.get() {
            c.set_idle(is_idle);
        }
    }

    /// What the attempt to connect has come to.
    pub fn connect_result(&self) -> io::Result<()> {
        let c = self.get().ok_or(io::ErrorKind::NotConnected)?;
        let mut err: c_int = 0;
        let mut len = size_of::<c_int>() as libc::socklen_t;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_ERROR);
        // SAFETY: the socket is open, and the option is a number.
        match (unsafe { libc::getsockopt(c.fd(), level, name, (&raw mut err).cast(), &mut len) }, err) {
            (0, 0) => Ok(()),
            (0, err) => Err(io::Error::from_raw_os_error(err)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Has the system send what is written at once. It makes no difference to Unix sockets.
    pub fn set_no_delay(&self) {
        let Some(c) = self.get() else { return };
        let on: c_int = 1;
        let len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the socket is open, and the option is a number.
        unsafe { libc::setsockopt(c.fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), len) };
    }

    /// Reads what has come, as much as there is room for.
    pub fn receive(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<Moved> {
        let c = self.get().ok_or(io::ErrorKind::NotConnected)?;
        // SAFETY: the connection is open.
        let receive = unsafe { (*c.as_ptr()).recv }.ok_or(io::ErrorKind::NotConnected)?;
        // SAFETY: nginx writes at most as many bytes as there is room for, and says how many.
        match unsafe { receive(c.as_ptr(), room.as_mut_ptr().cast(), room.len()) } {
            n if n >= 0 => Ok(Moved::Bytes(n as usize)),
            rc::AGAIN => c.watch_read().map(|()| Moved::Nothing).map_err(|_| self.failure()),
            _ => Err(self.failure()),
        }
    }

    /// Writes as much as the system takes.
    pub fn send(&self, bytes: &[u8]) -> io::Result<Moved> {
        let c = self.get().ok_or(io::ErrorKind::NotConnected)?;
        // SAFETY: the connection is open.
        let send = unsafe { (*c.as_ptr()).send }.ok_or(io::ErrorKind::NotConnected)?;
        // SAFETY: nginx only reads the bytes.
        match unsafe { send(c.as_ptr(), bytes.as_ptr().cast_mut(), bytes.len()) } {
            n if n >= 0 => Ok(Moved::Bytes(n as usize)),
            rc::AGAIN => c.watch_write().map(|()| Moved::Nothing).map_err(|_| self.failure()),
            _ => Err(self.failure()),
        }
    }

    /// Why reading or writing failed, in nginx's words.
    fn failure(&self) -> io::Error {
        match self.words.take() {
            Some(words) => io::Error::other(words),
            None => io::Error::new(io::ErrorKind::ConnectionAborted, "the connection broke"),
        }
    }

    /// What nginx said last, if it has said anything since it was asked.
    #[cfg(ngx_feature = "ssl")]
    pub fn words(&self) -> Option<String> {
        self.words.take()
    }

    /// Keeps what TLS of the connection goes by until it is closed.
    #[cfg(ngx_feature = "ssl")]
    pub(super) fn keep_tls(&self, context: Rc<super::ssl::Context>) {
        self.tls.replace(Some(context));
    }

    /// Closes it, and answers whether it was open. A process that ends leaves that to the system.
    pub fn close(&self) -> bool {
        if !self.is_open() {
            return false;
        }
        #[cfg(ngx_feature = "ssl")]
        if !executor::is_over() {
            super::ssl::shut_down(self);
        }
        let c = self.c.replace(ptr::null_mut());
        if executor::is_over() {
            return false;
        }
        // SAFETY: nobody else has the connection, or a handle of it. Its pool is closed behind it, and its log outlives both.
        unsafe { ngx_close_connection(c) };
        self.pool.take();
        #[cfg(ngx_feature = "ssl")]
        self.tls.take();
        true
    }
}

impl<T> Drop for OwnConnection<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The connection of an event, kept for the time of a callback, which may be the end of it.
///
/// # Safety
/// nginx has called a handler that `take_events` has set, with this event.
unsafe fn own<T>(event: *mut ngx_event_t) -> Rc<OwnConnection<T>> {
    // SAFETY: nginx calls the handlers of open connections only.
    let c = unsafe { (*event).data }.cast::<ngx_connection_t>();
    // SAFETY: the data of a connection with these handlers is what `begin` has set.
    let own = unsafe { (*c).data }.cast_const().cast::<OwnConnection<T>>();
    // SAFETY: it lies in an `Rc`, which somebody has as long as the connection is open.
    unsafe { Rc::increment_strong_count(own) };
    // SAFETY: that use of it is this one's.
    unsafe { Rc::from_raw(own) }
}

unsafe extern "C" fn on_read<T: Heard>(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: nginx calls this for an open connection.
        let own = unsafe { own::<T>(event) };
        let Some((is_closing, is_late)) = own.get().map(|c| (c.is_closing(), c.has_error())) else { return };
        if is_closing { own.unwanted(is_late) } else { own.readable() }
    });
}

unsafe extern "C" fn on_write<T: Heard>(event: *mut ngx_event_t) {
    guard((), || {
        // SAFETY: nginx calls this for an open connection.
        let own = unsafe { own::<T>(event) };
        own.writable();
    });
}
