//! nginx's chains of buffers, as handles. Links and buffers lie in the pool of a request, which takes none of them back before it
//! ends: whoever has a [`Chain`] or a [`Buf`] has that request, or lies in its pool.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use nginx_sys::{ngx_alloc_chain_link, ngx_buf_t, ngx_chain_add_copy, ngx_chain_t, ngx_file_t, ngx_read_file, off_t};

use ngx_wasm::flow::Unreadable;

use crate::nginx::bits::bits;
use crate::nginx::plain::Plain;
use crate::nginx::pool::Pool;
use crate::nginx::rc;

/// A chain, or what is left of it from a link on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(*mut ngx_chain_t);

/// A buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buf(NonNull<ngx_buf_t>);

/// The pool has no memory.
#[derive(Debug)]
pub struct NoMemory;

impl Chain {
    /// Of no links.
    pub const EMPTY: Chain = Chain(ptr::null_mut());

    /// # Safety
    /// `head` is a chain of live buffers, or null; see the head of this file for how long.
    pub unsafe fn from_ptr(head: *mut ngx_chain_t) -> Chain {
        Chain(head)
    }

    /// A chain of this buffer.
    pub fn of_buf(pool: Pool<'_>, buf: Buf) -> Option<Chain> {
        // SAFETY: the pool is there.
        let link = NonNull::new(unsafe { ngx_alloc_chain_link(pool.as_ptr()) })?;
        // SAFETY: the link is this function's, which writes it whole before anybody sees it.
        unsafe { link.write(ngx_chain_t { buf: buf.as_ptr(), next: ptr::null_mut() }) };
        Some(Chain(link.as_ptr()))
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_chain_t {
        self.0
    }

    pub fn is_empty(self) -> bool {
        self.0.is_null()
    }

    /// The buffers. Each link is looked at before the next, so the buffer that was given last may be changed.
    pub fn bufs(self) -> impl Iterator<Item = Buf> {
        let mut link = self.0;
        std::iter::from_fn(move || {
            // SAFETY: a link is live, and null ends the chain.
            let ngx_chain_t { buf, next } = unsafe { link.as_ref() }.copied()?;
            link = next;
            NonNull::new(buf).map(Buf)
        })
    }

    /// The first buffer, and what is behind it. `None`: there is nothing.
    pub fn split_first(self) -> Option<(Buf, Chain)> {
        // SAFETY: a link is live, and null ends the chain.
        let ngx_chain_t { buf, next } = unsafe { self.0.as_ref() }.copied()?;
        Some((NonNull::new(buf).map(Buf)?, Chain(next)))
    }

    /// Adds links for the buffers of `other` at the end (ngx_chain_add_copy of src/core/ngx_buf.c).
    pub fn append_copy(&mut self, pool: Pool<'_>, other: Chain) -> Result<(), NoMemory> {
        // SAFETY: the pool is that of both; the links of `other` stay as they are.
        let code = unsafe { ngx_chain_add_copy(pool.as_ptr(), &raw mut self.0, other.0) };
        if code == rc::OK { Ok(()) } else { Err(NoMemory) }
    }

    /// Marks the buffers as sent, so that their producers go on and use them again.
    pub fn consume(self) {
        for buf in self.bufs() {
            buf.consume();
        }
    }

    /// Gives the links back to the pool (ngx_free_chain of src/core/ngx_buf.h). Nobody else has them any more; who has them
    /// nevertheless finds another chain's buffers, in memory that stays.
    pub fn free_links(self, pool: Pool<'_>) {
        let mut next = self.0;
        // SAFETY: the pool is there, and keeps a list of links that are free.
        let free = unsafe { &mut (*pool.as_ptr()).chain };
        // SAFETY: the links come from the pool, and null ends the chain.
        while let Some(link) = unsafe { next.as_mut() } {
            next = std::mem::replace(&mut link.next, *free);
            *free = link;
        }
    }

    /// How many bytes there are.
    pub fn len(self) -> usize {
        self.bufs().map(Buf::len).sum()
    }

    /// Appends up to `len` bytes, from `start` on, to `out`.
    pub fn read(self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let (mut skip, mut left) = (start, len);
        for buf in self.bufs() {
            let size = buf.len();
            let from = skip.min(size);
            let take = (size - from).min(left);
            skip -= from;
            left -= take;
            if take > 0 {
                buf.read(from, take, out)?;
            }
        }
        Ok(())
    }

    /// Whether it ends what a subrequest sends. Only the main request sends the last buffer of all
    /// (src/http/ngx_http_core_module.c, ngx_http_send_special).
    pub fn is_last_in_chain(self) -> bool {
        self.bufs().any(|buf| buf.is_last() || buf.is_last_in_chain())
    }
}

impl Buf {
    /// A buffer of nothing, from the pool: one of nginx's special buffers, when a mark is set.
    pub fn new(pool: Pool<'_>) -> Option<Buf> {
        // One of zeros has no bytes.
        pool.zeroed::<ngx_buf_t>().map(|buf| Buf(buf.into()))
    }

