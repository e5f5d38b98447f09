//! From a compiled module to a Proxy-Wasm module: checks of its exports, and the choice of a host function for each
//! import by the type that the module declares. `ngx_module` calls this once for each module of the configuration.

use std::sync::Arc;

use thiserror::Error;

use super::callbacks::{self, Callback, Callbacks};
use super::host_calls;
use super::types::AbiVersion;
use crate::supply::Linked;
use crate::vm::{
    self, CompileError, Engine, Export, ExternType, FuncType, Import, ImportError, LinkError, LinkedImport, Outline,
    Program, ValType, imports,
};

/// How to build what stays when its start is over.
pub(super) const AS_REACTOR: &str = "Go with -buildmode=c-shared, Rust with crate-type = [\"cdylib\"], C and C++ with \
                                     -mexec-model=reactor";

/// What begins the imports of plugins of Extism.
const EXTISM: &str = "extism:";

/// An error names so many functions.
const MOST_NAMED: usize = 5;

/// A compiled, checked and linked Proxy-Wasm module.
pub struct Module {
    pub(super) program: Arc<dyn Program>,
    pub(super) abi: AbiVersion,
    pub(super) callbacks: Callbacks,
    compiled: Arc<dyn vm::Module>,
}

/// Why a file is no module that this host can run.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// The engine refused it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine could not link it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// No marker of an ABI version.
    #[error(
        "not a Proxy-Wasm module: it exports no \"proxy_abi_version_X_Y_Z\", as what is built with a Proxy-Wasm SDK does, {0}; if it was \
         built so, its exports were left out: {AS_REACTOR} and -Wl,--export-dynamic"
    )]
    NoAbi(String),
    /// The same of a program.
    #[error(
        "not a Proxy-Wasm module: it exports no \"proxy_abi_version_X_Y_Z\", but \"_start\", as a program does; build it with a \
         Proxy-Wasm SDK, and as a library: {AS_REACTOR}; a program that is to answer requests by itself has the directive \"wasm_cgi\""
    )]
    Program,
    /// It is made for something else.
    #[error("not a filter, but a plugin of Extism: it imports \"{0}\"; the directive for it is \"wasm_function\"")]
    Extism(String),
    /// It has a marker, and nothing that the host would call but its `_start`.
    #[error(
        "not a filter: it exports no callback of Proxy-Wasm, but \"_start\", as a program does; build it as a library: {AS_REACTOR}"
    )]
    NoCallbacks,
    /// Only markers that this host does not know.
    #[error("unknown Proxy-Wasm ABI \"{0}\"; known are 0_1_0, 0_2_0, 0_2_1 and 0_2_100")]
    UnknownAbi(String),
    /// Nothing to read arguments from.
    #[error(
        "it exports no memory named \"memory\"; linkers export it so, unless they are told --import-memory or --export-memory=NAME"
    )]
    NoMemory,
    /// No way to hand values to the guest.
    #[error(
        "it exports no allocator: neither \"proxy_on_memory_allocate\" nor \"malloc\", of type (i32) -> (i32); in C and C++ link it with \
         -Wl,--export=malloc (Emscripten: -sEXPORTED_FUNCTIONS=_malloc); the SDKs of other languages bring one along"
    )]
    NoAllocator,
    /// A callback with a type that the host cannot call.
    #[error("its export \"{name}\" is {found}, but the ABI wants func {wanted}")]
    ExportType {
        /// Name of the export.
        name: &'static str,
        /// What it is.
        found: ExternType,
        /// What it should be.
        wanted: String,
    },
    /// No host function serves its imports.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Module {
    /// Compiles, checks and links `bytes`, a binary module or WAT text.
    pub fn new(engine: &dyn Engine, bytes: &[u8]) -> Result<Module, ModuleError> {
        Module::of(engine.compile(bytes)?)
    }

    /// Checks and links a compiled module.
    pub fn of(compiled: Arc<dyn vm::Module>) -> Result<Module, ModuleError> {
        let Checked { abi, callbacks, imports } = check(&Outline::of(compiled.as_ref()))?;
        let program = compiled.link(&imports, &callbacks::NAMES)?;
        Ok(Module { program, abi, callbacks, compiled })
    }

    /// Whether it has this callback.
    pub fn has(&self, callback: Callback) -> bool {
        self.callbacks.has(callback)
    }

    /// Why its instances are not made in the pool of the engine, if there is one and it has no room for such.
    pub fn pool_refusal(&self) -> Option<&str> {
        self.compiled.pool_refusal()
    }

    /// Why no images are made of its VMs, as far as that is known of it.
    pub fn reset_refusal(&self) -> Option<&str> {
        self.compiled.reset_refusal()
    }

    /// The ABI version that the module declares.
    pub fn abi(&self) -> AbiVersion {
        self.abi
    }
}

