//! The part of WASI preview 1 that runtimes of Proxy-Wasm guests need: output to the log, clocks, random numbers, an
//! empty environment, no files. `proxy_wasm::host_calls` links it; source: the WASI preview 1 witx definitions.

mod clock;
mod environ;
mod files;
mod output;
mod process;
mod random;

pub(crate) use output::Output;

use crate::proxy_wasm::Row;
use crate::vm::OutOfBounds;

/// All functions, a table for each file.
pub(crate) const TABLES: &[&[Row]] =
    &[clock::TABLE, environ::TABLE, files::TABLE, output::TABLE, process::TABLE, random::TABLE];

/// The error numbers of WASI that these functions answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Errno {
    /// Not open.
    BadF = 8,
    /// A pointer leads outside memory.
    Fault = 21,
    /// An argument has no meaning.
    Inval = 28,
    /// The host failed.
    Io = 29,
    /// No such file; nothing is granted.
    NoEnt = 44,
    /// Not supported.
    NotSup = 58,
    /// Not something to seek in.
    SPipe = 70,
}

impl From<OutOfBounds> for Errno {
    fn from(_: OutOfBounds) -> Self {
        Errno::Fault
    }
}
