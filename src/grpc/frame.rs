//! Messages in their frames: a byte that says whether the message is compressed, its size in 32 bits big endian, the message.

use thiserror::Error;

const HEAD: usize = 5;

/// Bytes that are no frames of messages, or not such as this host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// This host never says that it understands a compression.
    #[error("the message is compressed, which nobody asked for")]
    Compressed,
    /// The first byte of a frame is 0 or 1.
    #[error("a frame begins with byte {0}: this is no gRPC")]
    Flag(u8),
    /// More than the reader may hold.
    #[error("a message of {size} bytes is larger than {limit}")]
    TooLarge {
        /// What the frame says.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The end came inside of a frame.
    #[error("the answer ends in the middle of a message")]
    Truncated,
}

/// A message in its frame.
pub fn frame(message: &[u8]) -> Result<Vec<u8>, FrameError> {
    let size = message.len();
    let head = u32::try_from(size).map_err(|_| FrameError::TooLarge { size, limit: u32::MAX as usize })?;
    let mut framed = Vec::with_capacity(HEAD + size);
    framed.push(0);
    framed.extend(head.to_be_bytes());
    framed.extend_from_slice(message);
    Ok(framed)
}

/// Takes messages out of their frames, as the bytes come.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    head: [u8; HEAD],
    /// How much of `head` is there.
    filled: usize,
    message: Vec<u8>,
}

impl Decoder {
    /// A decoder for messages of `limit` bytes at most.
    pub fn new(limit: usize) -> Self {
        Decoder { limit, head: [0; HEAD], filled: 0, message: Vec::new() }
    }

    /// The next whole message; what it took is cut off from the beginning of `bytes`. None when more bytes are needed, and
    /// `bytes` are used up then.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if self.filled < HEAD {
            let taken = cut(bytes, HEAD - self.filled);
            self.head[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            if self.filled < HEAD {
                return Ok(None);
            }
        }
        let size = self.size()?;
        // It grows with what comes: what the other end merely announces takes no memory.
        self.message.extend_from_slice(cut(bytes, size - self.message.len()));
        if self.message.len() < size {
            return Ok(None);
        }
        self.filled = 0;
        Ok(Some(std::mem::take(&mut self.message)))
    }

    /// Whether the bytes may end here.
    pub fn end(&self) -> Result<(), FrameError> {
        if self.filled == 0 { Ok(()) } else { Err(FrameError::Truncated) }
    }

    fn size(&self) -> Result<usize, FrameError> {
        let [flag, a, b, c, d] = self.head;
        match flag {
            0 => {}
            1 => return Err(FrameError::Compressed),
            other => return Err(FrameError::Flag(other)),
        }
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        if size > self.limit { Err(FrameError::TooLarge { size, limit: self.limit }) } else { Ok(size) }
    }
}

/// Takes up to `most` bytes off the beginning.
fn cut<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut messages = Vec::new();
        while let Some(message) = decoder.next(&mut bytes)? {
            messages.push(message);
        }
        assert!(bytes.is_empty());
        Ok(messages)
    }

    #[test]
    fn a_message_is_framed_by_flag_and_size() {
        assert_eq!(frame(b"abc").unwrap(), b"\0\0\0\0\x03abc");
        assert_eq!(frame(b"").unwrap(), b"\0\0\0\0\0");
        assert_eq!(frame(&[7; 258]).unwrap()[..6], [0, 0, 0, 1, 2, 7]);
    }

    #[test]
    fn messages_come_out_however_the_bytes_are_cut() {
        let wanted: [&[u8]; 4] = [b"one", b"", b"three", b"4"];
        let bytes: Vec<u8> = wanted.iter().flat_map(|message| frame(message).unwrap()).collect();
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::new(5);
            let found: Vec<_> = bytes.chunks(size).flat_map(|chunk| all(&mut decoder, chunk).unwrap()).collect();
            assert_eq!(found, wanted, "pieces of {size}");
            assert_eq!(decoder.end(), Ok(()));
        }
    }

    #[test]
    fn an_end_inside_of_a_frame_is_an_error() {
        let bytes = frame(b"ab").unwrap();
        for len in 1..bytes.len() {
            let mut decoder = Decoder::new(5);
            assert_eq!(all(&mut decoder, &bytes[..len]), Ok(vec![]));
            assert_eq!(decoder.end(), Err(FrameError::Truncated), "{len}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_by_its_head() {
        assert_eq!(all(&mut Decoder::new(5), b"\0\0\0\0\x06"), Err(FrameError::TooLarge { size: 6, limit: 5 }));
        assert!(all(&mut Decoder::new(5), b"\0\xff\xff\xff\xff").is_err());
        assert_eq!(all(&mut Decoder::new(0), b"\0\0\0\0\0"), Ok(vec![vec![]]));
    }

    #[test]
    fn flags_that_this_host_does_not_take_are_refused() {
        assert_eq!(all(&mut Decoder::new(5), b"\x01\0\0\0\x01x"), Err(FrameError::Compressed));
        assert_eq!(all(&mut Decoder::new(5), b"<html>"), Err(FrameError::Flag(b'<')));
    }
}
