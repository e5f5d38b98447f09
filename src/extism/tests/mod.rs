//! Tests of the host with plugins in WAT, run by the real engine in front of a world in memory. A file for each topic.

pub(crate) mod support;

mod config_and_vars;
mod failures;
mod http;
mod input_and_output;
mod log;
mod memory;
mod plugin_checks;
mod put_back;
mod ready_plugins;
mod start;
mod wasi;
