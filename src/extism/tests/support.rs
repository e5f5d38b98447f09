//! Plugins for tests, written in WAT and run by the real engine.
//!
//! In a body, `$alloc` or any other name of a host function imports that function, of WASI, too. `(text "abc")` stands for address and
//! size of a text, `(call $block (text "abc"))` puts one into a block, `(call $give HANDLE)` makes a block the output, and `(call $number
//! I64)` a number. Memory: 0 to 0x1000 is the body's, texts are at 0x1000.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use crate::extism::host_calls::{self, ENV};
use crate::extism::{
    Failure, HttpRequest, HttpResponse, Instance, Level, Manifest, Plugin, PluginError, Settings, World,
};
use crate::vm::{self, Engine, EngineOptions, TICK, Watch};
use crate::wasi;

/// The engine of all tests but those of deadlines: its clock stands still.
pub(crate) fn engine() -> Arc<dyn Engine> {
    static ENGINE: LazyLock<Arc<dyn Engine>> = LazyLock::new(|| own_engine(EngineOptions::default()));
    ENGINE.clone()
}

/// An engine whose clock only the caller moves.
pub(crate) fn own_engine(options: EngineOptions) -> Arc<dyn Engine> {
    vm::tests::engine(options)
}

/// Moves the clock of an engine on while it lives.
pub(crate) struct Ticking(Arc<AtomicBool>);

impl Ticking {
    pub fn new(engine: &Arc<dyn Engine>) -> Ticking {
        let (engine, goes_on) = (engine.clone(), Arc::new(AtomicBool::new(true)));
        let ticking = Ticking(goes_on.clone());
        thread::spawn(move || {
            while goes_on.load(Ordering::SeqCst) {
                thread::sleep(TICK);
                engine.tick();
            }
        });
        ticking
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A module with this body.
pub(crate) fn wat(body: &str) -> String {
    let mut texts = String::new();
    let mut at = 0x1000;
    let mut expanded = String::new();
    let mut rest = body;
    while let Some((before, behind)) = rest.split_once("(text \"") {
        let (text, behind) = behind.split_once("\")").unwrap();
        // Of an escape, "\\hh", one byte is left.
        let len = text.len() - 2 * text.matches('\\').count();
        writeln!(texts, "(data (i32.const {at}) \"{text}\")").unwrap();
        write!(expanded, "{before}(i32.const {at}) (i32.const {len})").unwrap();
        at += len;
        rest = behind;
    }
    expanded.push_str(rest);
    let own = r#"
        (func $block (param $at i32) (param $len i32) (result i64) (local $handle i64) (local $n i32)
            (local.set $handle (call $alloc (i64.extend_i32_u (local.get $len))))
            (loop $next (if (i32.lt_u (local.get $n) (local.get $len)) (then
                (call $store_u8
                    (i64.add (local.get $handle) (i64.extend_i32_u (local.get $n)))
                    (i32.load8_u (i32.add (local.get $at) (local.get $n))))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br $next))))
            (local.get $handle))
        (func $give (param $handle i64)
            (call $output_set (local.get $handle) (call $length (local.get $handle))))
        (func $number (param $number i64) (local $handle i64)
            (local.set $handle (call $alloc (i64.const 8)))
            (call $store_u64 (local.get $handle) (local.get $number))
            (call $give (local.get $handle)))"#;
    let code = format!("{own}{expanded}");
    let mut imports = String::new();
    let mut import = |module: &str, name: &str, (params, results): (&str, &str)| {
        if names(&code, name) {
            let (params, results) = (wat_types(params), wat_types(results));
            writeln!(imports, "(import \"{module}\" \"{name}\" (func ${name} (param{params}) (result{results})))")
                .unwrap();
        }
    };
    host_calls::env().for_each(|(name, types)| import(ENV, name, types));
    wasi::TABLES.iter().copied().flatten().for_each(|row| import("wasi_snapshot_preview1", row.name, row.types[0]));
    let memory = if code.contains("(memory ") { "" } else { "(memory (export \"memory\") 2)" };
    format!("(module {imports} {memory} {texts} {code})")
}

fn wat_types(letters: &str) -> String {
    letters.chars().map(|letter| if letter == 'I' { " i64" } else { " i32" }).collect()
}

/// Whether WAT text uses `$name`.
fn names(wat: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    wat.split('$').skip(1).any(|rest| rest.split(|c| !is_of_name(c)).next() == Some(name))
}

pub(crate) fn try_plugin(wat: &str) -> Result<Arc<Plugin>, PluginError> {
    Plugin::new(engine().as_ref(), wat.as_bytes()).map(Arc::new)
}

/// A plugin with this body.
pub(crate) fn plugin(body: &str) -> Arc<Plugin> {
    plugin_on(engine().as_ref(), body)
}

pub(crate) fn plugin_on(engine: &dyn Engine, body: &str) -> Arc<Plugin> {
    let wat = wat(body);
    Arc::new(Plugin::new(engine, wat.as_bytes()).unwrap_or_else(|err| panic!("{err}\n{wat}")))
}

/// A function that does these calls. It has locals `$h` and `$n`.
pub(crate) fn function(name: &str, calls: &str) -> String {
    format!("(func (export \"{name}\") (result i32) (local $h i64) (local $n i64) {calls} (i32.const 0))\n")
}

/// A manifest, as JSON says it.
pub(crate) fn settings(manifest: &str) -> Settings {
    let manifest = Manifest::parse(manifest.as_bytes(), Path::new("/")).unwrap();
    Settings { manifest: Arc::new(manifest), ..Settings::default() }
}

/// Lets instances go on until it is told otherwise.
pub(crate) struct Switch(pub AtomicBool);

impl Switch {
    pub fn on() -> Arc<Switch> {
        Arc::new(Switch(AtomicBool::new(true)))
    }
}

impl Watch for Switch {
    fn may_go_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

type Answer = Box<dyn FnMut(&HttpRequest) -> Result<HttpResponse, String>>;

/// A world in memory.
pub(crate) struct FakeWorld {
    pub entries: Vec<(Level, Vec<u8>)>,
    pub level: Option<Level>,
    pub config: BTreeMap<Vec<u8>, Vec<u8>>,
    pub requests: Vec<HttpRequest>,
    pub answer: Answer,
}

impl Default for FakeWorld {
    fn default() -> Self {
        FakeWorld {
            entries: Vec::new(),
            level: Some(Level::Trace),
            config: BTreeMap::new(),
            requests: Vec::new(),
            answer: Box::new(|_| Err("there is nobody".into())),
        }
    }
}

impl FakeWorld {
    /// What has been logged since the last time.
    pub fn logged(&mut self) -> Vec<(Level, String)> {
        self.entries.drain(..).map(|(level, line)| (level, String::from_utf8(line).unwrap())).collect()
    }
}

impl World for FakeWorld {
    fn log(&mut self, level: Level, message: &[u8]) {
        self.entries.push((level, message.to_vec()));
    }

