//! What Wasmtime can do and other engines need not: a pool, images of instances, code for several engines.

mod pool;
mod reset;
mod reuse;
#[cfg(target_os = "linux")]
mod swap;

use std::sync::Arc;

use super::WasmtimeEngine;
use crate::vm::tests::{SECOND, is_alone, linked, program, recorder};
use crate::vm::{CompileError, Engine, EngineOptions, Instance, InstanceLimits, InstanceStats, Program, Trap};
