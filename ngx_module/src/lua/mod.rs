//! The way in from Lua: the C functions that `lua/resty/proxy-wasm.lua` calls through LuaJIT's FFI (`ffi.rs`). They have the names
//! that Apache APISIX's module for nginx gave them. `plugin.rs` and `context.rs` have what stands behind the pointers, `run.rs` and
//! `body.rs` the callbacks; `pause.rs` is for requests that wait for a filter, and `runs.rs` for what is kept in one.
//!
//! What Lua loads runs in instances, as filters of nginx.conf do (`filters/instances/`). `module.rs` says what differs.
//!
//! The Lua module of nginx need not be there: nothing here uses it.

mod body;
mod context;
#[allow(unsafe_code)]
mod ffi;
mod module;
mod pause;
mod plugin;
mod root_id;
mod run;
mod runs;
