//! WebAssembly VMs and the Proxy-Wasm host, free of nginx types.
//!
//! The nginx adapter (`ngx_module/`) owns one [`proxy_wasm::Module`] for every module that the configuration names,
//! starts one [`proxy_wasm::Vm`] for each filter in each worker, and answers the guest's host calls through its
//! implementation of [`proxy_wasm::Host`]. Engines live behind the traits in [`vm`]. The way of a stream through its filters
//! is in [`flow`]. [`programs`] run on threads of their own, and answer requests by themselves.

#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use proxy_wasm::fuzzing;

pub mod content_coding;
pub mod extism;
pub mod flow;
pub mod grpc;
pub mod net;
pub mod programs;
pub mod proxy_wasm;
pub mod redis;
pub mod restarts;
pub mod shared;
pub mod supply;
pub mod tokens;
pub mod vm;
mod wasi;
pub mod x509;
