//! The nginx module: everything that knows nginx, and nothing that needs no nginx to be tested.
//!
//! It has floors, lowest first: `nginx` makes nginx's structures safe to use; `net` reaches other services, `process` has what
//! a process has beside requests; `config` is what nginx.conf says; `filters` are the running filters of a worker; `http` is
//! one request and its filters; `content` and `lua` are other ways in; `module.rs` is what nginx loads. Who uses whom is
//! checked: docs/development.md.
//!
//! All `unsafe` of the project, outside of the engine backends, is in this crate. The rules that make it sound come from
//! nginx: one thread per process runs everything; a pool's memory lives until the pool is destroyed; configuration lives as
//! long as its cycle, and a request holds its cycle.

#![allow(clippy::missing_safety_doc)]
#![deny(unsafe_op_in_unsafe_fn)]

mod commands;
mod config;
mod content;
mod filters;
mod http;
mod lua;
mod module;
mod net;
mod nginx;
mod process;
