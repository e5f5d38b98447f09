//! What a program sees of its host: its arguments and environment, the body of the request as its input, and a run that takes its
//! output. `perform.rs` makes one for each run; `wasi` asks it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::run::{Run, Stopped};
use crate::extism::Level;
use crate::wasi::{Errno, Outside, Process, Ready, Stream};

/// The input of a program.
pub enum Input {
    /// All of it is there, in these pieces.
    Whole(Vec<Piece>),
    /// It comes by [`Run::give`].
    Streamed,
}

/// A piece of input.
pub enum Piece {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, from one place up to another.
    File {
        /// That file.
        file: File,
        /// Where the next byte is.
        from: u64,
        /// Where it ends.
        to: u64,
    },
}

impl Input {
    /// All of it, if it is no longer than this.
    pub(super) fn read_all(self, run: &Run, longest: u64) -> Result<Vec<u8>, NotRead> {
        let mut world = World::new(run, &[], &[], self);
        let mut all = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match world.read(&mut piece).map_err(|_| NotRead::Failed)? {
                0 => return Ok(all),
                read if all.len() as u64 + read as u64 > longest => return Err(NotRead::TooLong),
                read => all.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// How many bytes there are, if all of them are there.
    pub fn known_len(&self) -> Option<u64> {
        let Input::Whole(pieces) = self else { return None };
        let len = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { from, to, .. } => to.saturating_sub(*from),
        };
        Some(pieces.iter().map(len).sum())
    }
}

/// Why input is not there as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRead {
    TooLong,
    Failed,
}

pub(super) struct World<'a> {
    pub run: &'a Run,
    pub arguments: &'a [Vec<u8>],
    pub environment: &'a [Vec<u8>],
    /// What has not been read is at the end, the first last.
    pieces: Vec<Piece>,
    /// How much of the last piece in memory has been read.
    read: usize,
    is_streamed: bool,
}

impl<'a> World<'a> {
    pub fn new(run: &'a Run, arguments: &'a [Vec<u8>], environment: &'a [Vec<u8>], input: Input) -> World<'a> {
        let (mut pieces, is_streamed) = match input {
            Input::Whole(pieces) => (pieces, false),
            Input::Streamed => (Vec::new(), true),
        };
        pieces.reverse();
        World { run, arguments, environment, pieces, read: 0, is_streamed }
    }

    /// Reads from what is there as a whole.
    fn read_whole(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        while let Some(piece) = self.pieces.last_mut() {
            let read = match piece {
                Piece::Bytes(bytes) => {
                    let unread = &bytes[self.read..];
                    let read = unread.len().min(into.len());
                    into[..read].copy_from_slice(&unread[..read]);
                    self.read += read;
                    read
                }
                Piece::File { file, from, to } => {
                    let most = usize::try_from(to.saturating_sub(*from)).unwrap_or(usize::MAX).min(into.len());
                    let read = file.read_at(&mut into[..most], *from)?;
                    // A file that is shorter than was said is one that somebody has cut.
                    if read == 0 && most > 0 {
                        return Err(Errno::Io);
                    }
                    *from += read as u64;
                    read
                }
            };
            if read > 0 || into.is_empty() {
                self.run.sign();
                return Ok(read);
            }
            self.pieces.pop();
            self.read = 0;
        }
        Ok(0)
    }
}

impl From<Stopped> for Errno {
    fn from(Stopped: Stopped) -> Errno {
        Errno::Io
    }
}

impl Outside for World<'_> {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    }

    fn print(&mut self, _: Stream, line: &[u8]) {
        // Where nobody waits for the program, nobody reads what it prints.
        let _ = self.run.print(Level::Error, line);
    }

    fn process(&mut self) -> Option<&mut dyn Process> {
        Some(self)
    }
}

impl Process for World<'_> {
    fn arguments(&self) -> &[Vec<u8>] {
        self.arguments
    }

    fn environment(&self) -> &[Vec<u8>] {
        self.environment
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        if self.is_streamed { Ok(self.run.read(into)?) } else { self.read_whole(into) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        Ok(self.run.write(bytes)?)
    }

    fn wait(&mut self, wanted: Ready, until: Option<Instant>) -> Result<Ready, Errno> {
        if wanted.input && !self.is_streamed {
            // It need not wait for that; whether it can write is found out without waiting, too.
            let output = wanted.output && self.run.wait(wanted, Some(Instant::now()))?.output;
            return Ok(Ready { input: true, output });
        }
        Ok(self.run.wait(wanted, until)?)
    }
}
