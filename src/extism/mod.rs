//! The Extism host: what a plugin built with any Extism PDK finds around itself.
//!
//! [`Plugin`] checks and links a compiled module, an [`Instance`] runs functions of it, and the world outside (log, HTTP, time) is
//! whatever implements [`World`]. A function may wait, for an answer of another server or for a time, so an instance has a thread to
//! itself while it runs. [`Manifest`] says what a plugin may do, [`envelope`] makes requests and responses of HTTP into what
//! functions take and give. `kernel.rs` is the memory that plugin and host share, `host_calls/` has a file for each family of
//! functions that the plugin calls in the host.

mod blocks;
pub mod envelope;
mod failure;
mod fields;
mod host_calls;
mod host_pattern;
mod image;
mod instance;
mod kernel;
mod manifest;
mod plugin;
mod printed;
mod settings;
mod state;
mod surroundings;
// Plugins want an engine that lets them be watched.
#[cfg(feature = "wasmtime")]
#[cfg(test)]
mod tests;
mod vars;
mod watch;
mod world;

pub use failure::{Failure, Reason};
pub use image::InstanceImage;
pub use instance::Instance;
pub use manifest::{Manifest, ManifestError};
pub use plugin::{Plugin, PluginError, functions, is_of_pdk};
pub use settings::Settings;
pub use world::{HttpRequest, HttpResponse, Level, World};
