//! Pieces of a body.

/// A piece of a body, as whoever has the network keeps it: its own buffers as long as nobody holds or changes them, bytes
/// after that.
pub trait Piece: From<Vec<u8>> {
    /// How many bytes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends up to `len` bytes, from `start` on, to `out`.
    fn read(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable>;

    /// The bytes, as our own. The buffers are free for their producer then.
    fn into_bytes(self) -> Result<Vec<u8>, Unreadable>;
}

impl Piece for Vec<u8> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn read(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        read(self, start, len, out);
        Ok(())
    }

    fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        Ok(self)
    }
}

pub(super) fn read(bytes: &[u8], start: usize, len: usize, out: &mut Vec<u8>) {
    let start = start.min(bytes.len());
    let end = start.saturating_add(len).min(bytes.len());
    out.extend_from_slice(&bytes[start..end]);
}

/// A part of a body in a file that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// What a piece carries beside bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Nothing comes after it.
    pub last: bool,
    /// It is to be sent at once.
    pub flush: bool,
    /// Its producer wants the memory back soon.
    pub recycled: bool,
}

impl Marks {
    /// Those of what a stage has held and lets go.
    pub(super) fn of_held(last: bool) -> Marks {
        Marks { last, flush: true, recycled: false }
    }
}
