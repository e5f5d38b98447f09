//! From a compiled module to a plugin: checks of its imports and exports, and the choice of a host function for each import.
//! `ngx_module` makes one of each module that a `wasm_function` names.

use std::sync::Arc;

use thiserror::Error;

use super::host_calls::{self, ENV};
use crate::supply::Linked;
use crate::vm::{
    self, CompileError, Engine, Export, ExternType, FuncType, Import, ImportError, LinkError, LinkedImport, Outline,
    Program, ValType, imports,
};

/// Where functions come from that an application offers to its plugins.
const USER: &str = "extism:host/user";

/// A compiled, checked and linked plugin.
pub struct Plugin {
    pub(super) program: Arc<dyn Program>,
    /// What is run before anything else, in this order; their places are the numbers of the program's exports.
    pub(super) starts: Vec<Start>,
    /// Behind them come these.
    functions: Vec<String>,
    compiled: Arc<dyn vm::Module>,
}

/// A function that starts an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub name: &'static str,
    /// How many arguments it has, all of them 0.
    pub arguments: usize,
}

const HASKELL: Start = Start { name: "hs_init", arguments: 2 };
const CONSTRUCTORS: Start = Start { name: "__wasm_call_ctors", arguments: 0 };
const REACTOR: Start = Start { name: "_initialize", arguments: 0 };

/// Why a module is no plugin that this host can run.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The engine refused it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine could not link it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It is made for something else.
    #[error("it is a Proxy-Wasm filter (it exports \"{0}\"); use \"proxy_wasm\"")]
    ProxyWasm(String),
    /// Nothing to call.
    #[error(
        "it exports no function that could be called, of type () -> (i32) or () -> (); build it with an Extism PDK, which exports \
         the functions of a plugin"
    )]
    NoFunctions,
    /// It wants functions of the application around it.
    #[error(
        "it imports {} from \"extism:host/user\": functions that an application offers to its plugins; nginx offers none, so build \
         the plugin without them",
        .0.join(", ")
    )]
    UserFunctions(Vec<String>),
    /// It is too old.
    #[error("its import \"env.{0}\" is of a PDK before 1.0; build it with one that imports from \"extism:host/env\"")]
    OldPdk(String),
    /// No host function serves its imports.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A function that starts it has a type that the host cannot call.
    #[error("its export \"{name}\", which starts it, is {found}, but should be func {wanted}")]
    StartType {
        /// Name of the export.
        name: &'static str,
        /// What it is.
        found: ExternType,
        /// What it should be.
        wanted: String,
    },
    /// WASI works on memory.
    #[error("it imports WASI, but exports no memory named \"memory\"")]
    NoMemory,
}

impl Plugin {
    /// Compiles, checks and links `bytes`, a binary module or WAT text.
    pub fn new(engine: &dyn Engine, bytes: &[u8]) -> Result<Plugin, PluginError> {
        Plugin::of(engine.compile(bytes)?)
    }

    /// Checks and links a compiled module.
    pub fn of(compiled: Arc<dyn vm::Module>) -> Result<Plugin, PluginError> {
        let outline = Outline::of(compiled.as_ref());
        let (linked, starts) = check(&outline)?;
        let functions: Vec<String> = functions(&outline).map(str::to_owned).collect();
        let names: Vec<&str> =
            starts.iter().map(|start| start.name).chain(functions.iter().map(String::as_str)).collect();
        let program = compiled.link(&linked, &names)?;
        Ok(Plugin { program, starts, functions, compiled })
    }

    /// Whether it has this function.
    pub fn has(&self, function: &str) -> bool {
        self.number(function).is_some()
    }

    /// The functions that it has.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
    }

    /// The number of a function among the program's exports.
    pub(super) fn number(&self, function: &str) -> Option<usize> {
        self.functions.iter().position(|name| name == function).map(|place| self.starts.len() + place)
    }

    /// Why its instances are not made in the pool of the engine, if there is one and it has no room for such.
    pub fn pool_refusal(&self) -> Option<&str> {
        self.compiled.pool_refusal()
    }

    /// Why its instances cannot be put back, as far as that is known of it.
    pub fn reset_refusal(&self) -> Option<&str> {
        self.compiled.reset_refusal()
    }
}

