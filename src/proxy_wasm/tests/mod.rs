//! Tests of the host with guests in WAT, run by the real engine in front of a host in memory. A file for each topic.

pub(crate) mod support;

mod allocator;
mod body_callbacks;
mod buffers;
mod capabilities;
mod contexts;
mod foreign_function;
mod fuel;
mod grpc;
mod header_callbacks;
mod higress;
mod host_calls;
mod http_call;
#[cfg(feature = "wasmtime")]
mod image;
mod local_response;
mod log;
mod maps;
mod metrics;
mod module_checks;
mod properties;
mod redis;
mod root_id;
mod runtime;
mod shared_data;
mod shared_queue;
mod start;
mod streams;
mod time;
mod trace;
mod traps;