impl Linked for Module {
    type Error = ModuleError;

    fn check(outline: &Outline) -> Result<(), ModuleError> {
        check(outline).map(|_| ())
    }

    fn link(compiled: Arc<dyn vm::Module>) -> Result<Module, ModuleError> {
        Module::of(compiled)
    }

    fn compiled(&self) -> &dyn vm::Module {
        self.compiled.as_ref()
    }
}

/// What the imports and exports of a filter say.
struct Checked {
    abi: AbiVersion,
    callbacks: Callbacks,
    imports: Vec<LinkedImport>,
}

fn check(Outline { imports, exports }: &Outline) -> Result<Checked, ModuleError> {
    let abi = abi_version(exports).map_err(|err| as_extism(err, imports))?;
    if !exports.iter().any(|export| export.name == "memory" && export.ty == ExternType::Memory) {
        return Err(ModuleError::NoMemory);
    }
    let callbacks = callbacks(exports)?;
    if callbacks.allocator().is_none() {
        return Err(ModuleError::NoAllocator);
    }
    if callbacks.is_program() {
        return Err(ModuleError::NoCallbacks);
    }
    let imports = imports::resolve(imports, "", |import| {
        let function = host_calls::find(&import.module, &import.name)?;
        Some((function, host_calls::row(function).types))
    })?;
    Ok(Checked { abi, callbacks, imports })
}

fn abi_version(exports: &[Export]) -> Result<AbiVersion, ModuleError> {
    let mut unknown = None;
    for export in exports {
        match AbiVersion::from_marker(&export.name) {
            Some(Ok(version)) => return Ok(version),
            Some(Err(version)) => unknown = Some(version.to_owned()),
            None => {}
        }
    }
    let has = |name| exports.iter().any(|export| export.name == name);
    Err(match unknown {
        Some(version) => ModuleError::UnknownAbi(version),
        None if has("_start") && !has("_initialize") => ModuleError::Program,
        None => ModuleError::NoAbi(functions(exports)),
    })
}

/// The functions that a module exports, for an error.
fn functions(exports: &[Export]) -> String {
    let functions = exports.iter().filter(|export| matches!(export.ty, ExternType::Func(_)));
    let names: Vec<_> = functions.map(|export| format!("\"{}\"", host_calls::shown(export.name.as_bytes()))).collect();
    match names.split_at_checked(MOST_NAMED) {
        _ if names.is_empty() => "and no function at all".into(),
        Some((first, rest)) if !rest.is_empty() => format!("but {}, and {} more", first.join(", "), rest.len()),
        _ => format!("but {}", names.join(", ")),
    }
}

/// What has no marker may say by its imports what it is.
fn as_extism(err: ModuleError, imports: &[Import]) -> ModuleError {
    match imports.iter().find(|import| import.module.starts_with(EXTISM)) {
        Some(import) => ModuleError::Extism(format!("{}.{}", import.module, import.name)),
        None => err,
    }
}

fn callbacks(exports: &[Export]) -> Result<Callbacks, ModuleError> {
    let mut found = Callbacks::default();
    for row in &callbacks::TABLE {
        let Some(export) = exports.iter().find(|export| export.name == row.name) else { continue };
        let wanted = |params| FuncType {
            params: vec![ValType::I32; params],
            results: if row.result { vec![ValType::I32] } else { Vec::new() },
        };
        match row.params.iter().find(|params| export.ty == ExternType::Func(wanted(**params))) {
            Some(params) => found.insert(row.callback, *params),
            // C programs export a `main` or `malloc` of their own liking only when asked to; still, these two names are
            // not of the ABI, so another type only means that they are not for the host.
            None if matches!(row.name, "main" | "malloc") => {}
            None => {
                return Err(ModuleError::ExportType {
                    name: row.name,
                    found: export.ty.clone(),
                    wanted: row.params.iter().map(|n| wanted(*n).to_string()).collect::<Vec<_>>().join(" or "),
                });
            }
        }
    }
    Ok(found)
}
