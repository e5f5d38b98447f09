//! The running filters of a worker, of nginx.conf and of Lua: instances, ticks, queues, calls. Knows no HTTP request.

pub mod calls;
#[allow(unsafe_code)]
pub mod configured;
#[allow(unsafe_code)]
pub mod cycle;
pub mod instances;
pub mod queue_ready;
#[allow(unsafe_code)]
pub mod requests;
pub mod root_callback;
pub mod root_host;
#[allow(unsafe_code)]
pub mod startup;
pub mod ticks;
pub mod worker;
