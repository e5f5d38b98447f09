//! `file=PATH` in `proxy_wasm` and `module`, in the place of a configuration.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::wasm::full_name;
use super::{Directive, shown};

/// What tells a file from a configuration.
const FILE: &[u8] = b"file=";

/// The file that a word names, if it does. Relative paths start at the folder of nginx.conf.
pub(super) fn named(directive: &Directive, word: &[u8]) -> Result<Option<PathBuf>, String> {
    match word.strip_prefix(FILE) {
        None => Ok(None),
        Some(b"") => {
            Err(format!("\"file=\" of \"{}\" lacks the path of a file", shown(directive.word(0).unwrap_or_default())))
        }
        // SAFETY: nginx is reading the directive.
        Some(path) => Ok(Some(PathBuf::from(OsString::from_vec(unsafe { full_name(directive.cf, path, 1) }?)))),
    }
}
