//! A piece of a body on its way through the filters: nginx's own buffers as long as nobody changes or keeps it, bytes of
//! our own after that.

use nginx_sys::{ngx_buf_t, ngx_chain_t, ngx_pool_t, ngx_read_file};

use crate::nginx::rc;

/// A piece of a body.
pub enum Chunk {
    /// A chain of nginx, to be handed on as it is.
    Chain {
        /// The first link.
        head: *mut ngx_chain_t,
        /// Bytes in all links.
        len: usize,
    },
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A part of a body in a file that could not be read.
#[derive(Debug)]
pub struct Unreadable;

/// What a chain carries beside bytes.
#[derive(Clone, Copy, Default)]
pub struct Marks {
    /// Nothing comes after it.
    pub last: bool,
    /// It is to be sent at once.
    pub flush: bool,
    /// Its producer wants the memory back soon. Nginx sends it at once too, but compresses no earlier for it than it would
    /// (src/http/ngx_http_write_filter_module.c).
    pub recycled: bool,
}

impl Chunk {
    /// What is in a chain.
    ///
    /// # Safety
    /// `head` is a chain of live buffers, or null. They stay so while the chunk is used.
    pub unsafe fn of(head: *mut ngx_chain_t) -> (Chunk, Marks) {
        let mut marks = Marks::default();
        let mut len = 0;
        // SAFETY: see above.
        unsafe {
            for buf in bufs(head) {
                len += buf_len(buf);
                marks.last |= (*buf).last_buf() != 0;
                marks.flush |= (*buf).flush() != 0;
                marks.recycled |= (*buf).recycled() != 0;
            }
        }
        (Chunk::Chain { head, len }, marks)
    }

    /// Whether a chain ends what a subrequest sends. Only the main request sends the last buffer of all
    /// (src/http/ngx_http_core_module.c, ngx_http_send_special).
    ///
    /// # Safety
    /// As [`Chunk::of`].
    pub unsafe fn is_last_in_chain(head: *mut ngx_chain_t) -> bool {
        // SAFETY: see above.
        unsafe { bufs(head).any(|buf| (*buf).last_buf() != 0 || (*buf).last_in_chain() != 0) }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Chain { len, .. } => *len,
            Chunk::Bytes(bytes) => bytes.len(),
        }
    }

    /// Appends up to `len` bytes, from `start` on, to `out`.
    ///
    /// # Safety
    /// As [`Chunk::of`].
    pub unsafe fn read(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let head = match self {
            Chunk::Bytes(bytes) => {
                let start = start.min(bytes.len());
                let end = start.saturating_add(len).min(bytes.len());
                out.extend_from_slice(&bytes[start..end]);
                return Ok(());
            }
            Chunk::Chain { head, .. } => *head,
        };
        let (mut skip, mut left) = (start, len);
        // SAFETY: see above.
        unsafe {
            for buf in bufs(head) {
                let size = buf_len(buf);
                let from = skip.min(size);
                let take = (size - from).min(left);
                skip -= from;
                left -= take;
                if take > 0 {
                    copy(buf, from, take, out)?;
                }
            }
        }
        Ok(())
    }

    /// The bytes, as our own. Nginx's buffers count as sent then, so that their producer can use them again.
    ///
    /// # Safety
    /// As [`Chunk::of`].
    pub unsafe fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Chunk::Bytes(bytes) => Ok(bytes),
            Chunk::Chain { head, len } => {
                let mut bytes = Vec::with_capacity(len);
                // SAFETY: see above.
                unsafe {
                    Chunk::Chain { head, len }.read(0, len, &mut bytes)?;
                    consume(head);
                }
                Ok(bytes)
            }
        }
    }
}

/// Marks buffers as sent, so that their producers go on and use them again.
///
/// # Safety
/// `head` is a chain of live buffers, or null.
pub unsafe fn consume(head: *mut ngx_chain_t) {
    // SAFETY: see above.
    unsafe {
        for buf in bufs(head) {
            (*buf).pos = (*buf).last;
            (*buf).file_pos = (*buf).file_last;
        }
    }
}

/// Gives the links of a chain back to the pool (ngx_free_chain of src/core/ngx_buf.h).
///
/// # Safety
/// The links of `head` come from `pool`, and nobody uses them any more.
pub unsafe fn free_links(pool: *mut ngx_pool_t, head: *mut ngx_chain_t) {
    let mut link = head;
    while !link.is_null() {
        // SAFETY: see above.
        unsafe {
            let after = (*link).next;
            (*link).next = (*pool).chain;
            (*pool).chain = link;
            link = after;
        }
    }
}

/// The buffers of a chain.
///
/// # Safety
/// As [`consume`]; the chain does not change while the iterator is used.
unsafe fn bufs(head: *mut ngx_chain_t) -> impl Iterator<Item = *mut ngx_buf_t> {
    let mut link = head;
    std::iter::from_fn(move || {
        if link.is_null() {
            return None;
        }
        // SAFETY: a null pointer ends a chain.
        unsafe {
            let buf = (*link).buf;
            link = (*link).next;
            Some(buf)
        }
    })
}

unsafe fn in_memory(buf: *mut ngx_buf_t) -> bool {
    // SAFETY: see the callers. The condition is ngx_buf_in_memory of src/core/ngx_buf.h.
    unsafe { (*buf).temporary() != 0 || (*buf).memory() != 0 || (*buf).mmap() != 0 }
}

/// The size of a buffer (ngx_buf_size of src/core/ngx_buf.h).
///
/// # Safety
/// `buf` is a live buffer.
pub unsafe fn buf_len(buf: *mut ngx_buf_t) -> usize {
    // SAFETY: see the callers. `pos` never passes `last`.
    unsafe {
        if in_memory(buf) {
            (*buf).last.offset_from((*buf).pos) as usize
        } else if (*buf).in_file() != 0 {
            ((*buf).file_last - (*buf).file_pos).max(0) as usize
        } else {
            0
        }
    }
}

unsafe fn copy(buf: *mut ngx_buf_t, from: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    // SAFETY: the caller asks for bytes that the buffer has; a file of a buffer is open.
    unsafe {
        if in_memory(buf) {
            out.extend_from_slice(std::slice::from_raw_parts((*buf).pos.add(from), len));
            return Ok(());
        }
        let at = out.len();
        out.resize(at + len, 0);
        let read = ngx_read_file((*buf).file, out.as_mut_ptr().add(at), len, (*buf).file_pos + from as i64);
        if read == len as isize && read != rc::ERROR {
            return Ok(());
        }
        out.truncate(at);
        Err(Unreadable)
    }
}
