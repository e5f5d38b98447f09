//! The WasmEdge backend, over the C API of a library that is opened when it is needed (`library.rs`, `types.rs`). `engine.rs` compiles, in
//! another process (`compile.rs`), `module.rs` links, `program.rs` makes instances, `instance.rs` keeps them, and `call.rs` calls in both
//! directions; `executor.rs`, `deadline.rs`, `tables.rs` and `address_space.rs` say what limits them, `setup.rs` how WasmEdge is set up,
//! `trap.rs` what went wrong.
//!
//! A process has either this engine or Wasmtime: both want the signals by which they know of traps (`signals.rs`, `parked.rs`).

mod address_space;
mod ast;
mod call;
mod compile;
mod deadline;
mod engine;
mod entries;
mod executor;
mod instance;
mod library;
mod linked;
mod module;
mod parked;
mod program;
mod setup;
mod shared;
mod signals;
mod tables;
mod trap;
mod types;

// Of this engine: tests have Wasmtime where there is both.
#[cfg(all(test, not(feature = "wasmtime")))]
pub(super) mod tests;

pub use engine::WasmEdgeEngine;
