//! The functions that a plugin calls in the host: one table of names and types, and a file for each family.
//!
//! A host function gets its raw arguments and a [`HostCall`], through which it reaches what the host keeps of the instance, and the
//! [`World`](super::World). It answers a plain value, or a trap: what the reference host takes for an error ends the plugin there, too.
//! A handle that is given to one of them is freed, unless it is one of `memory.rs`. `Plugin` links imports by this table, `Instance`
//! dispatches calls through it. WASI's functions are in `crate::wasi`.

mod call;
mod config;
mod dispatch;
mod http;
mod input;
mod log;
mod memory;
mod table;
mod vars;

use call::Row;
pub(super) use dispatch::Dispatch;
#[cfg(all(test, feature = "wasmtime"))]
pub(super) use table::env;
pub(super) use table::{ENV, find, types};