impl Linked for Plugin {
    type Error = PluginError;

    fn check(outline: &Outline) -> Result<(), PluginError> {
        check(outline).map(|_| ())
    }

    fn link(compiled: Arc<dyn vm::Module>) -> Result<Plugin, PluginError> {
        Plugin::of(compiled)
    }

    fn compiled(&self) -> &dyn vm::Module {
        self.compiled.as_ref()
    }
}

/// What imports and exports of a plugin say: the functions of the host, and what starts an instance.
fn check(outline: &Outline) -> Result<(Vec<LinkedImport>, Vec<Start>), PluginError> {
    let Outline { imports, exports } = outline;
    if let Some(export) = exports.iter().find(|export| export.name.starts_with("proxy_abi_version_")) {
        return Err(PluginError::ProxyWasm(export.name.clone()));
    }
    let linked = resolve(imports)?;
    let has_memory = exports.iter().any(|export| export.name == "memory" && export.ty == ExternType::Memory);
    if !has_memory && linked.iter().any(|import| import.module != ENV) {
        return Err(PluginError::NoMemory);
    }
    let starts = starts(exports)?;
    if functions(outline).next().is_none() {
        return Err(PluginError::NoFunctions);
    }
    Ok((linked, starts))
}

/// The functions that a plugin offers.
pub fn functions(outline: &Outline) -> impl Iterator<Item = &str> {
    outline.exports.iter().filter(|export| is_function(export)).map(|export| export.name.as_str())
}

/// Whether a module calls what only hosts of Extism have.
pub fn is_of_pdk(outline: &Outline) -> bool {
    outline.imports.iter().any(|import| import.module == ENV)
}

/// What is run when an instance starts: as the reference host does it, one of the three ways.
fn starts(exports: &[Export]) -> Result<Vec<Start>, PluginError> {
    let has = |start: &Start| exports.iter().any(|export| export.name == start.name);
    let order: &[Start] = if has(&HASKELL) {
        &[REACTOR, HASKELL]
    } else if has(&CONSTRUCTORS) {
        &[CONSTRUCTORS]
    } else {
        &[REACTOR]
    };
    let starts: Vec<Start> = order.iter().copied().filter(has).collect();
    for start in &starts {
        let wanted = FuncType { params: vec![ValType::I32; start.arguments], results: Vec::new() };
        let with_result = FuncType { results: vec![ValType::I32], ..wanted.clone() };
        let fits =
            |ty: &ExternType| *ty == ExternType::Func(wanted.clone()) || *ty == ExternType::Func(with_result.clone());
        if let Some(export) = exports.iter().find(|export| export.name == start.name && !fits(&export.ty)) {
            return Err(PluginError::StartType {
                name: start.name,
                found: export.ty.clone(),
                wanted: wanted.to_string(),
            });
        }
    }
    Ok(starts)
}

/// Whether it can be called by a configuration: by its type, and since neither the runtime of its language nor a tool that rewrote it
/// has put it there for itself.
fn is_function(export: &Export) -> bool {
    let ExternType::Func(ty) = &export.ty else { return false };
    let is_of_runtime = [HASKELL, CONSTRUCTORS, REACTOR].iter().any(|start| start.name == export.name)
        || export.name == "hs_exit"
        || export.name.starts_with("asyncify_");
    ty.params.is_empty() && matches!(ty.results[..], [] | [ValType::I32]) && !is_of_runtime
}

fn resolve(imports: &[Import]) -> Result<Vec<LinkedImport>, PluginError> {
    let of_user = imports.iter().filter(|import| import.module == USER);
    let of_user: Vec<_> = of_user.map(|import| format!("\"{}\"", import.name)).collect();
    if !of_user.is_empty() {
        return Err(PluginError::UserFunctions(of_user));
    }
    let is_old = |import: &&Import| import.module == "env" && import.name.starts_with("extism_");
    if let Some(import) = imports.iter().find(is_old) {
        return Err(PluginError::OldPdk(import.name.clone()));
    }
    let known = "; a plugin can import from \"extism:host/env\" and WASI preview 1, and is one module that no other is linked with";
    Ok(imports::resolve(imports, known, |import| {
        let function = host_calls::find(&import.module, &import.name)?;
        Some((function, host_calls::types(function)))
    })?)
}
