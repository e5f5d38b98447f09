//! Compiled modules, and linking them: what instances need is made once, here.

#![allow(unsafe_code)]

use std::sync::Arc;

use super::ast::Ast;
use super::library::Owned;
use super::linked::{Callable, Linked, Served};
use super::program::WasmEdgeProgram;
use super::shared::Shared;
use super::types::{ModuleInstance, Text};
use super::{call, setup};
use crate::vm::{
    CompileError, Export, ExternType, HOST_CALL_FUEL, Import, LinkError, LinkedImport, Module, Program, ValType,
};

pub struct WasmEdgeModule {
    pub shared: Arc<Shared>,
    pub ast: Arc<Ast>,
    /// The module with its code, as the compiler made it.
    pub code: Arc<[u8]>,
}

impl Module for WasmEdgeModule {
    fn imports(&self) -> Vec<Import> {
        self.ast.imports()
    }

    fn exports(&self) -> Vec<Export> {
        self.ast.exports()
    }

    fn link(&self, imports: &[LinkedImport], exports: &[&str]) -> Result<Arc<dyn Program>, LinkError> {
        let is_linked = |wanted: &Import| {
            imports.iter().any(|import| (&import.module, &import.name) == (&wanted.module, &wanted.name))
        };
        if let Some(Import { module, name, .. }) = self.imports().iter().find(|import| !is_linked(import)) {
            return Err(LinkError(format!("nothing serves the import \"{module}.{name}\"")));
        }
        let offered = self.exports();
        let offered = |name: &&str| offered.iter().find(|export| export.name == *name);
        let memory = offered(&"memory").is_some_and(|export| export.ty == ExternType::Memory);
        let served = imports.iter().map(|import| {
            Served::of(import)
                .ok_or_else(|| LinkError(format!("{}.{} has an unusable type", import.module, import.name)))
        });
        let served = served.collect::<Result<Box<[_]>, _>>()?;
        Ok(Arc::new(WasmEdgeProgram(Arc::new(Linked {
            hosts: self.hosts(imports, &served).map_err(LinkError)?,
            exports: exports.iter().map(|name| Callable::of(offered(name)?)).collect(),
            has_memory: memory,
            ast: self.ast.clone(),
            code: self.code.clone(),
            shared: self.shared.clone(),
            _served: served,
        }))))
    }

    fn serialize(&self) -> Result<Vec<u8>, CompileError> {
        Ok(self.code.to_vec())
    }

    fn reset_refusal(&self) -> Option<&str> {
        Some("WasmEdge cannot put instances back")
    }
}

impl WasmEdgeModule {
    /// What the module imports, by the names of the modules that it imports from.
    fn hosts(&self, imports: &[LinkedImport], served: &[Served]) -> Result<Vec<Owned<ModuleInstance>>, String> {
        let Shared { library, setup, .. } = *self.shared;
        let functions = &library.functions;
        let cost = if setup.counts_cost { HOST_CALL_FUEL } else { 0 };
        let raw = |types: &[ValType]| types.iter().filter_map(|ty| library.numbers.raw(*ty)).collect::<Vec<_>>();
        let mut hosts: Vec<(&str, Owned<ModuleInstance>)> = Vec::new();
        for (n, (import, served)) in imports.iter().zip(served).enumerate() {
            // A module may import the same function twice.
            if imports[..n].iter().any(|other| (&other.module, &other.name) == (&import.module, &import.name)) {
                continue;
            }
            let host = match hosts.iter().position(|(name, _)| *name == import.module) {
                Some(place) => place,
                None => {
                    // SAFETY: the instance copies its name, and is the caller's.
                    let host = unsafe {
                        Owned::new((functions.instance_create)(Text::of(&import.module)), functions.instance_delete)?
                    };
                    hosts.push((&import.module, host));
                    hosts.len() - 1
                }
            };
            let (params, results) = (raw(&import.ty.params), raw(&import.ty.results));
            let function = setup::function(library, &params, &results, call::host_call, served.this(), cost)?;
            // SAFETY: the instance copies the name, and the function becomes its own. What the function has for `this` lives as
            // long as the instance: `Linked` has both.
            unsafe { (functions.instance_add)(hosts[host].1.get(), Text::of(&import.name), function.release()) };
        }
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }
}
