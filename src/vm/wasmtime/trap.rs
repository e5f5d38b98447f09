//! What went wrong in a guest, from Wasmtime's errors: the reason on one line, and the functions that ran.

use std::fmt::{self, Write};
use std::time::Duration;

use wasmtime as wt;

use crate::vm::Trap;

/// Frames in the backtrace of a trap, as many as the C++ reference host gives.
const MAX_FRAMES: usize = 20;

/// The longest name of a function. Rust's and C++'s long names are cut: the error log has 2 KiB for an entry.
const MAX_NAME: usize = 120;

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

fn named(name: Option<&str>, index: u32) -> String {
    match name {
        Some(name) => demangled(name),
        None => format!("function #{index}"),
    }
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

/// The name as it is in the source, and not longer than [`MAX_NAME`]. A hostile module can have names that would become
/// endless, so they are cut while they are made.
fn demangled(name: &str) -> String {
    let mut short = Short { text: String::new(), room: MAX_NAME };
    // The only failure is that there is no room.
    let _ = if let Ok(name) = rustc_demangle::try_demangle(name) {
        write!(short, "{name:#}")
    } else if let Some(symbol) = cpp_symbol(name) {
        symbol.structured_demangle(&mut short, &cpp_demangle::DemangleOptions::new().no_params().no_return_type())
    } else {
        short.write_str(without_hash(name))
    };
    short.text
}

fn cpp_symbol(name: &str) -> Option<cpp_demangle::BorrowedSymbol<'_>> {
    // Anything else would be taken for the name of a type.
    if !name.starts_with("_Z") {
        return None;
    }
    cpp_demangle::Symbol::new(name.as_bytes()).ok()
}

/// Linkers put demangled names into the name section, with the hash that Rust adds to each.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

/// Takes as many characters as there is room for, and fails then.
struct Short {
    text: String,
    room: usize,
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
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
    fn names_are_as_in_the_source() {
        for (name, shown) in [
            ("plain", "plain"),
            ("_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic"),
            ("_RNvC7mycrate3foo", "mycrate::foo"),
            ("core::panicking::panic::h0123456789abcdef", "core::panicking::panic"),
            ("main::handle::hot", "main::handle::hot"),
            ("_ZN4name5spaceEv", "name::space"),
            ("_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back"),
            ("runtime.alloc", "runtime.alloc"),
            ("i", "i"),
        ] {
            assert_eq!(demangled(name), shown);
        }
    }

    #[test]
    fn names_are_cut_while_they_are_made() {
        assert_eq!(demangled(&"x".repeat(1000)), "x".repeat(MAX_NAME));
        assert_eq!(demangled(&"é".repeat(1000)), "é".repeat(MAX_NAME));
        // Each type has the one before twice: the whole name would have 2^40 parts.
        let mut doubling = "_Z1fI1a1bE".to_owned();
        doubling.push_str("St4pairIS0_S0_E");
        for n in 1..40 {
            let reference = std::char::from_digit(n, 36).unwrap().to_ascii_uppercase();
            doubling.push_str(&format!("St4pairIS{reference}_S{reference}_E"));
            if n == 35 {
                break;
            }
        }
        assert!(demangled(&doubling).chars().count() <= MAX_NAME);
    }

    #[test]
    fn a_place_is_the_name_of_the_file_and_the_line() {
        assert_eq!(place(Some("/home/me/src/lib.rs"), Some(12)), Some(" (lib.rs:12)".into()));
        assert_eq!(place(Some("C:\\me\\lib.rs"), Some(12)), Some(" (lib.rs:12)".into()));
        assert_eq!(place(Some("lib.rs"), None), Some(" (lib.rs)".into()));
        assert_eq!(place(None, Some(12)), None);
        assert_eq!(place(Some(&"x".repeat(1000)), None).map(|place| place.len()), Some(MAX_FILE + 3));
    }
}
