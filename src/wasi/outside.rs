//! What these functions want of the rest of the host.

/// The world around a guest.
pub(crate) trait Outside {
    /// The time, in nanoseconds since 1970.
    fn now(&self) -> u64;

    /// Takes a line, or a piece of a long one, that the guest has printed.
    fn print(&mut self, to: Stream, line: &[u8]);
}

/// Where a guest prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}
