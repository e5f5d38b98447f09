//! The seam between this crate and a WebAssembly engine.
//!
//! An [`Engine`] compiles bytes to a [`Module`]; linking it against host functions gives a [`Program`], which can be
//! shared by threads and inherited through `fork`; a program starts [`Instance`]s. Host functions are numbers here:
//! whoever calls into the guest passes a [`HostFunctions`] that dispatches them. Backends are files beside this one;
//! `proxy_wasm` is the caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

mod arguments;
mod clock;
#[cfg(any(feature = "wasmtime", feature = "wasmedge"))]
mod content;
mod deadline;
mod error;
#[cfg(any(feature = "wasmtime", feature = "wasmedge"))]
mod function_names;
// Wasmtime alone makes images.
#[cfg_attr(not(feature = "wasmtime"), allow(dead_code))]
mod image;
mod import_origin;
pub(crate) mod imports;
mod memory;
#[cfg(any(feature = "wasmtime", feature = "wasmedge"))]
mod outline;
#[cfg(any(feature = "wasmtime", feature = "wasmedge"))]
mod sections;
#[cfg(any(feature = "wasmtime", feature = "wasmedge"))]
mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod trusted;
#[cfg(all(
    feature = "wasmedge",
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub mod wasmedge;
#[cfg(feature = "wasmtime")]
pub mod wasmtime;

pub(crate) use arguments::args;
pub(crate) use clock::cpu_time;
pub use clock::{Activity, TICK, Ticker};
pub use deadline::{Deadline, Watch};
pub use error::{CompileError, LinkError, Trap};
pub use image::Image;
pub use imports::ImportError;
pub use memory::{GuestMemory, OutOfBounds};
pub use trusted::TrustedCode;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// First name, such as `env`.
    pub module: String,
    /// Second name, such as `proxy_log`.
    pub name: String,
    /// What the module expects there.
    pub ty: ExternType,
}

/// One export of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub ty: ExternType,
}

/// All that a module wants and offers: enough to know whether something can be made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Everything that it wants.
    pub imports: Vec<Import>,
    /// Everything that it offers.
    pub exports: Vec<Export>,
}

impl Outline {
    /// What a compiled module says of itself.
    pub fn of(module: &dyn Module) -> Outline {
        Outline { imports: module.imports(), exports: module.exports() }
    }
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

/// What an engine is made for. Modules that one engine compiled run in another only if both have the same options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Guests can be given a budget of instructions; that makes them slower.
    pub fuel: bool,
    /// Backtraces have files and lines, where a module has debug information. It takes memory.
    pub backtrace_details: bool,
    /// The process may have little address space: memories reserve none beyond what they use, and guest code is slower.
    pub saves_address_space: bool,
    /// Room that is kept for instances that come and go.
    pub pool: Option<PoolOptions>,
    /// What the compiler takes its time for.
    pub optimize: Optimize,
}

/// Which modules are compiled to code that is fast, and takes long to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimize {
    /// Those for which the engine's compiler does not take minutes.
    #[default]
    Auto,
    /// All.
    On,
    /// None.
    Off,
}

/// Room for instances, made once. Each process that is forked afterwards has it to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// How many instances there is room for.
    pub instances: u32,
    /// Address space for the memory of each, in bytes, beyond which it cannot grow. Below 4 GiB guest code is slower.
    pub memory: u64,
}

/// Caps that hold for the whole life of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Largest linear memory, in bytes. Growing past it is refused, as `memory.grow` may be.
    pub memory: usize,
    /// Whether it is to be made in the pool. If that is full, or the engine has none, it is made elsewhere.
    pub pooled: bool,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        InstanceLimits { memory: 128 << 20, pooled: false }
    }
}

/// What is known of a running instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceStats {
    /// Bytes of linear memory.
    pub memory: usize,
    /// How often its memory or a table was to grow, and did not.
    pub refused_growth: u64,
    /// Whether it has its place in the pool.
    pub pooled: bool,
}

/// What each host call takes from a guest that has a budget ([`EngineOptions::fuel`]): about as long as so many
/// instructions of a guest take.
pub const HOST_CALL_FUEL: u64 = 100;
/// What a host call copies out of guest memory or into it takes one unit for so many bytes.
pub const BYTES_PER_FUEL: u64 = 16;

/// A WebAssembly engine. A process has one for each kind and set of options.
pub trait Engine: Send + Sync {
    /// The name that `wasm_vm` knows it by.
    fn name(&self) -> &'static str;

    /// Compiles a binary module, or text in the WAT format. Starts no thread.
    fn compile(&self, bytes: &[u8]) -> Result<Arc<dyn Module>, CompileError>;

    /// Whether [`Engine::compile`] would take these bytes, in a small part of its time. What only compiling shows is not found: a
    /// function that is too large, for example.
    fn validate(&self, bytes: &[u8]) -> Result<(), CompileError>;