    fn log_level(&self) -> Option<Level> {
        self.level
    }

    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, String> {
        let answer = (self.answer)(&request);
        self.requests.push(request);
        answer
    }

    fn now(&self) -> u64 {
        1_700_000_000_123_456_789
    }

    fn config(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.config.get(name).cloned()
    }
}

/// An instance, and what is around it.
pub(crate) struct Running {
    pub instance: Instance,
    pub world: FakeWorld,
}

impl Running {
    pub fn start(plugin: &Arc<Plugin>, settings: &Settings) -> Running {
        Running::try_start(plugin, settings).unwrap()
    }

    pub fn try_start(plugin: &Arc<Plugin>, settings: &Settings) -> Result<Running, Failure> {
        let mut world = FakeWorld::default();
        let instance = Instance::start(plugin, settings, Switch::on(), &mut world)?;
        Ok(Running { instance, world })
    }

    /// One with a function `f` that does these calls.
    pub fn of(calls: &str) -> Running {
        Running::start(&plugin(&function("f", calls)), &Settings::default())
    }

    pub fn try_call(&mut self, function: &str, input: &[u8]) -> Result<Vec<u8>, Failure> {
        self.instance.call(function, input, &mut self.world)
    }

    pub fn call(&mut self, function: &str, input: &[u8]) -> Vec<u8> {
        self.try_call(function, input).unwrap()
    }

    /// The number that a function gives.
    pub fn number(&mut self, function: &str) -> u64 {
        u64::from_le_bytes(self.call(function, b"").try_into().unwrap())
    }

    /// How a call fails, as text.
    pub fn error(&mut self, function: &str) -> String {
        self.try_call(function, b"").unwrap_err().to_string()
    }
}

/// The output of a function that does these calls.
pub(crate) fn output(calls: &str) -> Vec<u8> {
    Running::of(calls).call("f", b"")
}

/// The number that these calls leave.
pub(crate) fn number(expression: &str) -> u64 {
    Running::of(&format!("(call $number {expression})")).number("f")
}

/// How a function fails that does these calls.
pub(crate) fn error(calls: &str) -> String {
    Running::of(calls).error("f")
}
