//! Modules for a configuration, and for what Lua loads: the library's `Supply`, one for the process, with the compile cache that
//! `cache_dir` names. The cache is the master's: workers, which guests run in, do not open it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nginx_sys::{NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_test_config};
use ngx_wasm::extism::Plugin;
use ngx_wasm::programs;
use ngx_wasm::proxy_wasm::Module;
use ngx_wasm::supply::{CodeCache, Content, FolderError, Linked, Source, Supply};
use ngx_wasm::vm::Engine;

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::log::{self, Log};
use crate::process::engine;
use crate::process::regular_file::{self, Stamp};

/// No engine takes more.
const LARGEST_MODULE: usize = 1 << 30;

/// What is made of modules, of which this process has those that some configuration, or Lua, has.
pub trait Kind: Linked + 'static {
    /// Whether somebody watches its guests, which not every engine lets one do.
    const IS_WATCHED: bool;

    /// All of them.
    fn supply() -> &'static Mutex<Option<Supply<Self>>>;
}

macro_rules! kinds {
    ($($kind:ty => $is_watched:literal),*) => {
        $(impl Kind for $kind {
            const IS_WATCHED: bool = $is_watched;

            fn supply() -> &'static Mutex<Option<Supply<Self>>> {
                static SUPPLY: Mutex<Option<Supply<$kind>>> = Mutex::new(None);
                &SUPPLY
            }
        })*
    };
}

kinds!(Module => false, programs::Module => true, Plugin => true);

/// `cache_dir PATH | off;`
pub struct CacheDir {
    /// `None` is `off`.
    pub path: Option<PathBuf>,
    pub place: ConfPosition,
}

/// The folder where nothing is said about it: packages make one, and say so when they compile the module (docs/install.md).
pub const DEFAULT_CACHE_DIR: Option<&str> = option_env!("NGX_WASM_CACHE_DIR");

/// The folder that is meant by what is said about it, and whether it was named.
fn chosen(said: Option<&CacheDir>) -> Option<(&Path, bool)> {
    match said {
        Some(said) => Some((said.path.as_deref()?, true)),
        None => Some((Path::new(DEFAULT_CACHE_DIR?), false)),
    }
}

/// From this size on a module takes the compiler a second or more, and whoever waits for nginx is told why.
const LARGE_MODULE: usize = 1 << 20;
/// What takes so long is worth being told how to spare.
const LONG: Duration = Duration::from_secs(1);

/// A line for the error log. Nginx opens the log of a configuration after it has checked that.
pub struct Note {
    level: u32,
    text: String,
    /// Also where nginx does not go over to the configuration.
    is_always_told: bool,
}

impl Note {
    pub fn warning(text: String) -> Note {
        Note { level: NGX_LOG_WARN, text, is_always_told: true }
    }

    pub fn notice(text: String) -> Note {
        Note { level: NGX_LOG_NOTICE, text, is_always_told: false }
    }

    /// Whether this is the note.
    pub fn says(&self, text: &str) -> bool {
        self.text == text
    }
}

/// Where a module comes from, whose file was read.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The SHA-256 of the file.
    pub sum: String,
    /// Where its compiled code comes from, and how long all forms of it took.
    pub source: Source,
    /// What its file looked like before it was read.
    stamp: Option<Stamp>,
}

impl Origin {
    /// Whether the file is another one by now; `None`: it cannot be seen.
    pub fn has_changed(&self, path: &str) -> Option<bool> {
        Some(regular_file::stamp(Path::new(path))? != self.stamp?)
    }
}

/// Gets modules, and notes how.
#[derive(Default)]
pub struct Supplier {
    cache: Option<CodeCache>,
    notes: Vec<Note>,
    has_written: bool,
    /// There is none, because the configuration does not say where.
    may_have_cache: bool,
    /// Of the module that it gets.
    origin: Option<Origin>,
}

impl Supplier {
    /// With the compile cache that is meant by what is said about it, if any.
    pub fn open(said: Option<&CacheDir>) -> Result<Self, String> {
        let mut supplier = Supplier::default();
        if engine::in_worker() {
            return Ok(supplier);
        }
        supplier.may_have_cache = said.is_none();
        match chosen(said) {
            Some((path, true)) => supplier.open_cache(path)?,
            Some((path, false)) => supplier.open_default_cache(path),
            None => {}
        }
        Ok(supplier)
    }

    /// Nobody has asked for this folder. Who may not use it is not told so each time, but who should know that others could write there.
    fn open_default_cache(&mut self, path: &Path) {
        // SAFETY: the function has no precondition.
        let user = unsafe { libc::geteuid() };
        match CodeCache::open(path, user, user == 0) {
            Ok((cache, complaint)) => {
                self.cache = Some(cache);
                self.may_have_cache = false;
                self.warn(complaint);
            }
            Err(err) if err.is_mistake() && user == 0 => {
                self.warn([format!("none, modules are compiled each time: {err}")])
            }
            Err(_) => {}
        }
    }

