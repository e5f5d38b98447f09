//! The names by which contexts and their streams are known, to the guest and to the embedder.

use std::hash::Hasher;

use std::fmt;

/// The number by which host and guest know a context; never 0, which is the VM itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextId(pub u32);

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the embedder gave a stream context when it made it, to find the stream again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamToken(pub usize);

/// Numbers that the host gives out: spreading them needs no cryptography.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
