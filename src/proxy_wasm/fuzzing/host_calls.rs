//! A life of a VM as a fuzzer wants it: contexts, callbacks and results of calls in any order, and in each callback any host
//! calls, made by the guest of `guest.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::guest::{
    self, CONTENT, CONTENT_SIZE, END, Function, GROW, PROGRAM_SIZE, SET_ALLOCATOR, SET_RESULT, SLOTS, Source, TRAP,
};
use super::{Input, WORDS};
use crate::proxy_wasm::calls::{CallCommand, CallFailure, CallId, HttpAnswer};
use crate::proxy_wasm::capabilities::Capabilities;
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::errors::{CallError, StartError};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::host::{HostHealth, UpstreamHost};
use crate::proxy_wasm::ids::{ContextId, StreamToken};
use crate::proxy_wasm::image::VmImage;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::MapType;
use crate::proxy_wasm::vm::Vm;
use crate::proxy_wasm::{LogLevel, Module};
use crate::vm::wasmtime::WasmtimeEngine;
use crate::vm::{Engine, EngineOptions, InstanceLimits};

const STEPS: usize = 64;
const STREAMS: usize = 16;
const MAX_CALLS: usize = 8;
const MAX_PENDING: usize = 4;
const MEMORY: usize = 4 << 16;
/// The most that one host call, or what the host says of itself, may log: a guest's message is a piece of its memory.
const MAX_ENTRY: usize = MEMORY + (1 << 10);
/// The longest line of a trace: texts are shown in short, and reasons of traps are the longest of them.
const MAX_TRACE: usize = 8 << 10;

/// Both guests: the functions that they call, and the module.
static GUESTS: LazyLock<[(Vec<Function>, Arc<Module>); 2]> = LazyLock::new(|| {
    // It has no ticker: what the guest does is bounded by the length of its program.
    let engine: Arc<dyn Engine> =
        Arc::new(WasmtimeEngine::new(EngineOptions::default()).unwrap_or_else(|err| panic!("{err}")));
    [0, 1].map(|guest| {
        let functions = guest::functions(guest);
        let wat = guest::wat(&functions, Source::Configuration);
        let module = Module::new(engine.as_ref(), wat.as_bytes()).unwrap_or_else(|err| panic!("{err}\n{wat}"));
        (functions, Arc::new(module))
    })
});

/// Runs the life that `data` describes.
pub fn host_calls(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.u8();
    let (functions, module) = &GUESTS[usize::from(flags >> 1 & 1)];
    let content = usize::from(input.u16()) % CONTENT_SIZE;
    let content = input.bytes(content);

    // All pieces of the program lie behind each other in the order in which callbacks take them, three for the start.
    let mut program = (content.len() as u32).to_le_bytes().to_vec();
    program.extend_from_slice(content);
    for _ in 0..3 {
        write_piece(&mut input, functions, &mut program);
    }
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < STEPS {
        steps.push((input.u8(), input.u8(), input.u32()));
        write_piece(&mut input, functions, &mut program);
    }
    program.truncate(PROGRAM_SIZE);

    let mut config = VmConfig {
        id: b"id".to_vec(),
        configuration: program,
        limits: InstanceLimits { memory: MEMORY, ..InstanceLimits::default() },
        reuse_context_ids: flags & 1 != 0,
        ..VmConfig::default()
    };
    config.max_calls = MAX_CALLS;
    config.max_pending = MAX_PENDING;
    let files = (flags & 0x1c == 4).then(Files::new);
    config.capabilities = capabilities(flags, content, files.as_ref());
    let root = RootConfig { name: b"name".to_vec(), root_id: b"root".to_vec(), configuration: content.to_vec() };
    let mut host = FakeHost { trace: Some(Vec::new()), ..FakeHost::default() };
    let started = Vm::start(module, config.clone(), &mut host).and_then(|mut vm| {
        let root = vm.create_root(root.clone(), &mut host)?;
        Ok((vm, root))
    });
    let (mut vm, root_id) = match started {
        Ok(started) => started,
        Err(StartError::Call(err)) => return judge(&err),
        Err(_) => return,
    };
    let image = vm.image().ok();
    let mut world = World { vm, root: root_id, host, streams: Vec::new(), calls: Vec::new(), tokens: 0, content };
    for (event, choice, number) in steps {
        let result = world.step(event, usize::from(choice), number, &root);
        if let (21, Some(image)) = (event % 22, &image) {
            world.put_back(image, || {
                Vm::from_image(module, config.clone(), root.clone(), image, Duration::from_secs(1))
            });
        }
        world.check();
        if let Some(files) = &files {
            files.check();
        }
        if let Err(err) = result {
            judge(&err);
            world.check_dead();
            return;
        }
    }
}

