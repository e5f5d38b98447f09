//! From a compiled module to a program: checks of what it imports and exports. `ngx_module` makes one for each module that a location
//! runs; `perform.rs` runs it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use thiserror::Error;

use crate::supply::Linked;
use crate::vm::{
    self, CompileError, ExternType, Import, ImportError, LinkError, LinkedImport, Outline, Program, imports,
};
use crate::wasi::{self, Row};

/// The name under which programs import WASI.
const WASI: &str = "wasi_snapshot_preview1";

/// That of the version before, whose structures look different. Filters that import it use nothing of those.
const OLD_WASI: &str = "wasi_unstable";

/// What a program begins with, unless the configuration names another function.
pub const START: &str = "_start";

/// What a program initialises itself with, for an image that all runs begin with.
pub const INITIALIZE: &str = "wizer-initialize";

/// What begins the names of what filters export to say which ABI they have.
const MARKER: &str = "proxy_abi_version_";

/// All functions of WASI, by their numbers.
static ROWS: LazyLock<Vec<&'static Row>> = LazyLock::new(|| wasi::TABLES.iter().copied().flatten().collect());

static NUMBERS: LazyLock<HashMap<&'static str, u32>> =
    LazyLock::new(|| ROWS.iter().enumerate().map(|(number, row)| (row.name, number as u32)).collect());

pub(super) fn row(function: u32) -> &'static Row {
    ROWS[function as usize]
}

/// A compiled, checked and linked program.
pub struct Module {
    pub(super) program: Arc<dyn Program>,
    /// The functions that it can begin with, by their numbers.
    functions: Vec<String>,
    compiled: Arc<dyn vm::Module>,
}

/// Why a file is no program that this host can run.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// The engine refused it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine could not link it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It is a filter.
    #[error("not a program, but a Proxy-Wasm filter: it exports \"{0}\"; the directive for it is \"proxy_wasm\"")]
    Filter(String),
    /// It is a plugin of Extism.
    #[error("not a program, but a plugin of Extism: it imports \"{0}\"; the directive for it is \"wasm_function\"")]
    Extism(String),
    /// It was built for the WASI before preview 1.
    #[error("its import \"{0}\" is of an old version of WASI; build it with a compiler of today, for preview 1")]
    OldWasi(String),
    /// Nothing to read arguments from.
    #[error("it exports no memory named \"memory\"")]
    NoMemory,
    /// Its imports are not of WASI.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Module {
    /// Checks and links a compiled module.
    pub fn of(compiled: Arc<dyn vm::Module>) -> Result<Module, ModuleError> {
        let outline = Outline::of(compiled.as_ref());
        let imports = check(&outline)?;
        let functions = functions(&outline).map(str::to_owned).collect::<Vec<_>>();
        let names: Vec<_> = functions.iter().map(String::as_str).collect();
        let program = compiled.link(&imports, &names)?;
        Ok(Module { program, functions, compiled })
    }

    /// The number of a function without parameters and results that it exports.
    pub fn function(&self, name: &str) -> Option<usize> {
        self.functions.iter().position(|function| function == name)
    }

    /// The name of such a function.
    pub(super) fn name_of(&self, function: usize) -> Option<&str> {
        self.functions.get(function).map(String::as_str)
    }

    /// All of these.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
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

fn check(Outline { imports, exports }: &Outline) -> Result<Vec<LinkedImport>, ModuleError> {
    if let Some(marker) = exports.iter().find(|export| export.name.starts_with(MARKER)) {
        return Err(ModuleError::Filter(marker.name.clone()));
    }
    let imports = resolve(imports)?;
    if !exports.iter().any(|export| export.name == "memory" && export.ty == ExternType::Memory) {
        return Err(ModuleError::NoMemory);
    }
    Ok(imports)
}

/// The functions that a program could begin with: those without parameters and results that it exports.
pub fn functions(outline: &Outline) -> impl Iterator<Item = &str> {
    let is_plain =
        |ty: &ExternType| matches!(ty, ExternType::Func(ty) if ty.params.is_empty() && ty.results.is_empty());
    outline.exports.iter().filter(move |export| is_plain(&export.ty)).map(|export| export.name.as_str())
}

fn resolve(imports: &[Import]) -> Result<Vec<LinkedImport>, ModuleError> {
    for import in imports {
        let name = || format!("{}.{}", import.module, import.name);
        if import.module == OLD_WASI {
            return Err(ModuleError::OldWasi(name()));
        }
        if import.module.starts_with("extism:") {
            return Err(ModuleError::Extism(name()));
        }
    }
    let known = "; a program can have the functions of WASI (wasi_snapshot_preview1)";
    Ok(imports::resolve(imports, known, |import| {
        let function = NUMBERS.get(import.name.as_str()).filter(|_| import.module == WASI)?;
        Some((*function, row(*function).types))
    })?)
}
