//! Compiled modules, and linking them: what instances need is looked up once, here.

use std::sync::Arc;

use wasmtime as wt;

use super::call::{self, Shape};
use super::instance::WasmtimeProgram;
use super::store::{Callable, Linked, StoreData};
use super::trap::one_line;
use super::types::{extern_type, wasmtime_type};
use crate::vm::{Activity, CompileError, Export, Import, LinkError, LinkedImport, Module, Program};

pub(super) struct WasmtimeModule {
    /// For instances on demand.
    module: wt::Module,
    /// The same for instances in the pool.
    pooled: Option<wt::Module>,
    pool_refusal: Option<String>,
    activity: Arc<Activity>,
}

impl WasmtimeModule {
    pub fn new(module: wt::Module, pool: Option<&wt::Engine>, activity: Arc<Activity>) -> Self {
        let (pooled, pool_refusal) = match pool.map(|pool| copy(&module, pool)) {
            None => (None, None),
            Some(Ok(pooled)) => (Some(pooled), None),
            Some(Err(err)) => (None, Some(one_line(&err))),
        };
        WasmtimeModule { module, pooled, pool_refusal, activity }
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
            .map(|export| Export { name: export.name().to_owned(), ty: extern_type(&export.ty()) })
            .collect()
    }

    fn link(&self, imports: &[LinkedImport], exports: &[&'static str]) -> Result<Arc<dyn Program>, LinkError> {
        Ok(Arc::new(WasmtimeProgram {
            on_demand: Arc::new(link(&self.module, imports, exports)?),
            pooled: match &self.pooled {
                Some(module) => Some(Arc::new(link(module, imports, exports)?)),
                None => None,
            },
            activity: self.activity.clone(),
        }))
    }

    fn serialize(&self) -> Result<Vec<u8>, CompileError> {
        self.module.serialize().map_err(|err| CompileError::Compiled(one_line(&err)))
    }

    fn pool_refusal(&self) -> Option<&str> {
        self.pool_refusal.as_deref()
    }
}

fn link(module: &wt::Module, imports: &[LinkedImport], exports: &[&'static str]) -> Result<Linked, LinkError> {
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
    })
}
