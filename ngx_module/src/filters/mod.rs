//! The running filters of a worker, of nginx.conf and of Lua: instances, ticks, queues, calls. Knows no HTTP request.

pub mod calls;
pub mod configured;
pub mod cycle;
pub mod instances;
pub mod queue_ready;
pub mod requests;
pub mod root_callback;
pub mod root_host;
pub mod startup;
pub mod ticks;
pub mod worker;
