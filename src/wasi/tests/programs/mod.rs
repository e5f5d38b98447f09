//! What programs are answered. A module whose exports do nothing but call one function of WASI each is linked to the rows of
//! [`TABLES`]; a test calls these exports, and looks at the guest's memory, from inside a host call of its own. Around the
//! guest is a [`Fake`], which notes what is asked of it.

mod arguments;
mod clocks;
mod disks;
mod files;
mod input;
mod output;
mod poll;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::super::{Call, Errno, Outside, Process, Ready, Row, State, Stream, TABLES};
use crate::proxy_wasm::tests::support::{engine, wat_types};
use crate::vm::{Caller, ExternType, HostFunctions, InstanceLimits, LinkedImport, Program, Trap};

/// Size of the memory of a guest.
const MEMORY: u32 = 32 << 16;

/// The number of the host function that runs a test.
const TEST: u32 = u32::MAX;

/// All functions that answer an error number.
fn rows() -> Vec<&'static Row> {
    TABLES.iter().copied().flatten().filter(|row| row.types[0].1 == "i").collect()
}

/// Where a guest finds the arguments of a function that it is to call, 8 bytes for each.
const ARGS: u32 = 0x8000;

/// The module: its first export calls the test, the others a function each.
static PROGRAM: LazyLock<Arc<dyn Program>> = LazyLock::new(|| {
    let mut imports = "(import \"test\" \"run\" (func $test))".to_owned();
    let mut exports = "(func (export \"go\") (call $test))".to_owned();
    for row in rows() {
        let (name, letters) = (row.name, row.types[0].0);
        let types = wat_types(letters);
        write!(imports, "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{types}) (result i32)))")
            .unwrap();
        let load = |(n, letter): (u32, char)| {
            let ty = if letter == 'I' { "i64" } else { "i32" };
            format!("({ty}.load (i32.const {}))", ARGS + 8 * n)
        };
        let arguments: String = (0..).zip(letters.chars()).map(load).collect();
        write!(exports, "(func (export \"{name}\") (result i32) (call ${name} {arguments}))").unwrap();
    }
    let wat = format!("(module {imports} (memory (export \"memory\") {}) {exports})", MEMORY >> 16);
    let module = engine().compile(wat.as_bytes()).unwrap();
    let function = |name: &str| rows().iter().position(|row| row.name == name).map_or(TEST, |number| number as u32);
    let link = |import: crate::vm::Import| {
        let ExternType::Func(ty) = import.ty else { panic!("{} is no function", import.name) };
        LinkedImport { function: function(&import.name), module: import.module, name: import.name, ty }
    };
    let imports: Vec<_> = module.imports().into_iter().map(link).collect();
    let exports: Vec<_> = ["go"].into_iter().chain(rows().iter().map(|row| row.name)).collect();
    module.link(&imports, &exports).unwrap()
});

/// The world around a program.
#[derive(Default)]
struct Fake {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    /// What each read finds; then the input is at its end.
    input: VecDeque<Vec<u8>>,
    /// How much each write takes; then all.
    takes: VecDeque<usize>,
    output: Vec<u8>,
    lines: Vec<(Stream, String)>,
    /// What can go on, as far as anybody asks.
    ready: Ready,
    /// All that was asked: "read", "write", "wait".
    asked: Vec<&'static str>,
    /// What was to be waited for the last time, and until when.
    waited: Option<(Ready, Option<Instant>)>,
    /// Whoever wants the output has gone.
    gone: bool,
}

/// The time of the world, in nanoseconds since 1970.
const NOW: u64 = 1_700_000_000_000_000_000;

impl Outside for Fake {
    fn now(&self) -> u64 {
        NOW
    }

    fn print(&mut self, to: Stream, line: &[u8]) {
        self.lines.push((to, String::from_utf8(line.to_vec()).unwrap()));
    }

    fn process(&mut self) -> Option<&mut dyn Process> {
        Some(self)
    }
}

impl Process for Fake {
    fn arguments(&self) -> &[Vec<u8>] {
        &self.arguments
    }

