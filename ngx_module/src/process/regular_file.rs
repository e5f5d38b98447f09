//! Files that the master reads while it reads nginx.conf: modules and configurations. One that is none, or has no end, must
//! not keep nginx from starting, or from going on after a reload, without a word.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// All of a file that has `most` bytes at most. The error says why not; `what` is what may not have more.
pub fn read(path: &Path, most: usize, what: &str) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for who writes to it.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|err| match err.kind() {
        ErrorKind::PermissionDenied => format!("{err}: the user who starts nginx needs the right to read it"),
        _ => err.to_string(),
    })?;
    let metadata = file.metadata().map_err(|err| err.to_string())?;
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" }.into());
    }
    let too_large = || format!("it is larger than {} MiB, the most that {what} may have", most >> 20);
    if metadata.len() > most as u64 {
        return Err(too_large());
    }
    // It may grow, or not tell its size.
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|err| err.to_string())?;
    if bytes.len() > most { Err(too_large()) } else { Ok(bytes) }
}

/// By what one sees that a file is another one than it was, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

/// That of a file; `None`: it cannot be seen now.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let seen = fs::metadata(path).ok()?;
    Some(Stamp { device: seen.dev(), inode: seen.ino(), size: seen.size(), changed: (seen.mtime(), seen.mtime_nsec()) })
}