/// The guest for a real server, as WAT: it runs the program that it finds in the header `x-program` of a request.
pub fn live_guest() -> String {
    guest::wat(&guest::functions(0), Source::Header)
}

/// A program for the callbacks of a request.
pub fn live_program(data: &[u8]) -> Vec<u8> {
    const PIECES: usize = 12;
    let functions = &GUESTS[0].0;
    let mut input = Input(data);
    let content = usize::from(input.u16()) % 512;
    let content = input.bytes(content);
    let mut program = (content.len() as u32).to_le_bytes().to_vec();
    program.extend_from_slice(content);
    for _ in 0..PIECES {
        write_piece(&mut input, functions, &mut program);
    }
    program.truncate(PROGRAM_SIZE);
    program
}

/// What the guest may do: everything, or what the lines of the content say.
fn capabilities(flags: u8, content: &[u8], files: Option<&Files>) -> Option<Arc<Capabilities>> {
    let grant = files.map(Files::grant);
    let said = content.split(|byte| *byte == b'\n').filter(|_| flags & 8 != 0);
    let of_words = |words: Vec<&[u8]>| Capabilities::parse(words, Path::new("/nowhere")).ok();
    // The fuzzer grants no directories, and not all that it says are words.
    let said: Vec<&[u8]> = said
        .filter(|word| !word.starts_with(b"dir=") && of_words(vec![word]).is_some())
        .chain(grant.as_deref())
        .collect();
    if said.is_empty() { None } else { of_words(said).map(Arc::new) }
}

/// A directory that a guest may write to, and one beside it that it must not reach.
struct Files {
    base: PathBuf,
}

const SECRET: &str = "outside";

impl Files {
    fn new() -> Files {
        let base = std::env::temp_dir().join(format!("ngx-wasm-fuzz-{}", std::process::id()));
        let files = Files { base };
        drop(fs::remove_dir_all(files.base.join("granted")));
        let made = fs::create_dir_all(files.base.join("granted/folder"))
            .and_then(|()| fs::create_dir_all(files.base.join("secret")))
            .and_then(|()| fs::write(files.base.join("granted/file"), "inside"))
            .and_then(|()| fs::write(files.base.join("secret/file"), SECRET))
            .and_then(|()| std::os::unix::fs::symlink("../secret", files.base.join("granted/link")));
        made.unwrap_or_else(|err| panic!("{}: {err}", files.base.display()));
        files
    }

    fn grant(&self) -> Vec<u8> {
        format!("dir={}:/data:rw", self.base.join("granted").display()).into_bytes()
    }

    /// What is outside of the directory is as it was.
    fn check(&self) {
        let names = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(self.base.join(folder)).unwrap_or_else(|err| panic!("{folder}: {err}"));
            let mut names: Vec<_> =
                entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(""), ["granted", "secret"], "a guest has left its directory");
        assert_eq!(names("secret"), ["file"], "a guest has left its directory");
        let secret = fs::read(self.base.join("secret/file")).unwrap_or_default();
        assert_eq!(secret, SECRET.as_bytes(), "a guest has written outside of its directory");
    }
}

/// One piece of program, as the fuzzer wants it.
fn write_piece(input: &mut Input<'_>, functions: &[Function], program: &mut Vec<u8>) {
    let calls = input.u8() % 8;
    for _ in 0..calls {
        let choice = input.u8();
        match choice {
            // Mostly host calls; the rest is what the guest does by itself.
            250.. => {
                let (number, first) = match choice {
                    250 => (GROW, u64::from(input.u8() % 4)),
                    251 => (SET_RESULT, u64::from(input.u8() % 6)),
                    252 => (SET_RESULT, u64::from(input.u32())),
                    253 => (TRAP, 0),
                    _ => (SET_ALLOCATOR, u64::from(input.u8() % 6)),
                };
                let second = if number == SET_ALLOCATOR { u64::from(input.u32()) } else { 0 };
                write_record(program, number, &[(0, first), (0, second)]);
            }
            _ => {
                let n = usize::from(choice) % functions.len();
                let arguments = arguments(input, functions[n].2.len());
                write_record(program, n as u16, &arguments);
            }
        }
    }
    write_record(program, END, &[]);
}

fn write_record(program: &mut Vec<u8>, number: u16, arguments: &[(u32, u64)]) {
    program.extend(number.to_le_bytes());
    program.extend([arguments.len() as u8, 0]);
    for (kind, value) in arguments {
        program.extend(kind.to_le_bytes());
        program.extend(value.to_le_bytes());
    }
}

