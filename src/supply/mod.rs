//! Where compiled modules come from: what another configuration still has, the compile cache on disk, or the compiler, in this
//! order. `ngx_module` asks [`Supply::module`] for each module of a configuration, and for what Lua loads.

mod cache;
mod entry;
mod folder;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::vm::{self, CompileError, Engine, Outline};

pub use cache::CodeCache;
use entry::{EntryKey, Sum};
pub use folder::FolderError;

/// What is made of compiled code, once for all that have the module: `proxy_wasm::Module`.
pub trait Linked: Sized {
    /// Why nothing can be made of it, or the compiler refused it.
    type Error: From<CompileError> + fmt::Display;

    /// Finds in what a module imports and exports why nothing could be made of it.
    fn check(outline: &Outline) -> Result<(), Self::Error>;

    /// Makes it.
    fn link(compiled: Arc<dyn vm::Module>) -> Result<Self, Self::Error>;

    /// What it was made of.
    fn compiled(&self) -> &dyn vm::Module;
}

/// The modules of this process. It keeps none alive: a module goes with the last configuration that has it.
pub struct Supply<M> {
    known: Vec<KnownModule<M>>,
}

impl<M> Default for Supply<M> {
    fn default() -> Self {
        Supply { known: Vec::new() }
    }
}

struct KnownModule<M> {
    key: EntryKey,
    /// A module belongs to one engine, not only to one kind.
    engine: Weak<dyn Engine>,
    module: Weak<M>,
}

/// A module, and how it was come by.
pub struct Supplied<M> {
    /// The module.
    pub module: Arc<M>,
    /// Where it comes from.
    pub source: Source,
    /// The SHA-256 of its content, as `sha256sum` writes it.
    pub sum: String,
    /// What was wrong with the cache. The module is right nevertheless.
    pub complaints: Vec<String>,
}

/// Where a module comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was there, in this process.
    Memory,
    /// The compile cache had it.
    Cache(Duration),
    /// The compiler made it.
    Compiler(Duration),
}

impl Source {
    /// Of a module that was wanted in two forms: what took most trouble, and the time of all that was done.
    pub fn and(self, other: Source) -> Source {
        match (self, other) {
            (Source::Compiler(a), Source::Compiler(b)) => Source::Compiler(a + b),
            (Source::Compiler(time), Source::Cache(more)) | (Source::Cache(more), Source::Compiler(time)) => {
                Source::Compiler(time + more)
            }
            (Source::Cache(a), Source::Cache(b)) => Source::Cache(a + b),
            (Source::Memory, source) | (source, Source::Memory) => source,
        }
    }

    /// Its name, in a word.
    pub fn name(self) -> &'static str {
        match self {
            Source::Memory => "memory",
            Source::Cache(_) => "cache",
            Source::Compiler(_) => "compiler",
        }
    }

    /// How long it took.
    pub fn time(self) -> Duration {
        match self {
            Source::Memory => Duration::ZERO,
            Source::Cache(time) | Source::Compiler(time) => time,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Memory => f.write_str("unchanged, kept in memory"),
            Source::Cache(time) => write!(f, "taken from the compile cache in {} ms", time.as_millis()),
            Source::Compiler(time) if time.as_secs() > 0 => write!(f, "compiled in {:.1} s", time.as_secs_f64()),
            Source::Compiler(time) => write!(f, "compiled in {} ms", time.as_millis()),
        }
    }
}

/// The content of the file of a module, with what is asked of it more than once.
pub struct Content<'a> {
    bytes: Cow<'a, [u8]>,
    sum: Sum,
    outline: OnceCell<Option<Outline>>,
}

impl<'a> Content<'a> {
    /// That with these bytes.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        Content { sum: entry::sum(&bytes), bytes, outline: OnceCell::new() }
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What `sha256sum` says of it.
    pub fn sha256_hex(&self) -> String {
        entry::hex(&self.sum)
    }

    /// What it imports and exports, if that can be told without compiling it.
    pub fn outline(&self, engine: &dyn Engine) -> Option<&Outline> {
        self.outline.get_or_init(|| engine.outline(&self.bytes)).as_ref()
    }

