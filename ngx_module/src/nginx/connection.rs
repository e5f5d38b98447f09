//! A connection, as a handle. Those that this module makes itself are in `own_connection.rs`.

use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use nginx_sys::{
    NGX_HTTP_WRITE_BUFFERED, NGX_LOWLEVEL_BUFFERED, ngx_connection_local_sockaddr, ngx_connection_t, ngx_event_t,
    ngx_handle_read_event, ngx_handle_write_event, off_t, sockaddr, socklen_t,
};

use super::address::SocketAddress;
use super::bits::{bits, fields};
use super::event::EventRef;
use super::location;
use super::log::Log;
use super::pool::Pool;
use super::rc;
use super::request::{HttpRequest, bytes};

/// A live connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'c>(NonNull<ngx_connection_t>, PhantomData<&'c Cell<()>>);

impl<'c> Connection<'c> {
    /// # Safety
    /// `c` is a live connection, and stays so for `'c`.
    pub unsafe fn from_ptr(c: *mut ngx_connection_t) -> Connection<'c> {
        // SAFETY: a live connection is not null.
        Connection(unsafe { NonNull::new_unchecked(c) }, PhantomData)
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_connection_t {
        self.0.as_ptr()
    }

    pub fn log(self) -> Log<'c> {
        // SAFETY: a live connection has a log.
        unsafe { Log::from_ptr((*self.as_ptr()).log) }
    }

    /// The address of the client, as nginx has it for `connect`.
    pub fn address(self) -> &'c [u8] {
        if self.sockaddr().is_null() {
            return &[];
        }
        // SAFETY: the address has so many bytes, and is there as long as the connection.
        unsafe { std::slice::from_raw_parts(self.sockaddr().cast::<u8>(), self.socklen() as usize) }
    }

    /// That as text, without a port.
    pub fn address_text(self) -> &'c [u8] {
        // SAFETY: the connection is live, and its text is as long there.
        unsafe { bytes((*self.as_ptr()).addr_text) }
    }

    /// Whether it has TLS. The pointer is there in builds with TLS and in all with --with-compat.
    pub fn has_tls(self) -> bool {
        #[cfg(any(ngx_feature = "ssl", ngx_feature = "compat"))]
        // SAFETY: the connection is live.
        return unsafe { !(*self.as_ptr()).ssl.is_null() };
        #[cfg(not(any(ngx_feature = "ssl", ngx_feature = "compat")))]
        false
    }

    /// Where the client is.
    pub fn client_address(self) -> SocketAddress {
        // SAFETY: a connection of a client has its address.
        unsafe { SocketAddress::of(self.sockaddr(), self.socklen()) }
    }

    /// Where the client connected to. Nginx asks the kernel for it when it listens on all.
    pub fn local_address(self) -> Option<SocketAddress> {
        // SAFETY: the connection is live.
        if unsafe { ngx_connection_local_sockaddr(self.as_ptr(), std::ptr::null_mut(), 0) } != rc::OK {
            return None;
        }
        // SAFETY: the connection is live, and nobody changes it meanwhile.
        let c = unsafe { &*self.as_ptr() };
        // SAFETY: the address is known now, and has this length.
        Some(unsafe { SocketAddress::of(c.local_sockaddr, c.local_socklen) })
    }

    fields! {
        /// Nginx's number of it.
        pub get number: u64 = number;
        /// How many bytes have been sent.
        pub get sent: off_t = sent;
        get read_event: *mut ngx_event_t = read;
        get write_event: *mut ngx_event_t = write;
        pub(super) get fd: RawFd = fd;
        get sockaddr: *mut sockaddr = sockaddr;
        get socklen: socklen_t = socklen;
    }

    bits! {
        /// Marks that it has failed, or that the client has gone.
        get has_error: error;
        set set_failed: set_error;
        get is_closing: close;
        /// nginx closes it when the worker shuts down.
        get is_idle: idle;
        set set_idle: set_idle;
        get is_timed_out: timedout;
    }

    /// Its pool. The streams of an HTTP/2 connection have its pool; those of HTTP/3 have pools of their own.
    pub fn pool(self) -> Pool<'c> {
        // SAFETY: a live connection has a pool.
        unsafe { Pool::from_ptr((*self.as_ptr()).pool) }
    }

    /// Bits by which modules say that there is more to send.
    pub fn buffered(self) -> u32 {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).buffered() }
    }

    pub fn set_buffered(self, bits: u32) {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).set_buffered(bits) }
    }

    pub(super) fn read(self) -> EventRef<'c> {
        // SAFETY: a live connection has both events, and nginx takes them back with it.
        unsafe { EventRef::from_ptr(self.read_event()) }
    }

    pub(super) fn write(self) -> EventRef<'c> {
        // SAFETY: a live connection has both events, and nginx takes them back with it.
        unsafe { EventRef::from_ptr(self.write_event()) }
    }

    /// Has nginx close it, with what is on its way.
    pub fn set_error(self) {
        self.set_failed(true);
    }

    /// nginx does not write to it for some time, and does not time the client out.
    pub fn is_delayed(self) -> bool {
        self.write().is_delayed()
    }

    pub fn set_delayed(self, on: bool) {
        self.write().set_delayed(on);
    }

    /// The client took too long to take more.
    pub fn is_write_timed_out(self) -> bool {
        self.write().is_timed_out()
    }

    /// Nothing is known of a client that took too long to take more.
    pub fn forget_write_time_out(self) {
        self.write().set_timed_out(false);
    }

    /// Nothing is known of somebody who took too long to send, either.
    pub fn forget_time_outs(self) {
        self.forget_write_time_out();
        self.read().set_timed_out(false);
    }

    /// Marks that the client took too long.
    pub fn set_timed_out(self) {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).set_timedout(1) }
    }

    /// Whether there is something for the client that nginx has not been able to write. What filters hold does not count.
    pub fn is_busy(self) -> bool {
        self.buffered() & (NGX_LOWLEVEL_BUFFERED | NGX_HTTP_WRITE_BUFFERED) != 0
    }

    /// Has nginx call the writer of its active request when the client takes more, or has not done so for too long (`send_timeout`).
    pub fn wait_for_client(self, r: HttpRequest<'_>) -> Result<(), CannotWatch> {
        let (timeout, lowat) = location::sending(r);
        // SAFETY: the connection is live, and its events with it.
        let code = unsafe { ngx_handle_write_event(self.write_event(), lowat) };
        if code != rc::OK {
            return Err(CannotWatch);
        }
        let write = self.write();
        if write.is_ready() {
            write.disarm();
        } else {
            // One that is armed keeps its time: what else happens does not give the client more of it.
            write.arm(timeout);
        }
        Ok(())
    }

    /// Whether nginx takes the socket for one that can be written to; if not, it waits until it is told so. Writing finds out
    /// whether the socket takes anything.
    pub fn set_write_ready(self, on: bool) {
        self.write().set_ready(on);
    }

    /// Whether the other side has closed the connection, reading has failed, or something took too long.
    pub fn is_broken(self) -> bool {
        self.is_timed_out() || self.read().is_eof() || self.read().is_error()
    }

    /// Takes back the timer of writing, if there is one.
    pub fn stop_write_timer(self) {
        self.write().disarm();
    }

    /// Takes back the timer of reading, if there is one.
    pub fn stop_read_timer(self) {
        self.read().disarm();
    }

    /// Has nginx tell what there is to read, or that the client closes.
    pub fn watch(self) -> Result<(), CannotWatch> {
        if self.read().is_ready() {
            // What there is to read, or the end, has been reported already and will not be again.
            self.post_read();
            return Ok(());
        }
        self.watch_read()
    }

    /// Has nginx call the handler of reading when there is something to read.
    pub(super) fn watch_read(self) -> Result<(), CannotWatch> {
        // SAFETY: the connection is live, and its events with it.
        let code = unsafe { ngx_handle_read_event(self.read_event(), 0) };
        if code == rc::OK { Ok(()) } else { Err(CannotWatch) }
    }

    /// Has nginx call the handler of writing when there is room to write.
    pub(super) fn watch_write(self) -> Result<(), CannotWatch> {
        // SAFETY: the connection is live, and its events with it.
        let code = unsafe { ngx_handle_write_event(self.write_event(), 0) };
        if code == rc::OK { Ok(()) } else { Err(CannotWatch) }
    }

    /// Has nginx call the handler of writing when it is done with what it does.
    pub fn post_write(self) {
        self.write().post();
    }

    /// Has nginx call the handler of reading when it is done with what it does.
    pub fn post_read(self) {
        self.read().post();
    }
}

/// nginx could not watch the connection.
pub struct CannotWatch;
