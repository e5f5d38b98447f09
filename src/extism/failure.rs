//! How a call of a function, or the start of an instance, fails.

use std::fmt;
use std::time::Duration;

use crate::vm::Trap;

/// Characters of the text of an error that are shown. All of it is in [`Failure::message`].
const SHOWN: usize = 1000;

/// A function of a plugin did not do what it should, or an instance did not start.
#[derive(Debug)]
pub struct Failure {
    /// The function that ran: that of the call, or one that starts an instance (`_initialize`); `start` while the instance was
    /// made.
    pub function: String,
    /// Why.
    pub reason: Reason,
}

/// Why.
#[derive(Debug)]
pub enum Reason {
    /// The function says so: it has set an error, or its result is not 0.
    Failed {
        /// Its result.
        code: u32,
        /// The text of its error; empty when it set none.
        message: Vec<u8>,
    },
    /// It trapped, or a host function stopped it.
    Trap {
        /// What happened.
        trap: Trap,
        /// The text of an error that it had set before; empty when it had not.
        message: Vec<u8>,
    },
    /// Whoever watches it has ended it.
    Stopped,
    /// It took longer than its manifest allows.
    Timeout(Duration),
    /// It ended itself, with a code that is not 0.
    Exit(u32),
    /// It has used up its fuel.
    OutOfFuel,
    /// The plugin has no such function. What it has.
    Unknown(Vec<String>),
    /// Its input does not fit into the memory that it shares with its host.
    TooLarge {
        /// Bytes of the input.
        input: u64,
        /// Bytes of that memory, at most.
        memory: u64,
    },
    /// A directory that its manifest grants is not there.
    Directory(String),
    /// The instance cannot be called any more; what has happened to it.
    Ended(&'static str),
}

impl Failure {
    pub(super) fn new(function: &str, reason: Reason) -> Failure {
        Failure { function: function.to_owned(), reason }
    }

    /// The text of the error that the function has set; empty when it has not.
    pub fn message(&self) -> &[u8] {
        match &self.reason {
            Reason::Failed { message, .. } | Reason::Trap { message, .. } => message,
            _ => &[],
        }
    }

    /// What the engine says of a guest that did not return. `timeout`: the manifest gave it so much time, and that was over.
    pub(super) fn of_trap(function: &str, trap: Trap, message: Vec<u8>, timeout: Option<Duration>) -> Failure {
        let reason = match trap {
            Trap::Stopped => timeout.map_or(Reason::Stopped, Reason::Timeout),
            Trap::OutOfFuel => Reason::OutOfFuel,
            Trap::Exit(code) => Reason::Exit(code),
            trap => Reason::Trap { trap, message },
        };
        Failure::new(function, reason)
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.function, self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Failed { code, message } if message.is_empty() => write!(f, "returned {}", code.cast_signed()),
            Reason::Failed { message, .. } => write!(f, "failed: {}", shown(message)),
            Reason::Trap { trap, message } => {
                write!(f, "trapped: {trap}")?;
                if !message.is_empty() {
                    write!(f, ", after the error \"{}\"", shown(message))?;
                }
                match trap.backtrace() {
                    [] => Ok(()),
                    frames => write!(f, " (guest backtrace: {})", frames.join(" < ")),
                }
            }
            Reason::Stopped => f.write_str("was stopped"),
            Reason::Timeout(time) => {
                write!(f, "was still running after {} ms (timeout_ms of its manifest)", time.as_millis())
            }
            Reason::Exit(code) => write!(f, "called proc_exit({code})"),
            Reason::OutOfFuel => f.write_str("has used up its fuel (wasm_fuel)"),
            Reason::Unknown(functions) => {
                write!(f, "is no function of the plugin; it has {}", functions.join(", "))
            }
            Reason::TooLarge { input, memory } => write!(
                f,
                "cannot take its input of {input} bytes: the memory that it shares with its host has {memory} at most \
                 (wasm_memory_limit, memory.max_pages of its manifest)"
            ),
            Reason::Directory(reason) => write!(f, "failed: {reason} (allowed_paths of its manifest)"),
            Reason::Ended(why) => write!(f, "cannot run any more: {why}"),
        }
    }
}

/// The beginning of a text, when it is long.
fn shown(message: &[u8]) -> String {
    // A character has four bytes at most.
    String::from_utf8_lossy(&message[..message.len().min(4 * SHOWN)]).chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shown_in_part_and_kept_as_a_whole() {
        let message = "é".repeat(100_000).into_bytes();
        let failure = Failure::new("f", Reason::Failed { code: 1, message: message.clone() });
        assert_eq!(failure.to_string(), format!("f failed: {}", "é".repeat(SHOWN)));
        assert_eq!(failure.message(), message);
    }
}
