//! The functions that a guest calls in the host: one table of names and types, and a file for each family.
//!
//! A host function gets its raw arguments and a [`HostCall`], through which it reaches guest memory, the VM's contexts
//! and the [`Host`]. It answers `Ok(())`, a status for the guest, or a trap. `Module` links imports by this table,
//! `Vm` dispatches calls through it. WASI's functions are in `crate::wasi`.

mod buffers;
mod call;
mod calls;
mod contexts;
mod foreign_function;
mod grpc;
mod grpc_service;
mod header_maps;
mod higress;
mod http_call;
mod local_response;
mod log;
mod metrics;
mod properties;
mod redis;
mod runtime;
mod shared_data;
mod shared_queue;
mod streams;
mod table;
mod time;
mod traced;

use crate::vm::args;
pub(super) use call::Dispatch;
pub(super) use call::{Denied, Failure, HostCall, Row, Run, shown};
pub(super) use table::{families, family, find, functions, row, rows};
