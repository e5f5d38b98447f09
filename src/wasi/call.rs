//! A call of a function of WASI: what it gets, and what it answers.

use std::sync::Arc;

use super::descriptors::Descriptors;
use super::errno::Errno;
use super::lines::Output;
use super::outside::Outside;
use crate::vm::imports::Types;
use crate::vm::{Caller, GuestMemory, OutOfBounds, Trap};

/// One function of WASI.
pub(crate) struct Row {
    /// Its name.
    pub name: &'static str,
    /// The types under which it can be imported: parameters and results, `i` for i32, `I` for i64.
    pub types: Types,
    /// The function.
    pub run: Run,
}

/// The kinds of functions, by what their result means.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Answers an error number.
    Errno(fn(&mut Call<'_>, &[u64]) -> Result<(), Errno>),
    /// Answers a plain value, or nothing.
    Value(fn(&mut Call<'_>, &[u64]) -> Result<u64, Trap>),
}

impl Run {
    /// Runs the function. The answer is its result for the guest.
    pub fn run(self, call: &mut Call<'_>, args: &[u64]) -> Result<u64, Trap> {
        match self {
            Run::Errno(run) => Ok(match run(call, args) {
                Ok(()) => 0,
                Err(errno) => errno as u64,
            }),
            Run::Value(run) => run(call, args),
        }
    }
}

/// What a guest has of the system.
#[derive(Default)]
pub(crate) struct State {
    /// Files that it has open.
    pub files: Descriptors,
    /// What it printed and has not ended a line behind.
    pub output: Output,
    /// `NAME=VALUE`, each: the environment of a filter. A program has that of its run.
    pub environment: Arc<Vec<Vec<u8>>>,
    /// It has been given random numbers.
    pub has_read_random: bool,
    /// Which of its standard streams a program does not want to wait for. Go chooses so for all, before anything else: whoever
    /// makes an image of such a guest keeps this with it.
    pub nonblocking: [bool; 3],
}

impl State {
    /// Whether the guest has what it was granted, and nothing else.
    pub fn is_as_granted(&self) -> bool {
        self.files.is_as_granted() && self.output.is_empty()
    }

    /// Closes what the guest has opened, and has its standard streams wait again. Answers whether it has what it was granted,
    /// and nothing else.
    pub fn put_back(&mut self) -> bool {
        let State { files, output, environment: _, has_read_random: _, nonblocking } = self;
        *nonblocking = [false; 3];
        files.put_back() && output.is_empty()
    }
}

/// A call of the guest.
pub(crate) struct Call<'a> {
    pub caller: &'a mut dyn Caller,
    pub state: &'a mut State,
    pub host: &'a mut dyn Outside,
}

impl Call<'_> {
    /// Whether the guest is a program, which has a thread of its own and may wait.
    pub fn is_program(&mut self) -> bool {
        self.host.process().is_some()
    }

    /// Guest memory, until the guest runs again.
    pub fn memory(&mut self) -> GuestMemory<'_> {
        self.caller.memory()
    }

    /// A copy of bytes in guest memory.
    pub fn bytes(&mut self, ptr: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        Ok(self.memory().read(ptr, len)?.to_vec())
    }

    /// Runs `with` with bytes in guest memory, what the guest has, and the host, all at once and without copying.
    pub fn with_bytes<R>(
        &mut self,
        ptr: u32,
        len: u32,
        with: impl FnOnce(&[u8], &mut State, &mut dyn Outside) -> R,
    ) -> Result<R, OutOfBounds> {
        let memory = self.caller.memory();
        let bytes = memory.read(ptr, len)?;
        Ok(with(bytes, self.state, self.host))
    }

    /// Runs `with` with guest memory to write to, what the guest has, and the host, all at once.
    pub fn fill<R>(
        &mut self,
        ptr: u32,
        len: u32,
        with: impl FnOnce(&mut [u8], &mut State, &mut dyn Outside) -> R,
    ) -> Result<R, OutOfBounds> {
        let mut memory = self.caller.memory();
        Ok(with(memory.bytes(ptr, len)?, self.state, self.host))
    }

    /// Writes a 32-bit result.
    pub fn put_u32(&mut self, ptr: u32, value: u32) -> Result<(), OutOfBounds> {
        self.memory().write_u32(ptr, value)
    }

    /// Writes a 64-bit result.
    pub fn put_u64(&mut self, ptr: u32, value: u64) -> Result<(), OutOfBounds> {
        self.memory().write_u64(ptr, value)
    }
}
