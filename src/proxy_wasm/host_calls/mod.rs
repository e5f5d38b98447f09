//! The functions that a guest calls in the host: one table of names and types, and a file for each family.
//!
//! A host function gets its raw arguments and a [`HostCall`], through which it reaches guest memory, the VM's contexts
//! and the [`Host`]. It answers `Ok(())`, a status for the guest, or a trap. `Module` links imports by this table,
//! `Vm` dispatches calls through it. WASI's functions are in `crate::wasi`.

mod buffers;
mod calls;
mod contexts;
mod foreign_function;
mod grpc;
mod grpc_service;
mod header_maps;
mod higress;
mod http_call;
mod local_response;
mod log;
mod metrics;
pub(super) mod properties;
mod redis;
mod runtime;
mod shared_data;
mod shared_queue;
mod streams;
mod time;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::capabilities;
use super::context::ContextId;
use super::host::Host;
use super::state::State;
use super::types::Status;
use crate::vm::{Caller, FuncType, GuestMemory, HostFunctions, OutOfBounds, Trap, ValType};
use crate::wasi;

/// One host function.
pub(crate) struct Row {
    /// Its name; `module` is said by the table that it stands in.
    pub name: &'static str,
    /// The types under which it can be imported: parameters and results, `i` for i32, `I` for i64.
    pub types: &'static [(&'static str, &'static str)],
    /// The function.
    pub run: Run,
}

/// The kinds of host functions, by what their result means.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Answers a Proxy-Wasm status.
    Status(fn(&mut HostCall<'_>, &[u64]) -> Result<(), Failure>),
    /// Answers a WASI error number.
    Wasi(fn(&mut HostCall<'_>, &[u64]) -> Result<(), wasi::Errno>),
    /// Answers a plain value, or nothing.
    Value(fn(&mut HostCall<'_>, &[u64]) -> Result<u64, Trap>),
}

/// Why a host function does not answer Ok.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The guest gets a status.
    Status(Status),
    /// The guest is stopped.
    Trap(Trap),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Status(status)
    }
}

impl From<Trap> for Failure {
    fn from(trap: Trap) -> Self {
        Failure::Trap(trap)
    }
}

impl From<OutOfBounds> for Failure {
    fn from(_: OutOfBounds) -> Self {
        Failure::Status(Status::InvalidMemoryAccess)
    }
}

impl Row {
    /// Whether a module may import it with this type.
    pub fn accepts(&self, ty: &FuncType) -> bool {
        self.types.iter().any(|(params, results)| spells(params, &ty.params) && spells(results, &ty.results))
    }

    /// The types that [`Row::accepts`] accepts, for an error message.
    pub fn offered(&self) -> String {
        let types = |letters: &str| letters.chars().map(val_type).collect();
        self.types
            .iter()
            .map(|(params, results)| format!("func {}", FuncType { params: types(params), results: types(results) }))
            .collect::<Vec<_>>()
            .join(" or ")
    }
}

fn val_type(letter: char) -> ValType {
    if letter == 'I' { ValType::I64 } else { ValType::I32 }
}

fn spells(letters: &str, types: &[ValType]) -> bool {
    letters.chars().map(val_type).eq(types.iter().copied())
}

/// The functions of module `env`, families in the order of the specification. Their names are words of `proxy_wasm_allow`.
const ENV: &[(&str, &[Row])] = &[
    ("log", log::TABLE),
    ("time", time::TABLE),
    ("buffers", buffers::TABLE),
    ("header_maps", header_maps::TABLE),
    ("streams", streams::TABLE),
    ("local_response", local_response::TABLE),
    ("http_call", http_call::TABLE),
    ("grpc", grpc::TABLE),
    ("shared_data", shared_data::TABLE),
    ("shared_queue", shared_queue::TABLE),
    ("metrics", metrics::TABLE),
    ("properties", properties::TABLE),
    ("foreign_function", foreign_function::TABLE),
    ("contexts", contexts::TABLE),
    ("redis", redis::TABLE),
    ("higress", higress::TABLE),
    ("runtime", runtime::TABLE),
];

/// Both names under which SDKs import WASI.
const WASI: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

static ROWS: LazyLock<Vec<&'static Row>> =
    LazyLock::new(|| env().chain(wasi::TABLES.iter().copied().flatten()).collect());

static NUMBERS: LazyLock<HashMap<(&'static str, &'static str), u32>> = LazyLock::new(|| {
    let env = env().count();
    let mut numbers = HashMap::new();
    for (number, row) in ROWS.iter().enumerate() {
        let modules: &[&'static str] = if number < env { &["env"] } else { &WASI };
        for module in modules {
            numbers.insert((*module, row.name), number as u32);
        }
    }
    numbers
});

fn env() -> impl Iterator<Item = &'static Row> {
    ENV.iter().flat_map(|(_, rows)| rows.iter())
}

/// The names of the functions of module `env`, in the order of their numbers, which count from 0.
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    env().map(|row| row.name)
}

/// The names of the families of module `env`.
pub(super) fn families() -> impl Iterator<Item = &'static str> {
    ENV.iter().map(|(family, _)| *family)
}

/// The names of the functions of a family; none when it is no family.
pub(super) fn family(name: &str) -> impl Iterator<Item = &'static str> + use<> {
    let rows = ENV.iter().find(|(family, _)| *family == name).map_or(&[][..], |(_, rows)| *rows);
    rows.iter().map(|row| row.name)
}

