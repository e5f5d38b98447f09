//! How runs of programs end.

use std::fmt;
use std::time::Duration;

use crate::vm::Trap;

/// How a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It came to its end, or said that it has succeeded.
    Done,
    /// It ended itself with this code, which is not 0.
    Exit(u32),
    /// It did something that WebAssembly forbids; the reason, and the functions that ran.
    Trap(String),
    /// A function has failed, in its own words.
    Failed(Vec<u8>),
    /// What is to be given to it is too long.
    TooLarge(String),
    /// It has taken longer than it says itself that it may.
    Late(String),
    /// It has used up its time of the processor.
    CpuTime(Duration),
    /// It has used up its fuel.
    Fuel,
    /// No instance could be made, or it could not be given what it is granted.
    NotStarted(String),
    /// It was stopped: nobody waits for it.
    Stopped,
    /// This host has failed.
    Host,
}

impl Ending {
    /// What a trap is the end of. `cpu_time`: what the program may use, if it has.
    pub(super) fn of(trap: Trap, cpu_time: Option<Duration>) -> Ending {
        match trap {
            Trap::Exit(0) => Ending::Done,
            Trap::Exit(code) => Ending::Exit(code),
            Trap::OutOfFuel => Ending::Fuel,
            Trap::Stopped | Trap::Timeout(_) => cpu_time.map_or(Ending::Stopped, Ending::CpuTime),
            Trap::Instantiate(reason) => Ending::NotStarted(reason),
            trap @ Trap::Guest { .. } => {
                let mut text = trap.to_string();
                if !trap.backtrace().is_empty() {
                    text.push_str(" in ");
                    text.push_str(&trap.backtrace().join(" < "));
                }
                Ending::Trap(text)
            }
        }
    }

    /// Whether the program ran too long, for which there is a status of its own.
    pub fn is_late(&self) -> bool {
        matches!(self, Ending::CpuTime(_) | Ending::Fuel | Ending::Late(_))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Done => f.write_str("ended"),
            Ending::Exit(code) => write!(f, "exited with code {code}"),
            Ending::Trap(reason) => write!(f, "trapped: {reason}"),
            Ending::Failed(message) => write!(f, "failed: {}", String::from_utf8_lossy(message)),
            Ending::TooLarge(reason) | Ending::Late(reason) => f.write_str(reason),
            Ending::CpuTime(limit) => {
                write!(f, "has used up {} ms of CPU time (wasm_timeout)", limit.as_millis())
            }
            Ending::Fuel => f.write_str("has used up its fuel (wasm_fuel)"),
            Ending::NotStarted(reason) => write!(f, "cannot be started: {reason}"),
            Ending::Stopped => f.write_str("was stopped"),
            Ending::Host => f.write_str("failed in the host; this is a bug of the module"),
        }
    }
}
