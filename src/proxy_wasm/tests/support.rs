//! Guests for tests, written in WAT and run by the real engine.
//!
//! [`Guest`] wraps a body with what every module needs. In the body, `$proxy_log` or any other name of a host function
//! imports that function; `(text "abc")` stands for the address and the size of a text; `(note "abc" EXPR)` tells the test
//! a number. Memory: 0 to 0x2000 is the body's, texts are at 0x4000, the allocator gives from 0x8000 on.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock};

use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::errors::{CallError, StartError};
pub(crate) use crate::proxy_wasm::fake_host::FakeHost;
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::host_calls::{self, Row};
use crate::proxy_wasm::ids::{ContextId, StreamToken};
use crate::proxy_wasm::types::{Action, LogLevel};
use crate::proxy_wasm::vm::Vm;
use crate::proxy_wasm::{Module, ModuleError};
use crate::shared::MetricType;
use crate::vm::{self, Engine, EngineOptions};

/// Size of a guest's memory, unless it says otherwise.
pub(crate) const MEMORY: u32 = 2 << 16;
const TEXTS: u32 = 0x4000;
const NOTES: u32 = 0x3000;

/// The engine of all tests but those of deadlines: its clock stands still.
pub(crate) fn engine() -> Arc<dyn Engine> {
    static ENGINE: LazyLock<Arc<dyn Engine>> = LazyLock::new(own_engine);
    ENGINE.clone()
}

/// An engine whose clock only the caller moves.
pub(crate) fn own_engine() -> Arc<dyn Engine> {
    vm::tests::engine(EngineOptions::default())
}

/// All host functions, with the module that they are imported from.
pub(crate) fn host_functions() -> impl Iterator<Item = (&'static str, &'static Row)> {
    let module = |row: &Row| host_calls::find("env", row.name).map_or("wasi_snapshot_preview1", |_| "env");
    host_calls::rows().iter().map(move |row| (module(row), row))
}

/// `iI` as WAT writes it in a list of types.
pub(crate) fn wat_types(letters: &str) -> String {
    letters.chars().map(|letter| if letter == 'I' { " i64" } else { " i32" }).collect()
}

/// Bytes as a WAT string says them, without the quotes.
pub(crate) fn wat_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A module to be.
#[derive(Clone)]
pub(crate) struct Guest {
    abi: &'static str,
    memory: String,
    allocator: String,
    imports: String,
    body: String,
}

impl Guest {
    /// A guest with these functions, and a well-behaved allocator.
    pub fn new(body: impl Into<String>) -> Guest {
        Guest {
            abi: "0_2_1",
            memory: "(memory (export \"memory\") 2)".into(),
            allocator: r#"(global $heap (mut i32) (i32.const 0x8000))
                (func (export "proxy_on_memory_allocate") (param i32) (result i32)
                    (global.get $heap)
                    (global.set $heap (i32.add (global.get $heap) (local.get 0))))"#
                .into(),
            imports: String::new(),
            body: body.into(),
        }
    }

    /// A guest that does `calls` in on_request_headers and goes on.
    pub fn on_request(calls: &str) -> Guest {
        Guest::new(format!(
            "(func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) {calls} (i32.const 0))"
        ))
    }

    pub fn abi(mut self, abi: &'static str) -> Guest {
        self.abi = abi;
        self
    }

    pub fn allocator(mut self, wat: &str) -> Guest {
        self.allocator = wat.into();
        self
    }

    pub fn memory(mut self, wat: &str) -> Guest {
        self.memory = wat.into();
        self
    }

    /// Adds an import under a type of its own.
    pub fn import(mut self, wat: &str) -> Guest {
        self.imports.push_str(wat);
        self
    }

    /// Adds functions.
    pub fn and(mut self, wat: &str) -> Guest {
        self.body.push_str(wat);
        self
    }

