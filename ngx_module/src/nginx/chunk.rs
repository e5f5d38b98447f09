//! A piece of a body on its way through the filters: nginx's own buffers as long as nobody changes or keeps it, bytes of
//! our own after that.

use ngx_wasm::flow::{Marks, Piece, Unreadable};

use super::chain::Chain;

/// A piece of a body.
pub enum Chunk {
    /// A chain of nginx, to be handed on as it is.
    Chain {
        /// The first link.
        head: Chain,
        /// Bytes in all links.
        len: usize,
    },
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Chunk {
    /// What is in a chain.
    pub fn of(head: Chain) -> (Chunk, Marks) {
        let mut marks = Marks::default();
        let mut len = 0;
        for buf in head.bufs() {
            len += buf.len();
            marks.last |= buf.is_last();
            marks.flush |= buf.is_flush();
            marks.recycled |= buf.is_recycled();
        }
        (Chunk::Chain { head, len }, marks)
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Chunk {
        Chunk::Bytes(bytes)
    }
}

impl Piece for Chunk {
    fn len(&self) -> usize {
        match self {
            Chunk::Chain { len, .. } => *len,
            Chunk::Bytes(bytes) => bytes.len(),
        }
    }

    fn read(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self {
            Chunk::Bytes(bytes) => bytes.read(start, len, out),
            Chunk::Chain { head, .. } => head.read(start, len, out),
        }
    }

    /// Nginx's buffers count as sent then, so that their producer can use them again.
    fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Chunk::Bytes(bytes) => Ok(bytes),
            Chunk::Chain { head, len } => {
                let mut bytes = Vec::with_capacity(len);
                head.read(0, len, &mut bytes)?;
                head.consume();
                Ok(bytes)
            }
        }
    }
}
