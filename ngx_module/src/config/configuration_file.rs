//! `file=PATH` in `proxy_wasm` and `module`: a configuration of any bytes, of a size that nginx.conf has no room for. The
//! master reads the file (`startup.rs`), each time that it reads nginx.conf; workers have what it has read.

use std::path::Path;

use crate::process::regular_file;

/// The largest. Each instance of a filter has a copy, and guests make more.
const LIMIT: usize = 16 << 20;

/// All of a file. The error says why not.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    regular_file::read(path, LIMIT, "a configuration")
}