    /// Adds callback `proxy_<name>`, which notes its name and arguments and answers `result`, if it has one.
    pub fn noting(self, name: &str, params: usize, result: &str) -> Guest {
        let types = wat_types(&"i".repeat(params));
        let result_type = if result.is_empty() { "" } else { "(result i32)" };
        let notes: String =
            (0..params).map(|n| format!("(note \"{name}\" (local.get {n}))")).collect::<Vec<_>>().join(" ");
        self.and(&format!("(func (export \"proxy_{name}\") (param{types}) {result_type} {notes} {result})"))
    }

    /// The whole module.
    pub fn wat(&self) -> String {
        let mut texts = String::new();
        let mut at = TEXTS;
        let body = expand(&format!("{}{}", self.allocator, self.body), &mut |text| {
            // Of an escape, "\\hh", one byte is left.
            let len = text.len() - 2 * text.matches('\\').count();
            writeln!(texts, "(data (i32.const {at}) \"{text}\")").unwrap();
            at += len as u32;
            format!("(i32.const {}) (i32.const {len})", at - len as u32)
        });
        let note = "(func $note (param $at i32) (param $len i32) (param $number i32)
            (memory.copy (i32.const NOTES) (local.get $at) (local.get $len))
            (i32.store8 (i32.add (i32.const NOTES) (local.get $len)) (i32.const 0))
            (i32.store (i32.add (i32.const NOTES+1) (local.get $len)) (local.get $number))
            (drop (call $proxy_log (i32.const 0) (i32.const NOTES) (i32.add (local.get $len) (i32.const 5)))))"
            .replace("NOTES+1", &(NOTES + 1).to_string())
            .replace("NOTES", &NOTES.to_string());
        let mut imports = self.imports.clone();
        for (module, row) in host_functions() {
            if row.name == "proxy_log" || names(&body, row.name) {
                let (params, results) = row.types[0];
                let (params, results) = (wat_types(params), wat_types(results));
                let name = row.name;
                writeln!(imports, "(import \"{module}\" \"{name}\" (func ${name} (param{params}) (result{results})))")
                    .unwrap();
            }
        }
        format!(
            "(module {imports} {} (func (export \"proxy_abi_version_{}\")) {note} {texts} {body})",
            self.memory, self.abi
        )
    }

    pub fn module(&self) -> Result<Arc<Module>, ModuleError> {
        self.module_on(engine().as_ref())
    }

    pub fn module_on(&self, engine: &dyn Engine) -> Result<Arc<Module>, ModuleError> {
        Module::new(engine, self.wat().as_bytes()).map(Arc::new)
    }

    /// A VM with a root context, without configurations.
    pub fn start(&self) -> World {
        self.start_with(VmConfig::default(), RootConfig::default(), FakeHost::default()).unwrap()
    }

    /// Starts with these; a failure comes with the host that saw it.
    pub fn start_with(&self, vm: VmConfig, root: RootConfig, host: FakeHost) -> Result<World, Box<Failed>> {
        World::start(&self.module().unwrap_or_else(|err| panic!("{err}\n{}", self.wat())), vm, root, host)
    }

    /// How a start without configurations fails.
    pub fn start_error(&self) -> StartError {
        match self.start_with(VmConfig::default(), RootConfig::default(), FakeHost::default()) {
            Ok(_) => panic!("the guest started"),
            Err(failed) => failed.err,
        }
    }
}

/// Whether WAT text uses `$name`.
fn names(wat: &str, name: &str) -> bool {
    let mut rest = wat;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if &rest[..end] == name {
            return true;
        }
    }
    false
}

/// Replaces the two forms that WAT does not know.
fn expand(wat: &str, place: &mut dyn FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = wat;
    loop {
        let found = ["(text \"", "(note \""].iter().filter_map(|form| Some((rest.find(form)?, *form))).min();
        let Some((at, form)) = found else {
            out.push_str(rest);
            return out;
        };
        out.push_str(&rest[..at]);
        rest = &rest[at + form.len()..];
        let end = rest.find('"').unwrap();
        let text = place(&rest[..end]);
        rest = &rest[end + 1..];
        if form.starts_with("(note") {
            write!(out, "(call $note {text}").unwrap();
        } else {
            out.push_str(&text);
            rest = rest.strip_prefix(')').unwrap();
        }
    }
}