    /// A buffer with a copy of these bytes, in the pool.
    pub fn with_copy(pool: Pool<'_>, bytes: &[u8]) -> Option<Buf> {
        let buf = Buf::new(pool)?;
        if !bytes.is_empty() {
            let copy = pool.copy(bytes)?;
            // SAFETY: the copy is as long as the buffer.
            unsafe { buf.set_bytes(std::slice::from_raw_parts(copy.data, copy.len)) };
        }
        Some(buf)
    }

    /// # Safety
    /// `buf` is a live buffer; see the head of this file for how long.
    pub unsafe fn from_ptr(buf: *mut ngx_buf_t) -> Option<Buf> {
        NonNull::new(buf).map(Buf)
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_buf_t {
        self.0.as_ptr()
    }

    /// Makes it a buffer of nothing again.
    pub fn clear(self) {
        // SAFETY: the buffer is live, and one of zeros is one without bytes.
        unsafe { self.0.write(ngx_buf_t::zeros()) }
    }

    bits! {
        /// Nothing comes behind it.
        get is_last: last_buf;
        set set_last: set_last_buf;
        /// Nothing of this request comes behind it.
        get is_last_in_chain: last_in_chain;
        set set_last_in_chain: set_last_in_chain;
        /// It is to be sent at once.
        get is_flush: flush;
        set set_flush: set_flush;
        /// Its producer wants it back soon.
        get is_recycled: recycled;
        set set_recycled: set_recycled;
        /// It has no bytes, and only marks an order.
        set set_sync: set_sync;
        /// Its bytes are in memory that may be written to.
        get is_temporary: temporary;
        get is_mapped: mmap;
        /// Its bytes are in memory that nobody writes to.
        get is_memory: memory;
        /// Its bytes are in a file.
        get is_in_file: in_file;
        set set_in_file: set_in_file;
    }

    /// Its bytes are in memory (ngx_buf_in_memory of src/core/ngx_buf.h).
    pub fn is_in_memory(self) -> bool {
        self.is_temporary() || self.is_memory() || self.is_mapped()
    }

    /// How many bytes it has (ngx_buf_size of src/core/ngx_buf.h).
    pub fn len(self) -> usize {
        // SAFETY: the buffer is live.
        let buf = unsafe { self.0.as_ref() };
        if self.is_in_memory() {
            (buf.last as usize).saturating_sub(buf.pos as usize)
        } else if self.is_in_file() {
            (buf.file_last - buf.file_pos).max(0) as usize
        } else {
            0
        }
    }

    /// Whether nothing is left of what was read into it.
    pub fn is_used_up(self) -> bool {
        // SAFETY: the buffer is live.
        unsafe { (*self.as_ptr()).pos == (*self.as_ptr()).last }
    }

    /// Marks it as sent.
    pub fn consume(self) {
        // SAFETY: the buffer is live, and nobody has a reference to it.
        let buf = unsafe { &mut *self.as_ptr() };
        (buf.pos, buf.file_pos) = (buf.last, buf.file_last);
    }

    /// Has it lead to `bytes`, which stay where they are until it has been sent.
    ///
    /// # Safety
    /// They do.
    pub unsafe fn set_bytes(self, bytes: &[u8]) {
        let range = bytes.as_ptr_range();
        let (start, end) = (range.start.cast_mut(), range.end.cast_mut());
        // SAFETY: the buffer is live; nginx does not write to bytes of this kind.
        let buf = unsafe { &mut *self.as_ptr() };
        (buf.start, buf.pos, buf.last, buf.end) = (start, start, end, end);
        buf.set_memory(1);
    }

    /// The file that its bytes are in, opened once more, and from where to where.
    pub fn file(self) -> io::Result<(File, u64, u64)> {
        // SAFETY: the buffer is live.
        let buf = unsafe { self.0.as_ref() };
        // SAFETY: null means that it has no file.
        let Some(file) = (unsafe { buf.file.as_ref() }) else { return Err(io::ErrorKind::NotFound.into()) };
        // SAFETY: the file of a buffer is open.
        let open = unsafe { BorrowedFd::borrow_raw(file.fd) }.try_clone_to_owned()?;
        Ok((open.into(), buf.file_pos.max(0) as u64, buf.file_last.max(0) as u64))
    }

    /// Appends `len` bytes, from `from` on, to `out`. There are so many.
    pub fn read(self, from: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let len = len.min(self.len().saturating_sub(from));
        if len == 0 {
            // nginx's special buffers have neither memory nor a file.
            return Ok(());
        }
        // SAFETY: the buffer is live.
        let buf = unsafe { self.0.as_ref() };
        if self.is_in_memory() {
            // SAFETY: nginx's buffer has its bytes between `pos` and `last`, and there are so many.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(buf.pos.add(from), len) });
            return Ok(());
        }
        read_file(buf.file, buf.file_pos + from as off_t, len, out)
    }
}

/// Appends bytes of a file to `out`.
fn read_file(file: *mut ngx_file_t, from: off_t, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let at = out.len();
    out.resize(at + len, 0);
    // SAFETY: the file of a buffer is open, and `out` has room for so many.
    let read = unsafe { ngx_read_file(file, out.as_mut_ptr().add(at), len, from) };
    if read == len as isize && read != rc::ERROR {
        return Ok(());
    }
    out.truncate(at);
    Err(Unreadable)
}
