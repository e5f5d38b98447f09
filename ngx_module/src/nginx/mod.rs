//! nginx's structures, made safe to use: headers, pools, chains, events, variables, memory zones. Knows no filter, no VM and no directive.

pub mod chunk;
pub mod cycle;
pub mod executor;
pub mod guard;
pub mod headers;
pub mod log;
pub mod module;
pub mod modules;
pub mod output;
pub mod place;
pub mod pool;
pub mod rc;
pub mod returns;
pub mod timer;
pub mod variables;
pub mod zone;
