//! What these functions want of the rest of the host.

use std::time::Instant;

use super::errno::Errno;

/// The world around a guest.
pub(crate) trait Outside {
    /// The time, in nanoseconds since 1970.
    fn now(&self) -> u64;

    /// Takes a line, or a piece of a long one, that the guest has printed.
    fn print(&mut self, to: Stream, line: &[u8]);

    /// What a program has that a filter has not. `None`: the guest is a filter, whose standard output goes to the log, and which must
    /// not wait for anything.
    fn process(&mut self) -> Option<&mut dyn Process> {
        None
    }
}

/// Where a guest prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a program has: arguments, an environment, an input and an output. It has a thread of its own, and so may wait.
///
/// When whoever wants its output has gone, all of it fails at once, and the engine ends the guest soon.
pub(crate) trait Process {
    /// Its arguments; the first is what it is called.
    fn arguments(&self) -> &[Vec<u8>];

    /// `NAME=VALUE`, each.
    fn environment(&self) -> &[Vec<u8>];

    /// Reads from its standard input, waiting until there is something. How many bytes; 0 is the end, or no room to read into.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno>;

    /// Writes to its standard output, waiting until there is room. How many of the bytes it took, which may be fewer than there are.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno>;

    /// Waits until one of what is `wanted` can go on without waiting, or until this time has come (`None`: for any time). What can go
    /// on; neither of them when the time has come.
    fn wait(&mut self, wanted: Ready, until: Option<Instant>) -> Result<Ready, Errno>;
}

/// Which of the standard streams of a program can go on without waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// There is something to read, or it is at its end.
    pub input: bool,
    /// There is room to write.
    pub output: bool,
}
