//! What went wrong in a guest, from Wasmtime's errors: the reason on one line, and the functions that ran.

use std::time::Duration;

use wasmtime as wt;

use crate::vm::Trap;
use crate::vm::function_names::{MAX_FRAMES, named};

/// The longest name of a file, without its folders.
const MAX_FILE: usize = 40;

/// Finds the reason behind Wasmtime's error. `timeout`: that of the call; without one, somebody watches.
pub(super) fn into_trap(err: wt::Error, timeout: Option<Duration>) -> Trap {
    let interrupted = timeout.map_or(Trap::Stopped, Trap::Timeout);
    let backtrace = err.downcast_ref::<wt::WasmBacktrace>().map(frames).unwrap_or_default();
    let err = match err.downcast::<Trap>() {
        Ok(Trap::Guest { reason, backtrace: inner }) => {
            return Trap::Guest { reason, backtrace: if inner.is_empty() { backtrace } else { inner } };
        }
        Ok(Trap::Timeout(_) | Trap::Stopped) => return interrupted,
        Ok(trap) => return trap,
        Err(err) => err,
    };
    match err.downcast_ref::<wt::Trap>() {
        Some(wt::Trap::Interrupt) => interrupted,
        Some(wt::Trap::OutOfFuel) => Trap::OutOfFuel,
        Some(trap) => Trap::Guest { reason: trap.to_string(), backtrace },
        None => Trap::Guest { reason: one_line(&err), backtrace },
    }
}

/// The frames of a backtrace, innermost first. A function that the compiler put into another one has a frame of its own if
/// the module has debug information.
fn frames(trace: &wt::WasmBacktrace) -> Vec<String> {
    let mut found = Vec::new();
    for frame in trace.frames() {
        if frame.symbols().is_empty() {
            found.push(named(frame.func_name(), frame.func_index()));
        }
        let last = frame.symbols().len().saturating_sub(1);
        for (n, symbol) in frame.symbols().iter().enumerate() {
            // The last one is the function that the frame is of.
            let name = symbol.name().or(frame.func_name().filter(|_| n == last));
            let mut text = named(name, frame.func_index());
            if let Some(place) = place(symbol.file(), symbol.line()) {
                text.push_str(&place);
            }
            found.push(text);
        }
        if found.len() >= MAX_FRAMES {
            break;
        }
    }
    found.truncate(MAX_FRAMES);
    found
}

/// " (lib.rs:12)".
fn place(file: Option<&str>, line: Option<u32>) -> Option<String> {
    let file = file?.rsplit(['/', '\\']).next()?;
    let file: String = file.chars().take(MAX_FILE).collect();
    Some(match line {
        Some(line) => format!(" ({file}:{line})"),
        None => format!(" ({file})"),
    })
}

/// The chain of causes on one line.
pub(super) fn one_line(err: &wt::Error) -> String {
    let text = err
        .chain()
        .map(|cause| cause.to_string())
        // The backtrace is a link of the chain too; `into_trap` has taken it out already.
        .filter(|cause| !cause.starts_with("error while executing at wasm backtrace"))
        .collect::<Vec<_>>()
        .join(": ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_name_of_the_file_and_the_line() {
        assert_eq!(place(Some("/home/me/src/lib.rs"), Some(12)), Some(" (lib.rs:12)".into()));
        assert_eq!(place(Some("C:\\me\\lib.rs"), Some(12)), Some(" (lib.rs:12)".into()));
        assert_eq!(place(Some("lib.rs"), None), Some(" (lib.rs)".into()));
        assert_eq!(place(None, Some(12)), None);
        assert_eq!(place(Some(&"x".repeat(1000)), None).map(|place| place.len()), Some(MAX_FILE + 3));
    }
}