    fn key(&self, engine: &dyn Engine) -> EntryKey {
        EntryKey::new(&engine.fingerprint(), self.sum)
    }
}

impl<M: Linked> Supply<M> {
    /// Finds what is wrong with a module without compiling it, so that all modules can be looked at before the first one is
    /// compiled. What is wrong with compiled code, and what only the compiler finds, [`Supply::module`] says.
    pub fn check(
        &self,
        engine: &Arc<dyn Engine>,
        content: &Content<'_>,
        cache: Option<&CodeCache>,
    ) -> Result<(), M::Error> {
        let key = content.key(engine.as_ref());
        if self.known.iter().any(|known| known.key == key && known.module.strong_count() > 0) {
            return Ok(());
        }
        // What is in the cache was valid when it was compiled, but perhaps of another kind.
        if !cache.is_some_and(|cache| cache.has(&key)) {
            engine.validate(content.bytes())?;
        }
        content.outline(engine.as_ref()).map_or(Ok(()), M::check)
    }

    /// The module with this content, for this engine. `compiles` is called before the compiler is, if that is.
    pub fn module(
        &mut self,
        engine: &Arc<dyn Engine>,
        content: &Content<'_>,
        cache: Option<&CodeCache>,
        compiles: impl FnOnce(),
    ) -> Result<Supplied<M>, M::Error> {
        self.known.retain(|known| known.module.strong_count() > 0);
        let key = content.key(engine.as_ref());
        let own = Arc::downgrade(engine);
        let mut same = self.known.iter().filter(|known| known.key == key);
        let known = same.clone().find(|known| known.engine.ptr_eq(&own));
        if let Some(module) = known.and_then(|known| known.module.upgrade()) {
            return Ok(Supplied { module, source: Source::Memory, sum: key.module_sum(), complaints: Vec::new() });
        }
        // An engine that differs only in where its instances are runs the same code.
        let again = same.find_map(|known| {
            let code = cache::code_of(known.module.upgrade()?.compiled()).ok()?;
            M::link(engine.load(&code).ok()?).ok()
        });

        let mut complaints = Vec::new();
        let begin = Instant::now();
        let (module, source) = if let Some(module) = again {
            (module, Source::Memory)
        } else if let Some(module) = cache.and_then(|cache| from_cache::<M>(engine, &key, cache, &mut complaints)) {
            (module, Source::Cache(begin.elapsed()))
        } else {
            compiles();
            let module = M::link(engine.compile(content.bytes())?)?;
            let source = Source::Compiler(begin.elapsed());
            complaints.extend(cache.and_then(|cache| to_cache(module.compiled(), &key, cache)));
            (module, source)
        };
        let (module, sum) = (Arc::new(module), key.module_sum());
        self.known.push(KnownModule { key, engine: own, module: Arc::downgrade(&module) });
        Ok(Supplied { module, source, sum, complaints })
    }
}

/// A module that the cache has, and no reason not to use it.
fn from_cache<M: Linked>(
    engine: &Arc<dyn Engine>,
    key: &EntryKey,
    cache: &CodeCache,
    complaints: &mut Vec<String>,
) -> Option<M> {
    let reason = match cache.get(key) {
        Ok(None) => return None,
        Ok(Some(code)) => match engine.load(&code).map_err(M::Error::from).and_then(M::link) {
            Ok(module) => return Some(module),
            Err(reason) => reason.to_string(),
        },
        Err(reason) => reason.to_string(),
    };
    let path = cache.path_of(key);
    complaints.push(format!("\"{}\" is not used, and replaced: {reason}", path.display()));
    None
}

/// Keeps a module for the next start; says why it cannot.
fn to_cache(module: &dyn vm::Module, key: &EntryKey, cache: &CodeCache) -> Option<String> {
    let code = module.serialize().map_err(|err| err.to_string());
    let written = code.and_then(|code| cache.put(key, &code).map_err(|err| err.to_string()));
    Some(format!("cannot write \"{}\": {}", cache.path_of(key).display(), written.err()?))
}

/// What `sha256sum` says of a file with this content.
pub fn sha256_hex(bytes: &[u8]) -> String {
    entry::hex(&entry::sum(bytes))
}
