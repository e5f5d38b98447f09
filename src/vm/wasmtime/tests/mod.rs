//! What Wasmtime can do and other engines need not: a pool, images of instances, code for several engines, two targets.

mod contents;
mod pool;
mod reset;
mod reuse;
#[cfg(target_os = "linux")]
mod swap;
mod targets;

use std::sync::Arc;

use super::config::Contents;
use super::{CodePages, Target, WasmtimeEngine};
use crate::vm::tests::{SECOND, is_alone, linked, program, recorder};
use crate::vm::{CompileError, Engine, EngineOptions, Instance, InstanceLimits, InstanceStats, Program, Trap};

/// The target that tests run: machine code, or what the environment says.
fn target() -> Target {
    match std::env::var("NGX_WASM_TEST_ENGINE").as_deref() {
        #[cfg(feature = "pulley")]
        Ok("pulley") => Target::Pulley,
        Err(_) | Ok("wasmtime") => Target::Processor(CodePages::find().unwrap()),
        Ok(other) => panic!("NGX_WASM_TEST_ENGINE={other}"),
    }
}

/// All targets.
fn targets() -> Vec<Target> {
    vec![
        Target::Processor(CodePages::find().unwrap()),
        #[cfg(feature = "pulley")]
        Target::Pulley,
    ]
}

/// An engine that compiles to the target that tests run.
pub(in crate::vm) fn engine_of_tests(options: EngineOptions) -> WasmtimeEngine {
    WasmtimeEngine::for_target(target(), options).unwrap()
}