    fn environment(&self) -> &[Vec<u8>] {
        &self.environment
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        self.ask("read")?;
        let Some(piece) = self.input.front_mut() else { return Ok(0) };
        let len = piece.len().min(into.len());
        into[..len].copy_from_slice(&piece[..len]);
        piece.drain(..len);
        if piece.is_empty() {
            self.input.pop_front();
        }
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.ask("write")?;
        let len = self.takes.pop_front().unwrap_or(bytes.len()).min(bytes.len());
        self.output.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn wait(&mut self, wanted: Ready, until: Option<Instant>) -> Result<Ready, Errno> {
        self.ask("wait")?;
        self.waited = Some((wanted, until));
        Ok(Ready { input: wanted.input && self.ready.input, output: wanted.output && self.ready.output })
    }
}

impl Fake {
    fn ask(&mut self, what: &'static str) -> Result<(), Errno> {
        self.asked.push(what);
        if self.gone { Err(Errno::Pipe) } else { Ok(()) }
    }

    /// What was asked since the last time.
    fn take_asked(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked)
    }

    /// With these pieces of input.
    fn with_input(pieces: &[&[u8]]) -> Fake {
        Fake { input: pieces.iter().map(|piece| piece.to_vec()).collect(), ..Fake::default() }
    }
}

/// A program that runs, inside a host call of its own.
struct Guest<'a> {
    caller: &'a mut dyn Caller,
    state: &'a mut State,
    fake: &'a mut Fake,
}

impl Guest<'_> {
    /// Calls a function of WASI; the numbers are its arguments.
    fn call(&mut self, function: &str, args: &[u64]) -> u32 {
        let number = rows().iter().position(|row| row.name == function).unwrap();
        assert_eq!(rows()[number].types[0].0.len(), args.len(), "{function}");
        self.put_arguments(args);
        let mut dispatch = Dispatch { state: self.state, fake: self.fake };
        self.caller.call(number + 1, &[], &mut dispatch).unwrap()
    }

    fn put_arguments(&mut self, args: &[u64]) {
        let bytes: Vec<u8> = args.iter().flat_map(|arg| arg.to_le_bytes()).collect();
        self.put(ARGS, &bytes);
    }

    /// A call that goes well.
    fn ok(&mut self, function: &str, args: &[u64]) {
        assert_eq!(self.call(function, args), 0, "{function} {args:x?}");
    }

    /// A call that does not, and writes nothing.
    fn fails(&mut self, function: &str, args: &[u64], errno: Errno) {
        self.put_arguments(args);
        let before = self.bytes(0, MEMORY);
        assert_eq!(self.call(function, args), errno as u32, "{function} {args:x?}");
        assert!(self.bytes(0, MEMORY) == before, "{function} {args:x?} has written");
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.caller.memory().write(at, bytes).unwrap();
    }

    fn bytes(&mut self, at: u32, len: u32) -> Vec<u8> {
        self.caller.memory().read(at, len).unwrap().to_vec()
    }

    fn u32_at(&mut self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    fn u64_at(&mut self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Puts a list of pieces of memory at this place.
    fn put_vectors(&mut self, at: u32, pieces: &[(u32, u32)]) {
        let numbers = pieces.iter().flat_map(|(ptr, len)| [ptr.to_le_bytes(), len.to_le_bytes()]);
        let bytes: Vec<u8> = numbers.flatten().collect();
        self.put(at, &bytes);
    }
}

/// Has the functions of WASI done for a program.
struct Dispatch<'a> {
    state: &'a mut State,
    fake: &'a mut Fake,
}

impl HostFunctions for Dispatch<'_> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        rows()[function as usize].run.run(&mut Call { caller, state: self.state, host: self.fake }, args)
    }
}

struct Runner<'a, F> {
    state: &'a mut State,
    fake: &'a mut Fake,
    test: F,
}

impl<F: FnMut(&mut Guest<'_>)> HostFunctions for Runner<'_, F> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, _: &[u64]) -> Result<u64, Trap> {
        assert_eq!(function, TEST);
        (self.test)(&mut Guest { caller, state: self.state, fake: self.fake });
        Ok(0)
    }
}

/// Runs a test as a program in this world, which has this of the system.
fn run_with(mut state: State, mut fake: Fake, test: impl FnMut(&mut Guest<'_>)) {
    let mut runner = Runner { state: &mut state, fake: &mut fake, test };
    let minute = Duration::from_secs(60);
    let mut instance = PROGRAM.instantiate(InstanceLimits::default(), None, minute.into(), &mut runner).unwrap();
    instance.call(0, &[], minute, &mut runner).unwrap();
}

/// Runs a test as a program that has nothing of the system.
fn run(fake: Fake, test: impl FnMut(&mut Guest<'_>)) {
    run_with(State::default(), fake, test);
}

#[test]
fn a_program_is_told_from_a_filter_by_its_world() {
    run(Fake::default(), |guest| {
        assert!(Call { caller: guest.caller, state: guest.state, host: guest.fake }.is_program());
    });
}
