//! The engine: modules from bytes, and what all its modules share.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ptr;
use std::sync::Arc;

use super::ast::Ast;
use super::compile::compile;
use super::deadline::Deadlines;
use super::executor::Nothing;
use super::library::{Library, Owned, take_notes};
use super::module::WasmEdgeModule;
use super::program::NO_WATCH;
use super::setup::Setup;
use super::shared::Shared;
use super::types::{Bytes, CODE_SECTION, Configure, Outcome};
use super::{entries, parked, signals, tables, trap};
use crate::vm::{Activity, CompileError, Engine, EngineOptions, Module, Outline, TrustedCode, content, outline, stack};

/// What this backend makes of a module. To be changed whenever that changes, so that no code is used that an earlier version has left in
/// a cache.
const FORM: &str = "interruptible, 3";

/// How the library says that it would run a module in its interpreter.
const FALLBACK: &str = "interpreter";

/// WasmEdge, compiling ahead of time with LLVM.
pub struct WasmEdgeEngine {
    shared: Arc<Shared>,
    pool_failure: Option<&'static str>,
}

impl WasmEdgeEngine {
    /// Makes an engine, and opens the library if it is not open; the error says what is missing. It starts no thread.
    pub fn new(options: EngineOptions) -> Result<Self, String> {
        stack::check()?;
        let library = Library::open()?;
        let shared = Shared {
            library,
            setup: Setup { counts_cost: options.fuel, optimize: options.optimize },
            nothing: Arc::new(Nothing::new(library)?),
            deadlines: Deadlines::default(),
            activity: Activity::global().clone(),
        };
        let pool_failure = options.pool.map(|_| "WasmEdge makes each instance on demand");
        let engine = WasmEdgeEngine { shared: Arc::new(shared), pool_failure };
        signals::take(library.functions.executor_invoke as *const () as usize, || {
            let (guest, _) = engine.compiled(parked::GUEST.as_bytes()).map_err(|err| err.to_string())?;
            parked::park(library, engine.shared.setup, Box::leak(Box::new(guest)))
        })?;
        Ok(engine)
    }

    /// A module in the binary format, whether it was that or text, that the compiler would take.
    fn checked<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, CompileError> {
        let binary = content::binary(bytes)?;
        // Whoever loads what comes out takes the last of such sections: no other than ours is to be there.
        if sections(&binary).any(|name| name == Some(CODE_SECTION)) {
            let name = String::from_utf8_lossy(CODE_SECTION);
            return Err(CompileError::Invalid(format!(
                "it has a section \"{name}\", in which WasmEdge has machine code: give the module as it was before it was compiled"
            )));
        }
        let Shared { library, setup, .. } = *self.shared;
        let configure = setup.configure_without_code(library).map_err(CompileError::Failed)?;
        self.parse(&configure, &binary).map_err(CompileError::Invalid)?;
        let capped = match tables::capped(&binary).map_err(CompileError::Invalid)? {
            Cow::Owned(capped) => Some(capped),
            Cow::Borrowed(_) => None,
        };
        Ok(capped.map_or(binary, Cow::Owned))
    }

    /// Compiles a module, and loads what comes out.
    fn compiled(&self, bytes: &[u8]) -> Result<(Ast, Vec<u8>), CompileError> {
        let binary = self.checked(bytes)?;
        let binary = entries::watched(&binary).map_err(CompileError::Invalid)?;
        let Shared { library, setup, .. } = *self.shared;
        let code =
            compile(library, setup, &binary).map_err(|reason| CompileError::Failed(format!("WasmEdge: {reason}")))?;
        Ok((self.load_code(&code)?, code))
    }

    /// The module in these bytes, checked.
    fn parse(&self, configure: &Owned<Configure>, bytes: &[u8]) -> Result<Ast, String> {
        let library = self.shared.library;
        let functions = &library.functions;
        let failed = |outcome| trap::reason(library, outcome, &take_notes().messages);
        take_notes();
        let mut module = ptr::null_mut();
        // SAFETY: all objects live while they are used; the API says that the caller owns those that it makes.
        unsafe {
            let loader = Owned::new((functions.loader_create)(configure.get()), functions.loader_delete)?;
            let outcome = (functions.loader_parse)(loader.get(), &mut module, Bytes::of(bytes));
            if outcome != Outcome::SUCCESS {
                return Err(failed(outcome));
            }
            let module = Owned::new(module, functions.module_delete)?;
            let validator = Owned::new((functions.validator_create)(configure.get()), functions.validator_delete)?;
            match (functions.validator_validate)(validator.get(), module.get()) {
                Outcome::SUCCESS => Ok(Ast::new(library, module)),
                outcome => Err(failed(outcome)),
            }
        }
    }

