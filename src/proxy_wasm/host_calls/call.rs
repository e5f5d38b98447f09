//! A host call: what a host function is, what it gets, and how it is found and run.

use std::time::Instant;

use super::traced::Traced;
use crate::proxy_wasm::host::Host;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::types::{LogLevel, Status};
use crate::vm::imports::Types;
use crate::vm::{Caller, GuestMemory, HostFunctions, OutOfBounds, Trap};
use crate::wasi;

/// One host function.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its name; `module` is said by the table that it stands in.
    pub name: &'static str,
    /// The types under which it can be imported: parameters and results, `i` for i32, `I` for i64.
    pub types: Types,
    /// What a guest gets that may not call it.
    pub when_denied: Denied,
    /// The function.
    pub run: Run,
}

/// The kinds of host functions, by what their result means.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Answers a Proxy-Wasm status.
    Status(fn(&mut HostCall<'_>, &[u64]) -> Result<(), Failure>),
    /// One of WASI.
    Wasi(wasi::Run),
    /// Answers a plain value, or nothing.
    Value(fn(&mut HostCall<'_>, &[u64]) -> Result<u64, Trap>),
}

/// What the guest gets from a host call that it may not make. SDKs take the former as an ordinary answer, and mostly end the
/// guest for the latter.
#[derive(Clone, Copy)]
pub(crate) enum Denied {
    /// What it may not read is not there.
    NotFound,
    /// A failure of the host, as in the reference host.
    Fails,
    /// A status, unless the arguments ask for what every filter may have.
    Unless(fn(&[u64]) -> bool, Status),
}

impl Denied {
    /// What the guest gets; `None` when the call is made nevertheless.
    fn status(self, args: &[u64]) -> Option<Status> {
        match self {
            Denied::NotFound => Some(Status::NotFound),
            Denied::Fails => Some(Status::InternalFailure),
            Denied::Unless(is_for_all, status) => (!is_for_all(args)).then_some(status),
        }
    }
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

/// Serves the host calls of one callback: what [`Vm`](crate::proxy_wasm::Vm) passes to the engine.
pub(in crate::proxy_wasm) struct Dispatch<'a> {
    pub state: &'a mut State,
    pub host: &'a mut dyn Host,
    /// All host functions, by their numbers.
    pub rows: &'static [Row],
}

impl HostFunctions for Dispatch<'_> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        match self.state.trace {
            None => self.run(function, caller, args),
            Some(_) => self.run_traced(function, caller, args),
        }
    }
}

impl Dispatch<'_> {
    /// Runs a host call, and has the host write what came of it.
    #[cold]
    fn run_traced(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        let has_line = self.state.trace.as_mut().is_some_and(|trace| trace.has_line());
        let (true, Some(row)) = (has_line, self.rows.get(function as usize)) else {
            return self.run(function, caller, args);
        };
        let context = self.state.effective();
        let traced = Traced::new(row.name, args, &caller.memory());
        let begin = Instant::now();
        let result = self.run(function, caller, args);
        let took = begin.elapsed().as_micros();
        let answer = match (&result, row.run) {
            (Err(trap), _) => format!("trap: {trap}"),
            (Ok(status), Run::Status(_)) => traced.status(*status, &caller.memory()),
            (Ok(0), Run::Wasi(_)) => "0".into(),
            (Ok(errno), Run::Wasi(_)) => format!("errno {errno}"),
            (Ok(value), Run::Value(_)) => value.to_string(),
        };
        self.host.trace(&format!("context {context}: {}({}) = {answer}, {took} us", row.name, traced.arguments));
        result
    }

    // Both of those above are to have it inside: it runs for each host call.
    #[inline(always)]
    fn run(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        let Some(row) = self.rows.get(function as usize) else {
            return Err(Trap::host(format!("no host function number {function}")));
        };
        let is_denied = self.state.capabilities().is_some_and(|all| !all.may_run(function));
        let mut call = HostCall { caller, state: self.state, host: self.host, rows: self.rows };
        if is_denied && let Some(status) = row.when_denied.status(args) {
            call.deny_function(row.name);
            return Ok(status as u64);
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
            Run::Wasi(run) => run
                .run(&mut wasi::Call { caller: call.caller, state: &mut call.state.wasi, host: &mut call.host }, args),
            Run::Value(run) => run(&mut call, args),
        }
    }
}

/// A call of the guest into the host.
pub(crate) struct HostCall<'a> {
    pub(super) caller: &'a mut dyn Caller,
    pub state: &'a mut State,
    pub host: &'a mut dyn Host,
    rows: &'static [Row],
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
        let mut inner = Dispatch { state: self.state, host: self.host, rows: self.rows };
        match self.caller.call(allocator as usize, &[len], &mut inner)? {
            0 => Err(Status::InternalFailure.into()),
            ptr => Ok(ptr),
        }
    }

    /// Logs that the guest asked for what it cannot get: of one subject, once a minute, since it may ask all the time.
    pub fn warn_rarely(&mut self, subject: &'static str, message: &str) {
        self.state.warn_rarely(self.host, subject, message);
    }

    /// The guest may not do what it asks for.
    pub fn deny(&mut self, subject: &'static str, message: &str) {
        self.state.count_denied();
        self.warn_rarely(subject, message);
    }

    fn deny_function(&mut self, name: &'static str) {
        let word = name.strip_prefix("proxy_").unwrap_or(name);
        let message =
            format!("\"{name}\" is not allowed; add \"{word}\" to \"proxy_wasm_allow\" if the filter may call it");
        self.deny(name, &message);
    }

    /// The context that the call is about.
    pub fn context(&self) -> ContextId {
        self.state.effective()
    }
}

/// A name that a guest gave, for a message: its beginning, when it is long.
pub(in crate::proxy_wasm) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(100)]).into_owned()
}

impl wasi::Outside for &mut (dyn Host + '_) {
    fn now(&self) -> u64 {
        (**self).now()
    }

    fn print(&mut self, to: wasi::Stream, line: &[u8]) {
        let level = match to {
            wasi::Stream::Out => LogLevel::Info,
            wasi::Stream::Err => LogLevel::Error,
        };
        self.guest_log(level, line);
    }
}