/// A guest that did not start, and the host that saw it.
pub(crate) struct Failed {
    pub err: StartError,
    pub host: FakeHost,
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.err.fmt(f)
    }
}

/// A guest that runs, and what is around it.
pub(crate) struct World {
    pub vm: Vm,
    pub root: ContextId,
    pub host: FakeHost,
    tokens: BTreeMap<u32, usize>,
}

impl World {
    pub fn start(
        module: &Arc<Module>,
        vm: VmConfig,
        root: RootConfig,
        mut host: FakeHost,
    ) -> Result<World, Box<Failed>> {
        let started = Vm::start(module, vm, &mut host).and_then(|mut vm| Ok((vm.create_root(root, &mut host)?, vm)));
        match started {
            Ok((root, vm)) => Ok(World { vm, root, host, tokens: BTreeMap::new() }),
            Err(err) => Err(Box::new(Failed { err, host })),
        }
    }

    /// A new stream, empty.
    pub fn stream(&mut self) -> ContextId {
        self.stream_of(FakeStream::default())
    }

    pub fn stream_of(&mut self, stream: FakeStream) -> ContextId {
        let token = 100 + self.tokens.len();
        self.host.streams.insert(token, stream);
        self.host.selected = Some(token);
        let id = self.vm.create_stream(self.root, StreamToken(token), &mut self.host).unwrap();
        self.tokens.insert(id.0, token);
        id
    }

    /// The host's side of a stream.
    pub fn host_of(&mut self, id: ContextId) -> &mut FakeStream {
        self.host.streams.get_mut(&self.tokens[&id.0]).unwrap()
    }

    /// The name that the host has for a stream.
    pub fn token(&self, id: ContextId) -> usize {
        self.tokens[&id.0]
    }

    fn select(&mut self, id: ContextId) {
        self.host.selected = self.tokens.get(&id.0).copied();
    }

    pub fn request_headers(&mut self, id: ContextId) -> Result<Action, CallError> {
        self.select(id);
        self.vm.on_request_headers(id, 7, true, &mut self.host)
    }

    pub fn response_headers(&mut self, id: ContextId) -> Result<Action, CallError> {
        self.select(id);
        self.vm.on_response_headers(id, 5, false, &mut self.host)
    }

    pub fn end(&mut self, id: ContextId) -> Result<(), CallError> {
        self.select(id);
        self.vm.end_stream(id, &mut self.host)
    }

    /// What the guest noted since the last time, as "name number"; the numbers of a run of notes with one name are joined.
    pub fn notes(&mut self) -> Vec<String> {
        notes(&mut self.host)
    }
}

/// Takes the notes out of a host's log.
pub(crate) fn notes(host: &mut FakeHost) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    host.entries.retain(|(level, message)| {
        let Some(end) = message.iter().position(|byte| *byte == 0) else { return true };
        if *level != LogLevel::Trace || message.len() != end + 5 {
            return true;
        }
        let name = String::from_utf8_lossy(&message[..end]);
        let number = i32::from_le_bytes(message[end + 1..].try_into().unwrap());
        match notes.last_mut() {
            Some(last) if last.split(' ').next() == Some(&name) => write!(last, " {number}").unwrap(),
            _ => notes.push(format!("{name} {number}")),
        }
        false
    });
    notes
}

/// What the host of a [`probe`] has: a counter, the first of all metrics; a key; a queue with a message, the first of all.
pub(crate) const METRIC: u32 = 1;
pub(crate) const SHARED_KEY: &[u8] = b"key";
pub(crate) const SHARED_QUEUE: &[u8] = b"queue";
pub(crate) const QUEUE: u32 = 1;

/// Where [`probe`] leaves the status, out of the way of arguments.
const STATUS: u32 = 0x2ff0;
/// What the memory of a probe is filled with up to 0x2000, so that a byte that was written shows.
pub(crate) const FILLED: u8 = 0xaa;