    /// A folder that is of no use is no reason not to start: modules are compiled.
    fn open_cache(&mut self, path: &Path) -> Result<(), String> {
        // SAFETY: the function has no precondition.
        let user = unsafe { libc::geteuid() };
        // Anybody may look at a configuration, also for an nginx that another user starts: to that one a folder would be a stranger's.
        let only_looks = is_test() && user != 0;
        match CodeCache::open(path, user, !only_looks) {
            Ok((cache, complaint)) => {
                self.cache = Some(cache);
                self.warn(complaint);
            }
            Err(err) if only_looks && err.is_missing() => {}
            Err(err) if !err.is_mistake() || only_looks && matches!(err, FolderError::Owner { .. }) => {
                self.warn([format!("none, modules are compiled each time: {err}")]);
            }
            Err(err) => return Err(format!("cannot use the \"cache_dir\": {err}")),
        }
        Ok(())
    }

    /// Finds what is wrong with a module without compiling it.
    pub fn check<M: Kind>(&self, engine: &Arc<dyn Engine>, content: &Content<'_>) -> Result<(), String> {
        let mut supply = M::supply().lock().unwrap_or_else(PoisonError::into_inner);
        let checked = supply.get_or_insert_default().check(engine, content, self.cache.as_ref());
        checked.map_err(|err| err.to_string())
    }

    /// The module with this content. `name` is what the log calls it; `log` hears at once what takes long.
    pub fn module<M: Kind>(
        &mut self,
        engine: &Arc<dyn Engine>,
        name: &str,
        content: &Content<'_>,
        log: Log<'_>,
    ) -> Result<Arc<M>, String> {
        let size = content.bytes().len();
        let announce = || {
            if size >= LARGE_MODULE {
                tell(&format!("wasm: {name}: compiling {} MB, which takes a while", size.div_ceil(1_000_000)), log);
            }
        };
        let mut supply = M::supply().lock().unwrap_or_else(PoisonError::into_inner);
        let supplied = supply
            .get_or_insert_default()
            .module(engine, content, self.cache.as_ref(), announce)
            .map_err(|err| err.to_string())?;
        self.warn(supplied.complaints);
        let mut note = Note::notice(format!("wasm: {name}: {}", supplied.source));
        if let Source::Compiler(time) = supplied.source {
            self.has_written = true;
            note.is_always_told = time >= LONG;
            if time >= LONG && self.may_have_cache {
                note.text.push_str(" (cache_dir would keep it for the next start)");
            }
        }
        self.notes.push(note);
        let before = self.origin.take().map(|origin| origin.source);
        let source = before.map_or(supplied.source, |before| before.and(supplied.source));
        self.origin = Some(Origin { sum: supplied.sum, source, stamp: None });
        Ok(supplied.module)
    }

    /// Where a module comes from that it has got, in all forms in which it is wanted. `stamp`: that of its file, before it was read.
    pub fn take_origin(&mut self, stamp: Option<Stamp>) -> Option<Origin> {
        self.origin.take().map(|origin| Origin { stamp, ..origin })
    }

    /// All modules are there.
    pub fn finish(&mut self) {
        if let (true, Some(Err(err))) = (self.has_written, self.cache.as_ref().map(CodeCache::prune)) {
            self.warn([format!("cannot remove old files: {err}")]);
        }
    }

    /// What is to be said of all that, so far.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn warn(&mut self, complaints: impl IntoIterator<Item = String>) {
        let note = |text| Note::warning(format!("wasm: compile cache: {text}"));
        self.notes.extend(complaints.into_iter().map(note));
    }
}

/// The file of a module, if it has this SHA-256, in lower-case hexadecimal digits.
pub fn read(path: &str, sha256: Option<&str>) -> Result<Content<'static>, String> {
    let bytes = regular_file::read(Path::new(path), LARGEST_MODULE, "a module")
        .map_err(|reason| format!("cannot read it: {reason}"))?;
    let content = Content::new(bytes);
    let found = content.sha256_hex();
    match sha256 {
        Some(wanted) if found != wanted => Err(format!(
            "its SHA-256 is {found}, but the configuration says sha256={wanted}; bring the right file there, or, if this is it, the \
             right sum into the configuration"
        )),
        _ => Ok(content),
    }
}

/// Writes what was noted, and forgets it.
pub fn log_notes(notes: &mut Vec<Note>, log: Log<'_>) {
    for Note { level, text, .. } in notes.drain(..) {
        log.write(level, log::printable(&text));
    }
}

/// Writes what was noted of a configuration that nginx does not go over to: what is wrong, what has taken long, and nothing else.
pub fn tell_warnings(notes: &mut Vec<Note>, log: Log<'_>) {
    for Note { level, text, is_always_told } in notes.drain(..) {
        match level {
            NGX_LOG_NOTICE if is_always_told => tell(&text, log),
            NGX_LOG_NOTICE => {}
            level => log.write(level, log::printable(&text)),
        }
    }
}

/// Tells whoever waits for nginx something that is no mistake. Who runs `nginx -t` looks at the terminal, to which nginx writes nothing
/// below a warning from a log.
fn tell(text: &str, log: Log<'_>) {
    if is_test() {
        log::tell_terminal(text);
    } else {
        log.write(NGX_LOG_NOTICE, log::printable(text));
    }
}

/// Whether this is `nginx -t`.
pub fn is_test() -> bool {
    // SAFETY: nginx sets the variable before it reads a configuration.
    unsafe { ngx_test_config != 0 }
}
