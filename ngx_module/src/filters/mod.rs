//! The running filters of a worker: instances, ticks, queues, calls. Knows no HTTP request.

pub mod calls;
pub mod instances;
pub mod queue_ready;
pub mod startup;
pub mod ticks;
pub mod worker;
