//! Compiled modules, and linking them: what instances need is looked up once, here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime as wt;

use super::call::{self, Shape};
use super::instance::WasmtimeProgram;
use super::store::{Callable, Linked, StoreData};
use super::trap::one_line;
use super::types::{extern_type, wasmtime_type};
use super::{instrument, reset};
use crate::vm::{Activity, CompileError, Export, Import, LinkError, LinkedImport, Module, Program};

/// What this file, and `instrument.rs`, make of a module. To be changed whenever that changes, so that no code is used that an
/// earlier version has left in a cache.
pub(super) const FORM: &[u8] = b"globals exported, 1";

const LENGTH: usize = size_of::<u64>();

/// How many programs there have been.
static PROGRAMS: AtomicU64 = AtomicU64::new(0);

pub(super) struct WasmtimeModule {
    /// For instances on demand.
    module: wt::Module,
    /// The same for instances in the pool.
    pooled: Option<wt::Module>,
    pool_refusal: Option<String>,
    /// Why its instances cannot be put back. If they can, it has exports that are no business of those who use it.
    reset_refusal: Option<String>,
    is_interpreted: bool,
    activity: Arc<Activity>,
}

impl WasmtimeModule {
    pub fn new(
        module: wt::Module,
        reset_refusal: Option<String>,
        pool: Option<&wt::Engine>,
        is_interpreted: bool,
        activity: Arc<Activity>,
    ) -> Self {
        let (pooled, pool_refusal) = match pool.map(|pool| copy(&module, pool)) {
            None => (None, None),
            Some(Ok(pooled)) => (Some(pooled), None),
            Some(Err(err)) => (None, Some(one_line(&err))),
        };
        WasmtimeModule { module, pooled, pool_refusal, reset_refusal, is_interpreted, activity }
    }
}

/// The same machine code for another engine. It fails when that has no room for such a module.
fn copy(module: &wt::Module, engine: &wt::Engine) -> wt::Result<wt::Module> {
    let compiled = module.serialize()?;
    // SAFETY: Wasmtime has just made the bytes.
    #[allow(unsafe_code)]
    unsafe {
        wt::Module::deserialize(engine, compiled)
    }
}

impl Module for WasmtimeModule {
    fn imports(&self) -> Vec<Import> {
        self.module
            .imports()
            .map(|import| Import {
                module: import.module().to_owned(),
                name: import.name().to_owned(),
                ty: extern_type(&import.ty()),
            })
            .collect()
    }

    fn exports(&self) -> Vec<Export> {
        self.module
            .exports()
            .filter(|export| self.reset_refusal.is_some() || !export.name().starts_with(instrument::GLOBAL))
            .map(|export| Export { name: export.name().to_owned(), ty: extern_type(&export.ty()) })
            .collect()
    }

    fn link(&self, imports: &[LinkedImport], exports: &[&str]) -> Result<Arc<dyn Program>, LinkError> {
        let program = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(WasmtimeProgram {
            on_demand: Arc::new(self.link_in(&self.module, program, imports, exports)?),
            pooled: match &self.pooled {
                Some(module) => Some(Arc::new(self.link_in(module, program, imports, exports)?)),
                None => None,
            },
            activity: self.activity.clone(),
        }))
    }

    fn serialize(&self) -> Result<Vec<u8>, CompileError> {
        let code = self.module.serialize().map_err(|err| CompileError::Compiled(one_line(&err)))?;
        Ok(with_refusal(self.reset_refusal.as_deref(), &code))
    }

    fn pool_refusal(&self) -> Option<&str> {
        self.pool_refusal.as_deref()
    }

    fn reset_refusal(&self) -> Option<&str> {
        self.reset_refusal.as_deref()
    }
}

impl WasmtimeModule {
    /// The module, or its copy for another engine, with its host functions.
    fn link_in(
        &self,
        module: &wt::Module,
        program: u64,
        imports: &[LinkedImport],
        exports: &[&str],
    ) -> Result<Linked, LinkError> {
        let engine = module.engine();
        let mut linker = wt::Linker::<StoreData>::new(engine);
        linker.allow_shadowing(true);
        for import in imports {
            let ty = wt::FuncType::new(
                engine,
                import.ty.params.iter().map(|ty| wasmtime_type(*ty)),
                import.ty.results.iter().map(|ty| wasmtime_type(*ty)),
            );
            let shape = Shape::of(&import.ty)
                .ok_or_else(|| LinkError(format!("{}.{} has an unusable type", import.module, import.name)))?;
            call::define(&mut linker, import, ty, shape).map_err(|err| LinkError(one_line(&err)))?;
        }
        let pre = linker.instantiate_pre(module).map_err(|err| LinkError(one_line(&err)))?;
        Ok(Linked {
            pre,
            exports: exports.iter().map(|name| Callable::of(module, name)).collect(),
            memory: module.get_export_index("memory"),
            counts_fuel: engine.get_consume_fuel(),
            is_interpreted: self.is_interpreted,
            program,
            globals: reset::globals_of(module),
            reset_refusal: self.reset_refusal.clone(),
        })
    }
}

/// Before the code stands why instances cannot be put back, with its length; nothing when they can.
fn with_refusal(refusal: Option<&str>, code: &[u8]) -> Vec<u8> {
    let refusal = refusal.unwrap_or_default();
    let mut bytes = Vec::with_capacity(LENGTH + refusal.len() + code.len());
    bytes.extend_from_slice(&(refusal.len() as u64).to_le_bytes());
    bytes.extend_from_slice(refusal.as_bytes());
    bytes.extend_from_slice(code);
    bytes
}

/// Takes it off again.
pub(super) fn take_refusal(bytes: &[u8]) -> Option<(Option<String>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (refusal, code) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    let refusal = std::str::from_utf8(refusal).ok()?;
    Some(((!refusal.is_empty()).then(|| refusal.to_owned()), code))
}
