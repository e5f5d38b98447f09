//! The nginx module: everything that knows nginx, and nothing that needs no nginx to be tested.
//!
//! `module.rs` is what nginx loads; `directives/` fills the configuration that `conf.rs` describes; `startup.rs` checks it
//! in the master; `worker.rs` starts a worker, `instances/` has its running filters; `phases/` are the entry points of a request, whose
//! filters reach it through `host.rs`, `headers/` and `properties/`; `calls/` does what they ask of
//! other services, by means of `net/`, and `upstreams/` what they ask of nginx' own; `lua/` is the way in from Lua.
//!
//! All `unsafe` of the project, outside of the engine backends, is in this crate. The rules that make it sound come from
//! nginx: one thread per process runs everything; a pool's memory lives until the pool is destroyed; configuration lives as
//! long as its cycle, and a request holds its cycle.

#![allow(clippy::missing_safety_doc)]
#![deny(unsafe_op_in_unsafe_fn)]

mod body_limit;
mod calls;
mod chains;
mod conf;
mod configuration_file;
mod cpu_clock;
mod directives;
mod engine;
mod filter_state;
mod flow;
mod guard;
mod headers;
mod host;
mod instances;
mod local_response;
mod log;
mod log_rate;
mod lua;
mod metrics_page;
mod module;
mod modules;
mod net;
mod phase_notes;
mod phases;
mod pool;
mod properties;
mod queue_ready;
mod rc;
mod regular_file;
mod report;
mod request;
mod rules;
mod shared_memory;
mod startup;
mod status;
mod supply;
mod text_page;
mod ticks;
mod upstreams;
mod worker;
