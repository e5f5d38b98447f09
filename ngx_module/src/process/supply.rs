//! Modules for a configuration, and for what Lua loads: the library's `Supply`, one for the process, with the compile cache that
//! `cache_dir` names. The cache is the master's: workers, which guests run in, do not open it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nginx_sys::{NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_test_config};
use ngx_wasm::extism::Plugin;
use ngx_wasm::programs;
use ngx_wasm::proxy_wasm::Module;
use ngx_wasm::supply::{CodeCache, Linked, Source, Supply, sha256_hex};
use ngx_wasm::vm::Engine;

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::log::{self, Log};
use crate::process::{engine, regular_file};

/// No engine takes more.
const LARGEST_MODULE: usize = 1 << 30;

/// Modules of one kind that some configuration of this process, or Lua, has.
type Supplies<M> = Mutex<Option<Supply<M>>>;

static FILTERS: Supplies<Module> = Mutex::new(None);
static PROGRAMS: Supplies<programs::Module> = Mutex::new(None);
static PLUGINS: Supplies<Plugin> = Mutex::new(None);

/// `cache_dir PATH;`
pub struct CacheDir {
    pub path: PathBuf,
    pub place: ConfPosition,
}

/// A line for the error log. Nginx opens the log of a configuration after it has checked that.
pub struct Note {
    level: u32,
    text: String,
}

impl Note {
    pub fn warning(text: String) -> Note {
        Note { level: NGX_LOG_WARN, text }
    }

    pub fn notice(text: String) -> Note {
        Note { level: NGX_LOG_NOTICE, text }
    }

    /// Whether this is the note.
    pub fn says(&self, text: &str) -> bool {
        self.text == text
    }
}

/// Gets modules, and notes how.
pub struct Supplier<'a> {
    cache: Option<CodeCache>,
    notes: &'a mut Vec<Note>,
    has_written: bool,
}

impl<'a> Supplier<'a> {
    /// With the compile cache in this folder, if any.
    pub fn open(dir: Option<&CacheDir>, notes: &'a mut Vec<Note>) -> Result<Self, String> {
        let mut supplier = Supplier { cache: None, notes, has_written: false };
        if let (Some(dir), false) = (dir, engine::in_worker()) {
            // SAFETY: the function has no precondition.
            let user = unsafe { libc::geteuid() };
            let (cache, complaint) =
                CodeCache::open(&dir.path, user).map_err(|err| format!("cannot use the \"cache_dir\": {err}"))?;
            supplier.cache = Some(cache);
            supplier.warn(complaint);
        }
        Ok(supplier)
    }

    /// The module of filters with this content. `name` is what the log calls it.
    pub fn module(&mut self, engine: &Arc<dyn Engine>, name: &str, bytes: &[u8]) -> Result<Arc<Module>, String> {
        self.supply(&FILTERS, engine, name, bytes)
    }

    /// The program with this content.
    pub fn program(
        &mut self,
        engine: &Arc<dyn Engine>,
        name: &str,
        bytes: &[u8],
    ) -> Result<Arc<programs::Module>, String> {
        self.supply(&PROGRAMS, engine, name, bytes)
    }

    /// The plugin of Extism with this content.
    pub fn plugin(&mut self, engine: &Arc<dyn Engine>, name: &str, bytes: &[u8]) -> Result<Arc<Plugin>, String> {
        self.supply(&PLUGINS, engine, name, bytes)
    }

    fn supply<M: Linked>(
        &mut self,
        supply: &Supplies<M>,
        engine: &Arc<dyn Engine>,
        name: &str,
        bytes: &[u8],
    ) -> Result<Arc<M>, String> {
        let mut supply = supply.lock().unwrap_or_else(PoisonError::into_inner);
        let supplied =
            supply.get_or_insert_default().module(engine, bytes, self.cache.as_ref()).map_err(|err| err.to_string())?;
        self.warn(supplied.complaints);
        self.has_written |= matches!(supplied.source, Source::Compiler(_));
        self.notes.push(Note { level: NGX_LOG_NOTICE, text: format!("wasm: {name}: {}", supplied.source) });
        Ok(supplied.module)
    }

    /// All modules are there.
    pub fn finish(mut self) {
        if let (true, Some(Err(err))) = (self.has_written, self.cache.as_ref().map(CodeCache::prune)) {
            self.warn([format!("cannot remove old files: {err}")]);
        }
    }

    fn warn(&mut self, complaints: impl IntoIterator<Item = String>) {
        let note = |text| Note { level: NGX_LOG_WARN, text: format!("wasm: compile cache: {text}") };
        self.notes.extend(complaints.into_iter().map(note));
    }
}

/// The file of a module, if it has this SHA-256, in lower-case hexadecimal digits.
pub fn read(path: &str, sha256: Option<&str>) -> Result<Vec<u8>, String> {
    let bytes = regular_file::read(Path::new(path), LARGEST_MODULE, "a module")
        .map_err(|reason| format!("cannot read it: {reason}"))?;
    if let Some(wanted) = sha256 {
        let found = sha256_hex(&bytes);
        if found != wanted {
            return Err(format!(
                "its SHA-256 is {found}, but the configuration says sha256={wanted}; bring the right file there, or, if this is \
                 it, the right sum into the configuration"
            ));
        }
    }
    Ok(bytes)
}

/// Writes what was noted, and forgets it.
pub fn log_notes(notes: &mut Vec<Note>, log: Log<'_>) {
    for Note { level, text } in notes.drain(..) {
        log.write(level, log::printable(&text));
    }
}

/// Writes what was noted of a configuration that nginx does not go over to: what is wrong, and nothing else.
pub fn tell_warnings(notes: &mut Vec<Note>, log: Log<'_>) {
    notes.retain(|note| note.level <= NGX_LOG_WARN);
    log_notes(notes, log);
}

/// Whether this is `nginx -t`.
pub fn is_test() -> bool {
    // SAFETY: nginx sets the variable before it reads a configuration.
    unsafe { ngx_test_config != 0 }
}
