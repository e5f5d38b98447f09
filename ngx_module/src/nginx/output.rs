//! Bytes of our own on their way through nginx's filters: buffers whose memory is freed when it has been sent, not with the
//! request, so that a long body that filters change takes no more room than a short one.

use std::collections::VecDeque;

use ngx_wasm::flow::Marks;

use super::chain::{Buf, Chain};
use super::pool::Pool;

/// Buffers that nginx has not sent yet, the oldest first. It lives in the request's pool, as they do.
#[derive(Default)]
pub struct Output {
    pending: VecDeque<Pending>,
    /// Structures of buffers that have been sent.
    free: Vec<Buf>,
}

struct Pending {
    buf: Buf,
    /// What the buffer points into.
    bytes: Vec<u8>,
}

impl Output {
    /// A chain of one buffer with these bytes, for a subrequest or not. `None` when the pool has no memory.
    pub fn chain(&mut self, pool: Pool<'_>, bytes: Vec<u8>, marks: Marks, of_subrequest: bool) -> Option<Chain> {
        // A buffer of zeros without bytes is one of nginx's special buffers.
        let buf = match self.free.pop() {
            Some(buf) if !bytes.is_empty() => {
                buf.clear();
                buf
            }
            other => {
                self.free.extend(other);
                Buf::new(pool)?
            }
        };
        let chain = Chain::of_buf(pool, buf)?;
        // A subrequest ends a part, and not the response; a buffer without bytes that says so is one to synchronise by.
        buf.set_last(marks.last && !of_subrequest);
        buf.set_sync(marks.last && of_subrequest && bytes.is_empty());
        buf.set_last_in_chain(marks.last);
        buf.set_flush(marks.flush);
        if !bytes.is_empty() {
            // Alone it would not make an empty buffer one of nginx's special ones.
            buf.set_recycled(marks.recycled);
            // SAFETY: a moved Vec keeps its memory, and it is freed when nginx has sent it, or with the request.
            unsafe { buf.set_bytes(&bytes) };
            self.pending.push_back(Pending { buf, bytes });
        }
        Some(chain)
    }

    /// Frees what has been sent. Nginx sends in order.
    pub fn reclaim(&mut self) {
        while let Some(sent) = self.pending.pop_front_if(|first| first.buf.len() == 0) {
            self.free.push(sent.buf);
        }
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.pending.iter().map(|pending| pending.bytes.len()).sum()
    }
}