/// The number of the host function that serves an import.
pub(super) fn find(module: &str, name: &str) -> Option<u32> {
    NUMBERS.get(&(module, name)).copied()
}

/// The function behind a number that [`find`] gave.
pub(super) fn row(function: u32) -> &'static Row {
    ROWS[function as usize]
}

/// Serves the host calls of one callback: what [`Vm`](super::Vm) passes to the engine.
pub(super) struct Dispatch<'a> {
    pub state: &'a mut State,
    pub host: &'a mut dyn Host,
    /// The rows, looked up once for the whole callback.
    rows: &'static [&'static Row],
}

impl<'a> Dispatch<'a> {
    pub fn new(state: &'a mut State, host: &'a mut dyn Host) -> Self {
        Dispatch { state, host, rows: &ROWS }
    }
}

impl HostFunctions for Dispatch<'_> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        let Some(row) = self.rows.get(function as usize) else {
            return Err(Trap::host(format!("no host function number {function}")));
        };
        let is_denied = self.state.capabilities().is_some_and(|all| !all.may_run(function));
        let mut call = HostCall { caller, state: self.state, host: self.host };
        if is_denied && !buffers::is_configuration(row.name, args) {
            return Ok(call.deny_function(row.name) as u64);
        }
        match row.run {
            Run::Status(run) => {
                call.state.asked.calls += 1;
                match run(&mut call, args) {
                    Ok(()) => Ok(Status::Ok as u64),
                    Err(Failure::Status(status)) => Ok(status as u64),
                    Err(Failure::Trap(trap)) => Err(trap),
                }
            }
            Run::Wasi(run) => match run(&mut call, args) {
                Ok(()) => Ok(0),
                Err(errno) => Ok(errno as u64),
            },
            Run::Value(run) => run(&mut call, args),
        }
    }
}

/// A call of the guest into the host.
pub(crate) struct HostCall<'a> {
    caller: &'a mut dyn Caller,
    pub state: &'a mut State,
    pub host: &'a mut dyn Host,
}

