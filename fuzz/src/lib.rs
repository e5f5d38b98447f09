//! The fuzz targets, as plain functions: each takes any bytes, and panics when a rule is broken. `fuzz_targets/` gives them to
//! libFuzzer, `bin/short.rs` runs them on what is in `corpus/` and on variations of that. What needs the inside of ngx-wasm
//! is in its module `fuzzing`.

mod cgi;
mod flow;
mod formats;
mod heads;
mod module;
pub mod seeds;
mod shared;

pub use cgi::cgi;
pub use flow::flow;
pub use formats::{capabilities, grpc, pairs, redis, target, x509};
pub use heads::heads;
pub use module::module;
pub use ngx_wasm::fuzzing::{foreign, host_calls, properties};
pub use shared::shared;

/// A target.
pub type Target = fn(&[u8]);

/// All targets by name; a folder of `corpus/` has the same.
pub const TARGETS: &[(&str, Target)] = &[
    ("capabilities", capabilities),
    ("cgi", cgi),
    ("flow", flow),
    ("foreign", foreign),
    ("grpc", grpc),
    ("heads", heads),
    ("host_calls", host_calls),
    ("module", module),
    ("pairs", pairs),
    ("properties", properties),
    ("redis", redis),
    ("shared", shared),
    ("target", target),
    ("x509", x509),
];
