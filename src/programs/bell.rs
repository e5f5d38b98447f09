//! How threads of programs wake up the loop that serves requests: a list of tokens, and a pipe that the loop watches. `run.rs` rings
//! it; the adapter has the end that is read, and asks for the tokens.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// One for a worker.
pub struct Bell {
    reader: PipeReader,
    writer: PipeWriter,
    /// Who has rung and has not been looked at.
    rung: Mutex<Vec<usize>>,
}

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> io::Result<Bell> {
        let (reader, writer) = io::pipe()?;
        for end in [reader.as_fd(), writer.as_fd()] {
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
        }
        Ok(Bell { reader, writer, rung: Mutex::default() })
    }

    /// The end that can be read when somebody has rung.
    pub fn end(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// Has the loop look at what the token means.
    pub fn ring(&self, token: usize) {
        let mut rung = self.rung();
        rung.push(token);
        if rung.len() == 1 {
            // There is a byte at most in the pipe for each time that the list was empty, and the loop takes all of them before it
            // empties the list. A full pipe is one that will be looked at.
            let _ = (&self.writer).write(&[1]);
        }
    }

    /// All tokens that were rung since this was asked last, and nothing in the pipe.
    pub fn take(&self) -> Vec<usize> {
        let mut bytes = [0; 64];
        while (&self.reader).read(&mut bytes).is_ok_and(|read| read == bytes.len()) {}
        std::mem::take(&mut *self.rung())
    }

    fn rung(&self) -> MutexGuard<'_, Vec<usize>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rung_is_told_once_and_the_pipe_is_empty_then() {
        let bell = Bell::new().unwrap();
        assert!(bell.take().is_empty());
        bell.ring(7);
        bell.ring(8);
        let mut byte = [0; 8];
        assert_eq!((&bell.reader).read(&mut byte).unwrap(), 1);
        bell.ring(7);
        assert_eq!(bell.take(), [7, 8, 7]);
        assert!(bell.take().is_empty());
        assert_eq!((&bell.reader).read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
