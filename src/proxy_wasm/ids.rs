//! The names by which contexts and their streams are known, to the guest and to the embedder.

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
