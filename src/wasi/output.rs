//! What a guest prints: `fd_write` to standard output becomes log entries of level info, to standard error of level
//! error, a line each. Runtimes print a line in many pieces, so pieces are kept until their line ends or the callback.

use super::Errno;
use crate::proxy_wasm::{Host, HostCall, LogLevel, Row, Run, args};

pub(super) const TABLE: &[Row] = &[Row { name: "fd_write", types: &[("iiii", "i")], run: Run::Wasi(fd_write) }];

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// The longest line that is kept; what follows becomes the next one.
const LONGEST: usize = 4096;

/// Lines that have not ended yet.
#[derive(Default)]
pub(crate) struct Output {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Output {
    /// Logs what is left, at the end of a callback.
    pub fn flush(&mut self, host: &mut dyn Host) {
        for (line, level) in [(&mut self.out, LogLevel::Info), (&mut self.err, LogLevel::Error)] {
            if !line.is_empty() {
                host.log(level, line);
                line.clear();
            }
        }
    }

    fn write(&mut self, fd: u32, mut bytes: &[u8], host: &mut dyn Host) {
        let (line, level) =
            if fd == STDOUT { (&mut self.out, LogLevel::Info) } else { (&mut self.err, LogLevel::Error) };
        while !bytes.is_empty() {
            let room = LONGEST - line.len();
            let piece = &bytes[..bytes.len().min(room)];
            match piece.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    line.extend_from_slice(&piece[..end]);
                    bytes = &bytes[end + 1..];
                }
                None => {
                    line.extend_from_slice(piece);
                    bytes = &bytes[piece.len()..];
                    if line.len() < LONGEST {
                        continue;
                    }
                }
            }
            if !line.is_empty() {
                host.log(level, line);
                line.clear();
            }
        }
    }
}

/// What one call writes at most, and how many pieces it takes. Both keep a guest from making the host work for long in one
/// call; WASI allows to write less than asked.
const MOST: u32 = 64 << 10;
const MOST_PIECES: u32 = 1024;

fn fd_write(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    const IOVEC: u32 = 8;
    let [fd, iovs, count, written_at] = args(raw);
    if fd != STDOUT && fd != STDERR {
        return Err(Errno::BadF);
    }
    call.memory().check(iovs, u64::from(count) * u64::from(IOVEC))?;
    let mut written = 0u32;
    for n in 0..count.min(MOST_PIECES) {
        if written >= MOST {
            break;
        }
        let at = iovs + n * IOVEC;
        let memory = call.memory();
        let (ptr, len) = (memory.read_u32(at)?, memory.read_u32(at + 4)?);
        call.memory().check(ptr, u64::from(len))?;
        let len = len.min(MOST - written);
        written += len;
        call.with_bytes(ptr, len, |bytes, state, host| state.output.write(fd, bytes, host))?;
    }
    Ok(call.put_u32(written_at, written)?)
}
