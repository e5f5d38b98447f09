//! What directives do: a file for each, or each family. `commands.rs` gives their tables to nginx.

pub mod bodies;
pub mod calls;
#[allow(unsafe_code)]
mod directive;
pub mod engine;
mod file;
pub mod latency;
pub mod limits;
pub mod programs;
pub mod proxy_wasm;
pub mod responses;
pub mod rules;
pub mod shared_memory;
pub mod streams;
mod values;
pub mod wasm;
pub mod wasm_vm;

pub use directive::{ContentForm, Directive, Handler, METRICS_CONF, WASM_CONF, handle};
