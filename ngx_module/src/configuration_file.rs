//! `file=PATH` in `proxy_wasm` and `module`: a configuration of any bytes, of a size that nginx.conf has no room for. The
//! master reads the file (`startup.rs`), each time that it reads nginx.conf; workers have what it has read.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The largest. Each instance of a filter has a copy, and guests make more.
const LIMIT: usize = 16 << 20;

/// All of a file. The error says why not.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for who writes to it.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|err| err.to_string())?;
    let kind = file.metadata().map_err(|err| err.to_string())?.file_type();
    if !kind.is_file() {
        return Err(if kind.is_dir() { "it is a directory" } else { "it is not a regular file" }.into());
    }
    let mut bytes = Vec::new();
    file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(|err| err.to_string())?;
    if bytes.len() > LIMIT {
        return Err(format!("it is larger than {} MiB, the most that a configuration may have", LIMIT >> 20));
    }
    Ok(bytes)
}