/// Arguments as a guest gives them: addresses, sizes, what it got before, and nonsense.
fn arguments(input: &mut Input<'_>, count: usize) -> Vec<(u32, u64)> {
    let mut arguments = Vec::with_capacity(count + 1);
    while arguments.len() < count {
        match input.u8() % 8 {
            0 => arguments.push((0, u64::from(input.u8()))),
            1 => arguments.push((0, u64::from(input.u32()))),
            2 => arguments.push((0, u64::from(CONTENT + u32::from(input.u16()) % CONTENT_SIZE as u32))),
            3 => arguments.push((0, u64::from(SLOTS + 8 * u32::from(input.u8() % 64)))),
            4 => arguments.push((0, input.u64())),
            5 => {
                let (at, len) = guest::word(usize::from(input.u8()) % WORDS.len());
                arguments.extend([(0, u64::from(at)), (0, u64::from(len))]);
            }
            6 => arguments.push((1, u64::from(SLOTS + 8 * u32::from(input.u8() % 64)))),
            _ => {
                let at = CONTENT + u32::from(input.u16()) % CONTENT_SIZE as u32;
                arguments.extend([(0, u64::from(at)), (0, u64::from(input.u8()))]);
            }
        }
    }
    arguments.truncate(count);
    arguments
}

/// A guest may end in any way but one: by what it found out about the host.
fn judge(err: &CallError) {
    let text = err.to_string();
    for rule in guest::BROKEN_RULES {
        assert!(!text.contains(rule), "{text}");
    }
}

struct World<'a> {
    vm: Vm,
    root: ContextId,
    host: FakeHost,
    streams: Vec<(ContextId, usize)>,
    calls: Vec<CallId>,
    tokens: usize,
    content: &'a [u8],
}

