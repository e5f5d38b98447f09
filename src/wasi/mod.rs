//! The part of WASI preview 1 that runtimes of Proxy-Wasm guests need: output to the log, clocks, random numbers, the
//! environment, and files of the directories, that the configuration grants. `proxy_wasm::host_calls` links it, and gives it
//! what it wants of the rest of the host (`outside.rs`). Programs have more: arguments, an environment of each run, an input and
//! an output; and they may wait. `Outside::process` tells the two apart. Source: the WASI preview 1 witx definitions.

mod call;
mod clock;
mod descriptors;
mod disks;
mod environ;
mod errno;
mod files;
mod grants;
mod lines;
mod listing;
mod output;
mod outside;
mod paths;
mod poll;
mod process;
mod random;
mod stat;
mod streams;
#[cfg(test)]
mod tests;
mod vectors;

pub(crate) use call::{Call, Row, Run, State};
pub(crate) use descriptors::Descriptors;
pub(crate) use errno::Errno;
pub(crate) use grants::Grant;
pub(crate) use outside::{Outside, Process, Ready, Stream};

/// All functions, a table for each file.
pub(crate) const TABLES: &[&[Row]] = &[
    clock::TABLE,
    disks::TABLE,
    environ::TABLE,
    files::TABLE,
    output::TABLE,
    paths::TABLE,
    poll::TABLE,
    process::TABLE,
    random::TABLE,
];