/// A host call, and what became of it.
pub(crate) struct Answer {
    pub status: u32,
    pub memory: Vec<u8>,
    /// The stream that the call was about.
    pub stream: FakeStream,
    before: Vec<u8>,
}

impl Answer {
    pub fn u32_at(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.memory[at as usize..at as usize + 4].try_into().unwrap())
    }

    pub fn u64_at(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.memory[at as usize..at as usize + 8].try_into().unwrap())
    }

    /// The bytes whose pointer and size the host wrote at these two places.
    pub fn given(&self, ptr_at: u32, len_at: u32) -> &[u8] {
        let ptr = self.u32_at(ptr_at) as usize;
        &self.memory[ptr..ptr + self.u32_at(len_at) as usize]
    }

    /// Whether guest memory is what it was before the call.
    pub fn untouched(&self) -> bool {
        self.memory == self.before
    }
}

/// Runs one host call in on_request_headers of a stream that a test has filled in. `data` is put into guest memory.
pub(crate) fn probe(stream: FakeStream, function: &str, args: &[u64], data: &[(u32, &[u8])]) -> Answer {
    probe_guest(&probing(function, args, data), stream, data).unwrap()
}

/// The guest of [`probe`].
pub(crate) fn probing(function: &str, args: &[u64], data: &[(u32, &[u8])]) -> Guest {
    let (_, row) = host_functions().find(|(_, row)| row.name == function).unwrap();
    let (params, results) = row.types[0];
    assert_eq!(params.len(), args.len(), "{function}");
    let args: String = params
        .chars()
        .zip(args)
        .map(|(letter, arg)| if letter == 'I' { format!("(i64.const {arg})") } else { format!("(i32.const {arg})") })
        .collect();
    let call = format!("(call ${function} {args})");
    let call = if results.is_empty() { call } else { format!("(i32.store (i32.const {STATUS}) {call})") };
    let mut segments = format!("(data (i32.const 0) \"{}\")", wat_bytes(&[FILLED; 0x2000]));
    for (at, content) in data {
        write!(segments, "(data (i32.const {at}) \"{}\")", wat_bytes(content)).unwrap();
    }
    Guest::on_request(&format!("{call} (drop (call $proxy_log (i32.const 0) (i32.const 0) (i32.const {MEMORY})))"))
        .and(&segments)
}

/// Runs a guest that was made by [`probing`].
pub(crate) fn probe_guest(guest: &Guest, stream: FakeStream, data: &[(u32, &[u8])]) -> Result<Answer, CallError> {
    let root = RootConfig { name: b"name".to_vec(), root_id: b"root".to_vec(), configuration: b"plugin".to_vec() };
    let vm = VmConfig { id: b"id".to_vec(), configuration: b"vm".to_vec(), ..VmConfig::default() };
    let host = FakeHost::default();
    assert_eq!(host.stores.metrics.define(MetricType::Counter, b"first"), Ok(METRIC));
    host.stores.data.store(SHARED_KEY).set(&vm.id, SHARED_KEY, b"value", 0).unwrap();
    assert_eq!(host.stores.queues.register(&vm.id, SHARED_QUEUE), Some(QUEUE));
    host.stores.queues.enqueue(QUEUE, b"first").unwrap();
    let mut world = guest.start_with(vm, root, host).unwrap();
    let id = world.stream_of(stream);
    world.request_headers(id)?;
    let stream = world.host.selected.and_then(|token| world.host.streams.remove(&token)).unwrap_or_default();
    // What the guest printed may come after it.
    let whole = world.host.entries.into_iter().map(|(_, message)| message).find(|text| text.len() == MEMORY as usize);
    let memory = whole.unwrap();
    let mut before = vec![FILLED; 0x2000];
    before.resize(MEMORY as usize, 0);
    for (at, content) in data {
        before[*at as usize..*at as usize + content.len()].copy_from_slice(content);
    }
    let at = STATUS as usize..STATUS as usize + 4;
    let status = u32::from_le_bytes(memory[at.clone()].try_into().unwrap());
    before[at.clone()].copy_from_slice(&memory[at]);
    Ok(Answer { status, memory, stream, before })
}
