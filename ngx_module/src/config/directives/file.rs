//! `file=PATH` in `proxy_wasm` and `module`, in the place of a configuration.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::Directive;
use crate::nginx::conf::Base;

/// What tells a file from a configuration.
const FILE: &[u8] = b"file=";

/// The file that a word names, if it does. Relative paths start at the folder of nginx.conf.
pub(super) fn named(directive: &Directive, word: &[u8]) -> Result<Option<PathBuf>, String> {
    match word.strip_prefix(FILE) {
        None => Ok(None),
        Some(b"") => Err(format!("\"file=\" of \"{}\" lacks the path of a file", directive.name())),
        Some(path) => Ok(Some(PathBuf::from(OsString::from_vec(directive.full_name(path, Base::Conf)?)))),
    }
}