    /// What [`Outline::of`] would say of these bytes, compiled; `None` if only compiling can tell.
    fn outline(&self, bytes: &[u8]) -> Option<Outline>;

    /// Everything that a module from [`Module::serialize`] depends on besides its source: version and options of the engine,
    /// the processor. Where it differs, the module must be compiled again.
    fn fingerprint(&self) -> Vec<u8>;

    /// Takes what [`Module::serialize`] of an engine with the same fingerprint gave. It is machine code, which is not checked
    /// again: whoever makes a [`TrustedCode`] answers for it.
    fn load(&self, code: &TrustedCode) -> Result<Arc<dyn Module>, CompileError>;

    /// Why there is no pool although the options want one. Instances are made without it then.
    fn pool_failure(&self) -> Option<&str> {
        None
    }

    /// What whoever chooses it has to know of it.
    fn caution(&self) -> Option<&str> {
        None
    }

    /// Why nobody can watch its guests ([`Deadline::Watch`]), as those of programs are.
    fn watch_refusal(&self) -> Option<&str> {
        None
    }

    /// Moves the clock of all deadlines on by one [`TICK`]. Callable from any thread and from a signal handler.
    fn tick(&self);
}

/// A compiled module.
pub trait Module: Send + Sync {
    /// Everything that it wants.
    fn imports(&self) -> Vec<Import>;

    /// Everything that it offers.
    fn exports(&self) -> Vec<Export>;

    /// Prepares everything that does not depend on an instance. `exports` are the names of the functions that will be
    /// called; their places in the slice are the numbers that [`Instance::call`] takes.
    fn link(&self, imports: &[LinkedImport], exports: &[&str]) -> Result<Arc<dyn Program>, LinkError>;

    /// The compiled module, for [`Engine::load`].
    fn serialize(&self) -> Result<Vec<u8>, CompileError>;

    /// Why its instances find no room in the pool of the engine, if there is one.
    fn pool_refusal(&self) -> Option<&str> {
        None
    }

    /// Why there are no images of its instances ([`Instance::snapshot`]), as far as that is the module's.
    fn reset_refusal(&self) -> Option<&str> {
        Some("the engine cannot put instances back")
    }
}

/// A compiled and linked module.
pub trait Program: Send + Sync {
    /// Starts an instance; `host` serves what a start function of the module may call, and that function has `fuel` if the
    /// engine counts it; `None` is any amount. A time-out is CPU time, and goes on being that in the instance until
    /// [`Instance::count_cpu_time`] says otherwise; a watch looks after all that ever runs in the instance.
    fn instantiate(
        &self,
        limits: InstanceLimits,
        fuel: Option<u64>,
        deadline: Deadline,
        host: &mut dyn HostFunctions,
    ) -> Result<Box<dyn Instance>, Trap>;

    /// Makes an instance that is what `image` says, an image of another instance of this program. Of the guest nothing runs but a
    /// start function that the module has, which must do without a host: what it does is overwritten.
    fn instantiate_from(
        &self,
        image: &Image,
        limits: InstanceLimits,
        deadline: Deadline,
    ) -> Result<Box<dyn Instance>, Trap> {
        let _ = (image, limits, deadline);
        Err(Trap::Instantiate("the engine makes none from images".into()))
    }
}

/// A running instance. After a [`Trap`] it must not be called again.
pub trait Instance {
    /// Calls export number `export` with 32-bit arguments.
    ///
    /// The result is that of the function, or 0 when it has none. An export that the module does not have traps. `timeout` is
    /// nothing to an instance that has a [`Watch`].
    fn call(
        &mut self,
        export: usize,
        args: &[u32],
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<u32, Trap>;

    /// Whether the time-outs of the next calls are CPU time of this thread, or time as it passes. Starts are measured by what
    /// they use: those of many processes at once take long.
    fn count_cpu_time(&mut self, is_on: bool);

    /// Sizes and counts.
    fn stats(&mut self) -> InstanceStats;

    /// Whether [`Instance::stats`] may answer something else than when it was asked last: there was something to grow.
    fn has_new_stats(&self) -> bool;

    /// Sets what the next calls may use up together. Without effect if the engine does not count.
    fn set_fuel(&mut self, fuel: u64);

    /// What is left of it; `None` if the engine does not count.
    fn fuel(&mut self) -> Option<u64>;

    /// Keeps what the instance is now: its memory, and its globals. Not while the guest runs. The error says why there is no
    /// image; a module whose code changes tables has none, for example.
    fn snapshot(&mut self) -> Result<Image, String> {
        Err("the engine cannot put instances back".into())
    }

    /// Makes the instance again what it was when the image was made, byte by byte, or what the one was that the image is of. After
    /// an error nothing is certain of it, and it must not be called again: as when its memory has grown, which cannot be undone.
    /// Fuel and time-outs are not part of an image.
    fn restore(&mut self, image: &Image) -> Result<(), String> {
        let _ = image;
        Err("the engine cannot put instances back".into())
    }
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
