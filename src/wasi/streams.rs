//! The standard streams. Those of a filter are character devices that lead to the log. Those of a program are pipes, as a web
//! server gives them to a CGI program: here they are read and written; its standard error leads to the log as well
//! (`output.rs`). `files.rs` and `output.rs` call.

use std::time::Instant;

use super::call::Call;
use super::stat::{
    CHARACTER_DEVICE, FDSTAT, FILESTAT, FLAG_NONBLOCK, RIGHT_FD_FDSTAT_SET_FLAGS, RIGHT_FD_FILESTAT_GET, RIGHT_FD_READ,
    RIGHT_FD_WRITE, RIGHT_POLL_FD_READWRITE, UNKNOWN,
};
use super::vectors::Vectors;
use super::{Errno, Outside, Process, Ready};

pub(super) const STDIN: u32 = 0;
pub(super) const STDOUT: u32 = 1;
pub(super) const STDERR: u32 = 2;

/// What the streams of a program are. WASI has no pipes; and C libraries take character devices without a place to seek to for
/// terminals, to which they write line by line, some programs in colours.
const PIPE: u8 = UNKNOWN;

/// The type of the standard streams.
fn file_type(call: &mut Call<'_>) -> u8 {
    if call.is_program() { PIPE } else { CHARACTER_DEVICE }
}

/// What is known of a standard stream.
pub(super) fn fdstat(call: &mut Call<'_>, fd: u32) -> [u8; FDSTAT] {
    let mut out = [0; FDSTAT];
    out[0] = file_type(call);
    let mut rights = if fd == STDIN { RIGHT_FD_READ } else { RIGHT_FD_WRITE };
    if call.is_program() {
        rights |= RIGHT_FD_FDSTAT_SET_FLAGS | RIGHT_FD_FILESTAT_GET | RIGHT_POLL_FD_READWRITE;
        let flags = if call.state.nonblocking[fd as usize] { FLAG_NONBLOCK } else { 0 };
        out[2..4].copy_from_slice(&flags.to_le_bytes());
    }
    out[8..16].copy_from_slice(&rights.to_le_bytes());
    out
}

/// What else is known of a standard stream.
pub(super) fn filestat(call: &mut Call<'_>) -> [u8; FILESTAT] {
    let mut out = [0; FILESTAT];
    out[16] = file_type(call);
    out
}

/// A program may choose not to wait. All other flags, and all those of a filter, have no meaning for a stream.
pub(super) fn set_flags(call: &mut Call<'_>, fd: u32, flags: u32) {
    if call.is_program() {
        call.state.nonblocking[fd as usize] = flags & u32::from(FLAG_NONBLOCK) != 0;
    }
}

/// `fd_read` from the standard input of a program. It waits for the first bytes, and not for more.
pub(super) fn read(call: &mut Call<'_>, vectors: Vectors) -> Result<(), Errno> {
    vectors.transfer(call, |call, (ptr, len), moved| {
        if len == 0 {
            return Ok(0);
        }
        let waits = moved == 0 && !call.state.nonblocking[STDIN as usize];
        call.fill(ptr, len, |bytes, _, host| {
            let process = process(host)?;
            if !waits && !at_once(process, Ready { input: true, output: false })?.input {
                return Err(Errno::Again);
            }
            Ok(process.read(bytes)? as u32)
        })?
    })
}

/// `fd_write` to the standard output of a program. The first piece is written whole, for many a program does not look at how much
/// was; behind it nothing waits.
pub(super) fn write(call: &mut Call<'_>, vectors: Vectors) -> Result<(), Errno> {
    vectors.transfer(call, |call, (ptr, len), moved| {
        if len == 0 {
            return Ok(0);
        }
        let waits = moved == 0 && !call.state.nonblocking[STDOUT as usize];
        call.with_bytes(ptr, len, |bytes, _, host| {
            let process = process(host)?;
            if waits {
                return write_whole(process, bytes);
            }
            if !at_once(process, Ready { input: false, output: true })?.output {
                return Err(Errno::Again);
            }
            Ok(process.write(bytes)? as u32)
        })?
    })
}

/// How many bytes were written: all, unless that fails in between.
fn write_whole(process: &mut dyn Process, bytes: &[u8]) -> Result<u32, Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match process.write(&bytes[done..]) {
            Ok(0) => break,
            Ok(more) => done += more,
            // The next call learns of it.
            Err(_) if done > 0 => break,
            Err(err) => return Err(err),
        }
    }
    Ok(done as u32)
}

/// Which of these can go on now.
fn at_once(process: &mut dyn Process, wanted: Ready) -> Result<Ready, Errno> {
    process.wait(wanted, Some(Instant::now()))
}

/// Only a program has streams to read and write.
pub(super) fn process(host: &mut dyn Outside) -> Result<&mut dyn Process, Errno> {
    host.process().ok_or(Errno::BadF)
}