impl HostCall<'_> {
    /// Guest memory, until the guest runs again.
    pub fn memory(&mut self) -> GuestMemory<'_> {
        self.caller.memory()
    }

    /// A copy of bytes in guest memory.
    pub fn bytes(&mut self, ptr: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        Ok(self.memory().read(ptr, len)?.to_vec())
    }

    /// Runs `with` with bytes in guest memory, the VM's state and the host, all at once and without copying.
    pub fn with_bytes<R>(
        &mut self,
        ptr: u32,
        len: u32,
        with: impl FnOnce(&[u8], &mut State, &mut dyn Host) -> R,
    ) -> Result<R, OutOfBounds> {
        let memory = self.caller.memory();
        let bytes = memory.read(ptr, len)?;
        Ok(with(bytes, self.state, self.host))
    }

    /// Runs `with` with guest memory to write to, and the VM's state.
    pub fn fill<R>(
        &mut self,
        ptr: u32,
        len: u32,
        with: impl FnOnce(&mut [u8], &mut State) -> R,
    ) -> Result<R, OutOfBounds> {
        let mut memory = self.caller.memory();
        Ok(with(memory.bytes(ptr, len)?, self.state))
    }

    /// Like [`HostCall::with_bytes`] with two places.
    pub fn with_two<R>(
        &mut self,
        first: (u32, u32),
        second: (u32, u32),
        with: impl FnOnce(&[u8], &[u8], &mut dyn Host) -> R,
    ) -> Result<R, OutOfBounds> {
        let memory = self.caller.memory();
        Ok(with(memory.read(first.0, first.1)?, memory.read(second.0, second.1)?, self.host))
    }

    /// Writes a 32-bit result.
    pub fn put_u32(&mut self, ptr: u32, value: u32) -> Result<(), OutOfBounds> {
        self.memory().write_u32(ptr, value)
    }

    /// Writes a 64-bit result.
    pub fn put_u64(&mut self, ptr: u32, value: u64) -> Result<(), OutOfBounds> {
        self.memory().write_u64(ptr, value)
    }

    /// Gives `bytes` to the guest: in memory that the guest allocates, with its pointer and size at the two places. No
    /// bytes are a null pointer.
    pub fn give(&mut self, bytes: &[u8], ptr_at: u32, len_at: u32) -> Result<(), Failure> {
        let len = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
        self.memory().check(len_at, 4)?;
        self.give_at(bytes, ptr_at)?;
        self.put_u32(len_at, len)?;
        Ok(())
    }

    /// Gives `bytes` to a guest that knows their size.
    pub fn give_at(&mut self, bytes: &[u8], ptr_at: u32) -> Result<(), Failure> {
        let len = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
        self.memory().check(ptr_at, 4)?;
        let mut ptr = 0;
        if len > 0 {
            ptr = self.allocate(len)?;
            // The allocator is the guest's, and may answer anything.
            self.memory().write(ptr, bytes)?;
        }
        self.put_u32(ptr_at, ptr)?;
        Ok(())
    }

    /// Gives what `fill` appends to an empty buffer. The buffer is kept for the next call.
    pub fn give_with(
        &mut self,
        ptr_at: u32,
        len_at: u32,
        fill: impl FnOnce(&mut Self, &mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut buffer = self.state.take_scratch();
        let result = fill(self, &mut buffer).and_then(|()| self.give(&buffer, ptr_at, len_at));
        self.state.keep_scratch(buffer);
        result
    }

    fn allocate(&mut self, len: u32) -> Result<u32, Failure> {
        let allocator = self.state.allocator();
        let mut inner = Dispatch::new(self.state, self.host);
        match self.caller.call(allocator as usize, &[len], &mut inner)? {
            0 => Err(Status::InternalFailure.into()),
            ptr => Ok(ptr),
        }
    }

    /// Logs that the guest asked for what it cannot get: of one subject, once a minute, since it may ask all the time.
    pub fn complain(&mut self, subject: &'static str, message: &str) {
        self.state.complain(self.host, subject, message);
    }

    /// The guest may not do what it asks for.
    pub fn deny(&mut self, subject: &'static str, message: &str) {
        self.state.count_denied();
        self.complain(subject, message);
    }

    fn deny_function(&mut self, name: &'static str) -> Status {
        let word = name.strip_prefix("proxy_").unwrap_or(name);
        let message =
            format!("\"{name}\" is not allowed; add \"{word}\" to \"proxy_wasm_allow\" if the filter may call it");
        self.deny(name, &message);
        capabilities::status_when_denied(name)
    }

    /// The context that the call is about.
    pub fn context(&self) -> ContextId {
        self.state.effective()
    }
}

/// A name that a guest gave, for a message: its beginning, when it is long.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(100)]).into_owned()
}

/// The first `N` arguments as the 32-bit numbers that they are.
pub(crate) fn args<const N: usize>(args: &[u64]) -> [u32; N] {
    std::array::from_fn(|n| args.get(n).copied().unwrap_or_default() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_one_row() {
        let mut names: Vec<_> = functions().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn types_are_spelled_by_the_guest() {
        let row = row(find("env", "proxy_log").unwrap());
        let ty = |params: usize| FuncType { params: vec![ValType::I32; params], results: vec![ValType::I32] };
        assert!(row.accepts(&ty(3)));
        assert!(!row.accepts(&ty(2)));
        assert_eq!(row.offered(), "func (i32, i32, i32) -> (i32)");
    }

    #[test]
    fn wasi_has_two_names() {
        assert_eq!(find("wasi_unstable", "fd_write"), find("wasi_snapshot_preview1", "fd_write"));
        assert_eq!(find("env", "fd_write"), None);
    }
}