impl World<'_> {
    fn step(&mut self, event: u8, choice: usize, number: u32, root: &RootConfig) -> Result<(), CallError> {
        let is_end = number & 1 == 1;
        let streams = self.streams.len();
        let stream = (streams > 0).then(|| self.streams[choice % streams.max(1)]);
        let call = match self.calls.len() {
            0 => CallId(number),
            calls => self.calls[choice % calls],
        };
        self.host.selected = stream.map(|(_, token)| token);
        let id = stream.map(|(id, _)| id);
        let host = &mut self.host;
        match (event % 22, id) {
            (0 | 1, _) if streams < STREAMS => {
                self.tokens += 1;
                let token = self.tokens;
                host.streams.insert(token, new_stream(self.content, number));
                host.selected = Some(token);
                let id = self.vm.create_stream(self.root, StreamToken(token), host)?;
                self.streams.push((id, token));
            }
            (2, Some(id)) => self.vm.on_request_headers(id, number % 64, is_end, host).map(drop)?,
            (3, Some(id)) => self.vm.on_request_body(id, number % 64, is_end, host).map(drop)?,
            (4, Some(id)) => self.vm.on_request_trailers(id, number % 64, host).map(drop)?,
            (5, Some(id)) => self.vm.on_response_headers(id, number % 64, is_end, host).map(drop)?,
            (6, Some(id)) => self.vm.on_response_body(id, number % 64, is_end, host).map(drop)?,
            (7, Some(id)) => self.vm.on_response_trailers(id, number % 64, host).map(drop)?,
            (8 | 9, Some(id)) => {
                let (_, token) = self.streams.remove(choice % streams);
                self.vm.end_stream(id, host)?;
                host.streams.remove(&token);
                host.selected = None;
            }
            // The results of calls find no stream.
            (10, _) => {
                host.selected = None;
                self.vm.on_tick(self.root, host)?;
            }
            (11, _) => {
                host.selected = None;
                self.vm.on_queue_ready(self.root, number, host)?;
            }
            (12, _) => {
                host.selected = None;
                let answer = HttpAnswer { headers: self.pairs(), body: self.content.to_vec(), trailers: self.pairs() };
                self.vm.on_http_call_response(call, Ok(answer), &mut self.host)?;
            }
            (13, _) => {
                host.selected = None;
                let failure = CallFailure { reason: "nobody is there".into() };
                match number % 2 {
                    0 => self.vm.on_http_call_response(call, Err(failure), host)?,
                    _ => self.vm.on_redis_reply(call, Err(failure), host)?,
                }
            }
            (14, _) => {
                host.selected = None;
                let pairs = self.pairs();
                match number % 2 {
                    0 => self.vm.on_grpc_initial_metadata(call, pairs, &mut self.host)?,
                    _ => self.vm.on_grpc_trailing_metadata(call, pairs, &mut self.host)?,
                }
            }
            (15, _) => {
                host.selected = None;
                self.vm.on_grpc_message(call, self.content.to_vec(), host)?;
            }
            (16, _) => {
                host.selected = None;
                self.vm.on_grpc_close(call, number % 17, self.content.to_vec(), host)?;
            }
            (17, _) => {
                host.selected = None;
                self.vm.on_redis_reply(call, Ok(self.content.to_vec()), host)?;
            }
            (18, _) => self.vm.grpc_sent(call, number as usize % 4096),
            (19, _) => host.now = host.now.wrapping_add(u64::from(number) << 16),
            (20, _) if streams == 0 => {
                host.selected = None;
                self.vm.end_root(self.root, host)?;
                match self.vm.create_root(root.clone(), host) {
                    Ok(root) => self.root = root,
                    Err(StartError::Call(err)) => return Err(err),
                    // It has said no, and there is none now: what is asked of it then finds nothing.
                    Err(_) => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts the VM back to its start if it can be, or takes another one that is made of the image.
    fn put_back(&mut self, image: &VmImage, another: impl FnOnce() -> Result<Vm, String>) {
        if self.vm.is_dead() || self.vm.put_back(image).is_err() {
            // Its directories may have gone.
            let Ok(vm) = another() else { return };
            self.vm = vm;
        }
        self.root = image.root();
        self.streams.clear();
        self.calls.clear();
        self.host.streams.clear();
        self.host.selected = None;
        assert!(self.vm.image().is_ok_and(|now| now == *image), "a VM that was put back is not what it was");
    }

    /// What must hold whatever the guest did.
    fn check(&mut self) {
        let memory = self.vm.stats().memory;
        assert!(memory <= MEMORY, "guest memory is {memory} bytes");
        for command in self.vm.take_calls() {
            let call = command.call();
            let is_new = !matches!(command, CallCommand::GrpcSend { .. } | CallCommand::GrpcCancel(_));
            if is_new {
                assert_ne!(call.0, 0, "a call has number 0");
                self.calls.push(call);
            }
        }
        let vm = &self.vm;
        self.calls.retain(|call| vm.has_call(*call));
        assert!(self.calls.len() <= MAX_CALLS, "{} calls are in flight", self.calls.len());
        let most = 1 + STREAMS + MAX_PENDING;
        assert!(self.vm.contexts() <= most, "there are {} contexts", self.vm.contexts());
        assert!(self.vm.streams().count() >= self.streams.len() || self.vm.is_dead(), "a stream has lost its context");
        for (level, message) in self.host.entries.drain(..) {
            assert!(level <= LogLevel::Critical && message.len() <= MAX_ENTRY, "{} bytes were logged", message.len());
        }
        for line in self.host.trace.iter_mut().flat_map(|lines| lines.drain(..)) {
            assert!(line.len() <= MAX_TRACE, "a line of a trace has {} bytes", line.len());
        }
        self.vm.take_tick_periods();
        self.vm.take_registered_queues();
        self.host.filled.clear();
    }

    /// A guest that has trapped is not run again.
    fn check_dead(&mut self) {
        assert!(self.vm.is_dead(), "a callback failed, and the VM lives");
        assert!(matches!(self.vm.on_tick(self.root, &mut self.host), Err(CallError::Dead)), "a dead VM has run");
        assert!(self.vm.take_calls().is_empty(), "a callback that trapped has made calls");
        for (id, _) in self.streams.drain(..) {
            self.vm.forget(id);
        }
    }

    fn pairs(&self) -> Pairs {
        let mut pairs = Pairs::default();
        let mut input = Input(self.content);
        while !input.is_empty() && pairs.len() < 32 {
            pairs.push(input.short(), input.short());
        }
        pairs
    }
}

/// A request in some state of its life.
fn new_stream(content: &[u8], number: u32) -> FakeStream {
    let mut stream = FakeStream::default();
    let maps = [MapType::RequestHeaders, MapType::RequestTrailers, MapType::ResponseHeaders, MapType::ResponseTrailers];
    for (n, map) in maps.into_iter().enumerate() {
        if number >> n & 1 == 1 {
            stream.set_map(map, &[(":path", "/"), (":method", "GET"), ("host", "h"), ("x", "one"), ("x", "two")]);
        }
    }
    let buffers = [crate::proxy_wasm::BufferType::RequestBody, crate::proxy_wasm::BufferType::ResponseBody];
    for (n, buffer) in buffers.into_iter().enumerate() {
        if number >> (n + 4) & 1 == 1 {
            stream.set_buffer(buffer, content);
        }
    }
    stream.set_property(b"request\0path", b"/");
    stream.knows_no_property = number >> 6 & 1 == 1;
    let host = || UpstreamHost { address: content.to_vec(), health: HostHealth::Healthy };
    stream.upstream_hosts = (number >> 7 & 1 == 1).then(|| vec![host()]);
    stream.chosen_hosts = (number >> 8 & 1 == 1).then(Vec::new);
    stream
}
