//! What can go wrong in an engine, in the words of the person who wrote the configuration or the guest.

use std::time::Duration;

use thiserror::Error;

/// The bytes are no module that the engine can compile.
#[derive(Debug, Error)]
pub enum CompileError {
    /// Neither binary WebAssembly nor WAT text.
    #[error("not a WebAssembly module (neither the binary format nor WAT text): {0}")]
    NotWasm(String),
    /// It is made of modules, for another kind of host.
    #[error(
        "a component, and not a module: build it for WASI preview 1, in Rust with --target wasm32-wasip1 (not wasm32-wasip2), in \
         TinyGo with -target=wasip1, and without tools that make components (cargo component, wasm-tools component new, jco)"
    )]
    Component,
    /// It is a module, and ends too early.
    #[error("truncated WebAssembly module: {0}")]
    Truncated(String),
    /// Starts as a module and is broken further on.
    #[error("invalid WebAssembly module: {0}")]
    Invalid(String),
    /// It may be a module, but the compiler makes nothing of it.
    #[error("cannot compile: {0}")]
    Failed(String),
    /// A compiled module is not, or not any more, what this engine can run; or it could not be put into bytes.
    #[error("cannot reuse the compiled module: {0}")]
    Compiled(String),
}

/// A module could not be joined with its host functions.
#[derive(Debug, Error)]
#[error("cannot link: {0}")]
pub struct LinkError(pub String);

/// The guest did not return.
#[derive(Debug, Error)]
pub enum Trap {
    /// The guest did something that WebAssembly forbids, or a host function stopped it.
    #[error("{reason}")]
    Guest {
        /// What happened, on one line.
        reason: String,
        /// Innermost frame first; empty when the engine has none.
        backtrace: Vec<String>,
    },
    /// The deadline of the call passed.
    #[error("still running after {} ms (wasm_timeout)", .0.as_millis())]
    Timeout(Duration),
    /// Whoever watches the guest has ended it.
    #[error("was stopped")]
    Stopped,
    /// The guest has used up its budget.
    #[error("has used up its fuel (wasm_fuel)")]
    OutOfFuel,
    /// The guest ended itself.
    #[error("called proc_exit({0})")]
    Exit(u32),
    /// The instance could not be made.
    #[error("cannot instantiate: {0}")]
    Instantiate(String),
}

impl Trap {
    /// A trap raised by the host, with its reason.
    pub fn host(reason: impl Into<String>) -> Self {
        Trap::Guest { reason: reason.into(), backtrace: Vec::new() }
    }

    /// Frames of the guest, innermost first.
    pub fn backtrace(&self) -> &[String] {
        match self {
            Trap::Guest { backtrace, .. } => backtrace,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_says_what_happened() {
        for (trap, text) in [
            (Trap::host("a reason"), "a reason"),
            (Trap::Timeout(Duration::from_millis(1500)), "still running after 1500 ms (wasm_timeout)"),
            (Trap::Stopped, "was stopped"),
            (Trap::OutOfFuel, "has used up its fuel (wasm_fuel)"),
            (Trap::Exit(7), "called proc_exit(7)"),
            (Trap::Instantiate("too large".into()), "cannot instantiate: too large"),
        ] {
            assert_eq!(trap.to_string(), text);
            assert!(trap.backtrace().is_empty());
        }
    }

    #[test]
    fn only_a_trap_of_the_guest_has_frames() {
        let frames = vec!["inner".to_owned(), "outer".to_owned()];
        let trap = Trap::Guest { reason: "unreachable".into(), backtrace: frames.clone() };
        assert_eq!(trap.backtrace(), frames);
    }
}
