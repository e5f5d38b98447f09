//! Programs in a worker: what they start from, and the threads that they run on. Knows no HTTP request.

pub mod startup;
pub mod worker;
