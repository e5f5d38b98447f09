//! The part of WASI preview 1 that runtimes of Proxy-Wasm guests need: output to the log, clocks, random numbers, an
//! empty environment, and files of the directories that the configuration grants. `proxy_wasm::host_calls` links it; source:
//! the WASI preview 1 witx definitions.

mod clock;
mod descriptors;
mod environ;
mod errno;
mod files;
mod grants;
mod listing;
mod output;
mod paths;
mod process;
mod random;
mod stat;
#[cfg(test)]
mod tests;
mod vectors;

pub(crate) use descriptors::Descriptors;
pub(crate) use errno::Errno;
pub(crate) use grants::Grant;
pub(crate) use output::Output;

use crate::proxy_wasm::Row;

/// All functions, a table for each file.
pub(crate) const TABLES: &[&[Row]] =
    &[clock::TABLE, environ::TABLE, files::TABLE, output::TABLE, paths::TABLE, process::TABLE, random::TABLE];
