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

//!
//! Most of it is in `nginx`, and stays there: the other rooms work with its handles. Where one has unsafe code all the same, an
//! `allow` says so, and each block is one operation with its reason.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod commands;
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod config;
mod content;
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod filters;
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod http;
mod lua;
#[allow(unsafe_code)]
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod module;
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod net;
#[allow(unsafe_code)]
mod nginx;
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod process;
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod programs;
#[allow(unsafe_code)]
#[deny(clippy::multiple_unsafe_ops_per_block)]
mod startup;
