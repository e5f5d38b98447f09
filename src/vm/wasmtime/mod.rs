//! The Wasmtime backend. [`WasmtimeEngine`] compiles, `module.rs` links, `instance.rs` makes instances, in a pool or on
//! demand, and `call.rs` calls in both directions; `config.rs` says how Wasmtime is set up, `target.rs` what modules are compiled to,
//! `code_pages.rs` where machine code lies, `trap.rs` what went wrong. `reset.rs` puts instances back to what they were.
//!
//! Where instances come from is a property of an engine of Wasmtime. So one that has a pool holds two of them, which run the
//! same machine code: one whose instances are in the pool, and one for those that find no room there.

mod call;
mod code_pages;
mod config;
mod instance;
mod instrument;
mod module;
mod page_map;
mod reset;
mod store;
mod target;
mod trap;
mod types;

#[cfg(test)]
pub(super) mod tests;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use wasmtime as wt;

use crate::vm::TrustedCode;

use super::{Activity, CompileError, Engine, EngineOptions, Module, Outline, content, outline, stack};
use code_pages::CodePages;
use config::Contents;
use instrument::{Instrumented, instrument};
use module::WasmtimeModule;
use target::Target;
use trap::one_line;

/// Wasmtime, compiling ahead of time with Cranelift.
pub struct WasmtimeEngine {
    target: Target,
    on_demand: wt::Engine,
    pool: Option<wt::Engine>,
    pool_failure: Option<String>,
    activity: Arc<Activity>,
}

impl WasmtimeEngine {
    /// Makes an engine that runs machine code. It installs Wasmtime's signal handlers and starts no thread. If there is no room for the
    /// pool, it has none; [`Engine::pool_failure`] says why. The error says mostly that the system forbids what every engine has to do.
    pub fn new(options: EngineOptions) -> Result<Self, String> {
        stack::check()?;
        WasmtimeEngine::for_target(Target::Processor(CodePages::find()?), options)
    }

    /// The same with Wasmtime's interpreter, Pulley: it has no use for signals, and works where the system lets nothing become
    /// executable.
    #[cfg(feature = "pulley")]
    pub fn interpreter(options: EngineOptions) -> Result<Self, String> {
        stack::check()?;
        WasmtimeEngine::for_target(Target::Pulley, options)
    }

    fn for_target(target: Target, options: EngineOptions) -> Result<Self, String> {
        WasmtimeEngine::with(target, Contents::find(), options)
    }

    fn with(target: Target, contents: Contents, mut options: EngineOptions) -> Result<Self, String> {
        let engine = |mut config: wt::Config| {
            contents.configure(&mut config);
            target.configure(&mut config).and_then(|()| wt::Engine::new(&config)).map_err(|err| one_line(&err))
        };
        let (pool, pool_failure) = match config::pool(&options).map(engine) {
            None => (None, None),
            Some(Ok(pool)) => (Some(pool), None),
            Some(Err(reason)) => {
                // Machine code need not fit it any more.
                options.pool = None;
                (None, Some(reason))
            }
        };
        let on_demand = engine(config::on_demand(&options))?;
        Ok(WasmtimeEngine { target, on_demand, pool, pool_failure, activity: Activity::global().clone() })
    }

    /// Completes a module that was made for instances on demand.
    fn complete(&self, module: wt::Module, reset_refusal: Option<String>) -> Arc<dyn Module> {
        Arc::new(WasmtimeModule::new(
            module,
            reset_refusal,
            self.pool.as_ref(),
            self.target.is_interpreted(),
            self.activity.clone(),
        ))
    }

    /// Compiles a binary module, with what is needed to put its instances back.
    fn compile_instrumented(&self, bytes: &[u8]) -> wt::Result<Arc<dyn Module>> {
        let Instrumented { bytes: instrumented, refusal } = instrument(bytes);
        match wt::Module::new(&self.on_demand, &instrumented) {
            Ok(module) => Ok(self.complete(module, refusal)),
            // Without what was added it is refused too, and the reason names the right places; or there was no room.
            Err(err) => {
                let module = wt::Module::new(&self.on_demand, bytes)?;
                Ok(self.complete(module, Some(one_line(&err))))
            }
        }
    }
}

impl Engine for WasmtimeEngine {
    fn name(&self) -> &'static str {
        self.target.name()
    }

    fn compile(&self, bytes: &[u8]) -> Result<Arc<dyn Module>, CompileError> {
        let binary = content::binary(bytes)?;
        self.compile_instrumented(&binary).map_err(|err| CompileError::Invalid(one_line(&err)))
    }

    fn validate(&self, bytes: &[u8]) -> Result<(), CompileError> {
        let binary = content::binary(bytes)?;
        wt::Module::validate(&self.on_demand, &binary).map_err(|err| CompileError::Invalid(one_line(&err)))
    }

    fn outline(&self, bytes: &[u8]) -> Option<Outline> {
        outline::outline(bytes)
    }

    fn fingerprint(&self) -> Vec<u8> {
        let mut fingerprint = Fingerprint(self.name().into());
        fingerprint.write(module::FORM);
        self.on_demand.precompile_compatibility_hash().hash(&mut fingerprint);
        fingerprint.0
    }

    #[allow(unsafe_code)]
    fn load(&self, code: &TrustedCode) -> Result<Arc<dyn Module>, CompileError> {
        let (refusal, code) = module::take_refusal(code.bytes())
            .ok_or_else(|| CompileError::Compiled("it does not say whether instances can be put back".into()))?;
        // SAFETY: this type is proof that an engine with this fingerprint made the bytes. Wasmtime looks at version and options
        // once more.
        let module = unsafe { wt::Module::deserialize(&self.on_demand, code) };
        module.map(|module| self.complete(module, refusal)).map_err(|err| CompileError::Compiled(one_line(&err)))
    }

    fn pool_failure(&self) -> Option<&str> {
        self.pool_failure.as_deref()
    }

    fn tick(&self) {
        self.on_demand.increment_epoch();
        if let Some(pool) = &self.pool {
            pool.increment_epoch();
        }
    }
}

/// Keeps all that it is given: what is told from each other by it must not collide.
struct Fingerprint(Vec<u8>);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
