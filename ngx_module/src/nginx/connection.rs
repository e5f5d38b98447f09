//! The connection of a client, as a handle.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{
    ngx_connection_local_sockaddr, ngx_connection_t, ngx_event_t, ngx_handle_read_event, ngx_post_event,
    ngx_posted_events, off_t,
};

use super::address::SocketAddress;
use super::log::Log;
use super::pool::Pool;
use super::rc;
use super::request::bytes;

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
        // SAFETY: the connection is live, and its address is as long there; there are so many bytes.
        unsafe {
            let c = self.as_ptr();
            if (*c).sockaddr.is_null() {
                return &[];
            }
            std::slice::from_raw_parts((*c).sockaddr.cast::<u8>(), (*c).socklen as usize)
        }
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

    /// Nginx's number of it.
    pub fn number(self) -> u64 {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).number }
    }

    /// Where the client is.
    pub fn client_address(self) -> SocketAddress {
        // SAFETY: a connection of a client has its address.
        unsafe { SocketAddress::of((*self.as_ptr()).sockaddr, (*self.as_ptr()).socklen) }
    }

    /// Where the client connected to. Nginx asks the kernel for it when it listens on all.
    pub fn local_address(self) -> Option<SocketAddress> {
        // SAFETY: the connection is live.
        if unsafe { ngx_connection_local_sockaddr(self.as_ptr(), std::ptr::null_mut(), 0) } != rc::OK {
            return None;
        }
        // SAFETY: it is known now.
        Some(unsafe { SocketAddress::of((*self.as_ptr()).local_sockaddr, (*self.as_ptr()).local_socklen) })
    }

    /// How many bytes have been sent.
    pub fn sent(self) -> off_t {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).sent }
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

    /// Marks that it has failed, or that the client has gone.
    pub fn has_error(self) -> bool {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).error() != 0 }
    }

    /// Has nginx close it, with what is on its way.
    pub fn set_error(self) {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).set_error(1) }
    }

    pub fn is_closing(self) -> bool {
        // SAFETY: the connection is live.
        unsafe { (*self.as_ptr()).close() != 0 }
    }

    fn read(self) -> *mut ngx_event_t {
        // SAFETY: a live connection has both events.
        unsafe { (*self.as_ptr()).read }
    }

    fn write(self) -> *mut ngx_event_t {
        // SAFETY: a live connection has both events.
        unsafe { (*self.as_ptr()).write }
    }

    /// nginx does not write to it for some time, and does not time the client out.
    pub fn is_delayed(self) -> bool {
        // SAFETY: the connection is live, and its events with it.
        unsafe { (*self.write()).delayed() != 0 }
    }

    pub fn set_delayed(self, on: bool) {
        // SAFETY: as above.
        unsafe { (*self.write()).set_delayed(on.into()) }
    }

    /// The client took too long to take more.
    pub fn is_write_timed_out(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.write()).timedout() != 0 }
    }

    /// Nothing is known of a client that took too long to take more.
    pub fn forget_write_time_out(self) {
        // SAFETY: as above.
        unsafe { (*self.write()).set_timedout(0) }
    }

    /// Nothing is known of somebody who took too long to send, either.
    pub fn forget_time_outs(self) {
        self.forget_write_time_out();
        // SAFETY: as above.
        unsafe { (*self.read()).set_timedout(0) }
    }

    /// Whether nginx takes the socket for one that can be written to; if not, it waits until it is told so.
    pub fn set_write_ready(self, on: bool) {
        // SAFETY: as above; writing finds out whether the socket takes anything.
        unsafe { (*self.write()).set_ready(on.into()) }
    }

    /// Whether the other side has closed the connection, reading has failed, or something took too long.
    pub fn is_broken(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.as_ptr()).timedout() != 0 || (*self.read()).eof() != 0 || (*self.read()).error() != 0 }
    }

    /// Takes back the timer of writing, if there is one.
    pub fn stop_write_timer(self) {
        // SAFETY: as above; nginx knows a timer that is set.
        unsafe {
            if (*self.write()).timer_set() != 0 {
                nginx_sys::ngx_del_timer(self.write());
            }
        }
    }

    /// Takes back the timer of reading, if there is one.
    pub fn stop_read_timer(self) {
        // SAFETY: as above; nginx knows a timer that is set.
        unsafe {
            if (*self.read()).timer_set() != 0 {
                nginx_sys::ngx_del_timer(self.read());
            }
        }
    }

    /// Has nginx tell what there is to read, or that the client closes.
    pub fn watch(self) -> Result<(), CannotWatch> {
        // SAFETY: as above.
        let is_ready = unsafe { (*self.read()).ready() != 0 };
        if is_ready {
            // What there is to read, or the end, has been reported already and will not be again.
            self.post_read();
            return Ok(());
        }
        // SAFETY: as above.
        let code = unsafe { ngx_handle_read_event(self.read(), 0) };
        if code == rc::OK { Ok(()) } else { Err(CannotWatch) }
    }

    /// Has nginx call the handler of writing when it is done with what it does.
    pub fn post_write(self) {
        // SAFETY: as above; the queue is nginx's own.
        unsafe { ngx_post_event(self.write(), &raw mut ngx_posted_events) }
    }

    /// Has nginx call the handler of reading when it is done with what it does.
    pub fn post_read(self) {
        // SAFETY: as above; the queue is nginx's own.
        unsafe { ngx_post_event(self.read(), &raw mut ngx_posted_events) }
    }
}

/// nginx could not watch the connection.
pub struct CannotWatch;
