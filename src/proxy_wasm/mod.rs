//! The Proxy-Wasm host: what a filter built with any Proxy-Wasm SDK finds around itself.
//!
//! [`Module`] checks and links a compiled module, [`Vm`] is a running instance with its contexts, and the world outside
//! (requests, logs, clocks) is whatever implements [`Host`]. `callbacks.rs` lists what the host calls in the guest,
//! `host_calls/` has a file for each family of functions that the guest calls in the host.

mod allow;
mod body;
mod callbacks;
mod calls;
mod capabilities;
mod config;
mod context;
mod delivery;
mod errors;
#[cfg(any(test, feature = "fuzzing"))]
mod fake_host;
mod filter_state;
mod foreign;
mod fuel;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host;
mod host_calls;
mod ids;
mod image;
mod in_flight;
mod last_words;
mod module;
mod pairs;
mod properties;
mod redis_services;
mod root_id;
mod state;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod trace;
mod trap_report;
mod types;
mod vm;

pub use body::splice;
pub use callbacks::Callback;
pub use calls::{CallCommand, CallFailure, CallId, GrpcCall, HttpAnswer, HttpCall, RedisCall, Scheme, UnsendableCall};
pub use capabilities::Capabilities;
pub use config::{RootConfig, VmConfig};
pub use errors::{CallError, StartError};
pub use filter_state::{FilterState, LifeSpan};
pub use host::{Host, HostHealth, LocalResponse, UpstreamHost};
pub use ids::{ContextId, StreamToken};
pub use image::VmImage;
pub use last_words::LastWords;
pub use module::{Module, ModuleError};
pub use pairs::Pairs;
pub use root_id::RootIdUse;
pub use types::{AbiVersion, Action, BufferType, LogLevel, MapType, Status, StreamType};
pub use vm::Vm;
