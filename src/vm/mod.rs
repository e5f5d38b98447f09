//! The seam between this crate and a WebAssembly engine.
//!
//! An [`Engine`] compiles bytes to a [`Module`]; linking it against host functions gives a [`Program`], which can be
//! shared by threads and inherited through `fork`; a program starts [`Instance`]s. Host functions are numbers here:
//! whoever calls into the guest passes a [`HostFunctions`] that dispatches them. Backends are files beside this one;
//! `proxy_wasm` is the caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

mod clock;
mod error;
mod memory;
#[cfg(feature = "wasmtime")]
pub mod wasmtime;

pub use clock::{Activity, TICK, Ticker};
pub use error::{CompileError, LinkError, Trap};
pub use memory::{GuestMemory, OutOfBounds};

/// A type of a WebAssembly value, as far as host functions and callbacks use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValType {
    /// 32-bit integer; also every guest pointer and size.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float; no host function takes one.
    F32,
    /// 64-bit float; no host function takes one.
    F64,
    /// Vectors and references; no host function takes one.
    Other,
}

/// The type of a function that a module imports or exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuncType {
    /// Types of the parameters.
    pub params: Vec<ValType>,
    /// Types of the results.
    pub results: Vec<ValType>,
}

/// What a module wants from, or offers to, the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A linear memory.
    Memory,
    /// Anything else, with the name of its kind ("global", "table", "tag").
    Other(&'static str),
}

/// One import of a module.
#[derive(Clone, Debug)]
pub struct Import {
    /// First name, such as `env`.
    pub module: String,
    /// Second name, such as `proxy_log`.
    pub name: String,
    /// What the module expects there.
    pub ty: ExternType,
}

/// One export of a module.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub ty: ExternType,
}

/// An import together with the number by which the host knows the function that serves it.
#[derive(Clone, Debug)]
pub struct LinkedImport {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// The type that the module declares.
    pub ty: FuncType,
    /// The number passed to [`HostFunctions::call`].
    pub function: u32,
}

/// Caps that hold for the whole life of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Largest linear memory, in bytes. Growing past it is refused, as `memory.grow` may be.
    pub memory: usize,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        InstanceLimits { memory: 128 << 20 }
    }
}

/// A WebAssembly engine, one per process and kind.
pub trait Engine: Send + Sync {
    /// The name that `wasm_vm` knows it by.
    fn name(&self) -> &'static str;

    /// Compiles a binary module, or text in the WAT format. Starts no thread.
    fn compile(&self, bytes: &[u8]) -> Result<Arc<dyn Module>, CompileError>;

    /// Moves the clock of all deadlines on by one [`TICK`]. Callable from any thread and from a signal handler.
    fn tick(&self);

    /// Tells a [`Ticker`] whether guest code is running.
    fn activity(&self) -> &Arc<Activity>;
}

/// A compiled module.
pub trait Module: Send + Sync {
    /// Everything that it wants.
    fn imports(&self) -> Vec<Import>;

    /// Everything that it offers.
    fn exports(&self) -> Vec<Export>;

    /// Prepares everything that does not depend on an instance. `exports` are the names of the functions that will be
    /// called; their places in the slice are the numbers that [`Instance::call`] takes.
    fn link(&self, imports: &[LinkedImport], exports: &[&'static str]) -> Result<Arc<dyn Program>, LinkError>;
}

/// A compiled and linked module.
pub trait Program: Send + Sync {
    /// Starts an instance; `host` serves what a start function of the module may call.
    fn instantiate(
        &self,
        limits: InstanceLimits,
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<Box<dyn Instance>, Trap>;
}

/// A running instance. After a [`Trap`] it must not be called again.
pub trait Instance {
    /// Calls export number `export` with 32-bit arguments.
    ///
    /// The result is that of the function, or 0 when it has none. An export that the module does not have traps.
    fn call(
        &mut self,
        export: usize,
        args: &[u32],
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<u32, Trap>;

    /// Bytes of linear memory in use.
    fn memory_size(&mut self) -> usize;
}

/// The guest as a host function sees it.
pub trait Caller {
    /// The guest's memory; empty when it has none.
    fn memory(&mut self) -> GuestMemory<'_>;

    /// Calls back into the guest, within the deadline of the outer call.
    fn call(&mut self, export: usize, args: &[u32], host: &mut dyn HostFunctions) -> Result<u32, Trap>;
}

/// Serves the host calls of one guest call.
pub trait HostFunctions {
    /// Runs host function number `function`. Integers arrive zero-extended to 64 bits; a result is truncated to the
    /// declared type, or dropped when the guest declared none.
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap>;
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::Other => "ref",
        })
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternType::Func(ty) => write!(f, "func {ty}"),
            ExternType::Memory => f.write_str("memory"),
            ExternType::Other(kind) => f.write_str(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_as_in_the_specification() {
        let ty = FuncType { params: vec![ValType::I32, ValType::I64, ValType::Other], results: vec![ValType::F64] };
        assert_eq!(ExternType::Func(ty).to_string(), "func (i32, i64, ref) -> (f64)");
        assert_eq!(FuncType { params: vec![], results: vec![] }.to_string(), "() -> ()");
        assert_eq!(ExternType::Memory.to_string(), "memory");
        assert_eq!(ExternType::Other("tag").to_string(), "tag");
    }

    #[test]
    fn a_guest_has_128_mib_unless_told_otherwise() {
        assert_eq!(InstanceLimits::default().memory, 128 * 1024 * 1024);
    }
}