    /// The module in bytes that the compiler has made, with its code.
    fn load_code(&self, code: &[u8]) -> Result<Ast, CompileError> {
        if !sections(code).any(|name| name == Some(CODE_SECTION)) {
            return Err(CompileError::Compiled("it has no machine code".into()));
        }
        let Shared { library, setup, .. } = *self.shared;
        let configure = setup.configure(library).map_err(CompileError::Compiled)?;
        let ast = self.parse(&configure, code).map_err(CompileError::Compiled)?;
        // It would be some ninety times slower.
        if let Some(note) = take_notes().messages.iter().find(|note| note.contains(FALLBACK)) {
            return Err(CompileError::Compiled(format!("WasmEdge does not take its machine code: {note}")));
        }
        Ok(ast)
    }

    fn module(&self, ast: Ast, code: Vec<u8>) -> Arc<dyn Module> {
        Arc::new(WasmEdgeModule { shared: self.shared.clone(), ast: Arc::new(ast), code: code.into() })
    }
}

impl Engine for WasmEdgeEngine {
    fn name(&self) -> &'static str {
        "wasmedge"
    }

    fn compile(&self, bytes: &[u8]) -> Result<Arc<dyn Module>, CompileError> {
        let (ast, code) = self.compiled(bytes)?;
        Ok(self.module(ast, code))
    }

    fn validate(&self, bytes: &[u8]) -> Result<(), CompileError> {
        self.checked(bytes).map(|_| ())
    }

    fn outline(&self, bytes: &[u8]) -> Option<Outline> {
        outline::outline(bytes)
    }

    fn fingerprint(&self) -> Vec<u8> {
        let Shared { library, setup, .. } = &*self.shared;
        let Setup { counts_cost, optimize } = setup;
        let (name, version, processor) = (self.name(), &library.version, processor());
        format!("{name}\0{version}\0{FORM}\0{counts_cost}\0{optimize:?}\0{processor}").into_bytes()
    }

    fn load(&self, code: &TrustedCode) -> Result<Arc<dyn Module>, CompileError> {
        let code = code.bytes();
        Ok(self.module(self.load_code(code)?, code.to_vec()))
    }

    fn pool_failure(&self) -> Option<&str> {
        self.pool_failure
    }

    fn caution(&self) -> Option<&str> {
        Some(
            "the engine is WasmEdge, which is for guests that you trust: one that recurses without end may end its worker",
        )
    }

    fn watch_refusal(&self) -> Option<&str> {
        Some(NO_WATCH)
    }

    fn tick(&self) {
        self.shared.deadlines.tick();
    }
}

/// What code is compiled for: the processor of this machine, with all that it can do.
fn processor() -> String {
    const TELLING: [&str; 8] =
        ["vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part", "isa"];
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    let is_telling = |line: &&str| TELLING.contains(&line.split(':').next().unwrap_or_default().trim());
    let lines: Vec<_> = first.lines().filter(is_telling).collect();
    format!("{}\0{}", std::env::consts::ARCH, lines.join("\n"))
}

/// The sections of a module, by the name that those have which are custom; up to the first one that is broken.
fn sections(module: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = module.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first()?;
        let (size, after) = number(after)?;
        let (content, after) = after.split_at_checked(size)?;
        rest = after;
        if *kind != 0 {
            return Some(None);
        }
        let (len, name) = number(content)?;
        Some(Some(name.get(..len)?))
    })
}

/// A number as modules have them, and what comes behind it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (n, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[n + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_behind_others() {
        let module = wat::parse_str(
            "(module (@custom \"first\" \"abc\") (memory 1) (@custom \"wasmedge\" (after last) \"code\"))",
        )
        .unwrap();
        let custom: Vec<_> = sections(&module).flatten().collect();
        assert_eq!(custom, [b"first".as_slice(), CODE_SECTION]);
        // A size that leads outside ends the search, as it ends the module for the library.
        assert_eq!(sections(&module[..module.len() - 1]).flatten().count(), 1);
        assert_eq!(sections(b"\0asm").count(), 0);
    }
}
