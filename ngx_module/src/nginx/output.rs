//! Bytes of our own on their way through nginx's filters: buffers whose memory is freed when it has been sent, not with the
//! request, so that a long body that filters change takes no more room than a short one.

use std::collections::VecDeque;

use nginx_sys::{ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t, ngx_pcalloc, ngx_pool_t};

use super::chunk::Marks;

/// Buffers that nginx has not sent yet, the oldest first.
#[derive(Default)]
pub struct Output {
    pending: VecDeque<Pending>,
    /// Structures of buffers that have been sent.
    free: Vec<*mut ngx_buf_t>,
}

struct Pending {
    buf: *mut ngx_buf_t,
    /// What the buffer points into.
    bytes: Vec<u8>,
}

impl Output {
    /// A chain of one buffer with these bytes, for a subrequest or not. `None` when the pool has no memory.
    ///
    /// # Safety
    /// `pool` is the pool of a live request, and `self` lives until it is destroyed. Bytes stay where they are as long as
    /// the buffer is not empty, since a moved Vec keeps its memory.
    pub unsafe fn chain(
        &mut self,
        pool: *mut ngx_pool_t,
        bytes: Vec<u8>,
        marks: Marks,
        of_subrequest: bool,
    ) -> Option<*mut ngx_chain_t> {
        // SAFETY: see above; a buffer of zeros without bytes is one of nginx's special buffers.
        unsafe {
            let link = ngx_alloc_chain_link(pool);
            if link.is_null() {
                return None;
            }
            let buf = match self.free.pop() {
                Some(buf) if !bytes.is_empty() => {
                    std::ptr::write_bytes(buf, 0, 1);
                    buf
                }
                other => {
                    self.free.extend(other);
                    ngx_pcalloc(pool, size_of::<ngx_buf_t>()).cast()
                }
            };
            if buf.is_null() {
                return None;
            }
            // A subrequest ends a part, and not the response; a buffer without bytes that says so is one to synchronise by.
            (*buf).set_last_buf(u32::from(marks.last && !of_subrequest));
            (*buf).set_sync(u32::from(marks.last && of_subrequest && bytes.is_empty()));
            (*buf).set_last_in_chain(u32::from(marks.last));
            (*buf).set_flush(u32::from(marks.flush));
            if !bytes.is_empty() {
                // Alone it would not make an empty buffer one of nginx's special ones.
                (*buf).set_recycled(u32::from(marks.recycled));
                let range = bytes.as_ptr_range();
                (*buf).start = range.start.cast_mut();
                (*buf).end = range.end.cast_mut();
                (*buf).pos = (*buf).start;
                (*buf).last = (*buf).end;
                (*buf).set_memory(1);
                self.pending.push_back(Pending { buf, bytes });
            }
            (*link).buf = buf;
            (*link).next = std::ptr::null_mut();
            Some(link)
        }
    }

    /// Frees what has been sent. Nginx sends in order.
    ///
    /// # Safety
    /// The request of [`Output::chain`] is live.
    pub unsafe fn reclaim(&mut self) {
        // SAFETY: the buffers are in the request's pool.
        unsafe {
            while let Some(first) = self.pending.front()
                && (*first.buf).pos == (*first.buf).last
            {
                if let Some(sent) = self.pending.pop_front() {
                    self.free.push(sent.buf);
                }
            }
        }
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.pending.iter().map(|pending| pending.bytes.len()).sum()
    }
}
