//! What went wrong in a guest, from WasmEdge's results and from what it logs beside them.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::time::Duration;

use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

use super::library::{Library, one_line};
use super::types::Outcome;
use crate::vm::Trap;
use crate::vm::function_names::{MAX_FRAMES, named};

/// The guest has come to the end of the stack.
pub const EXHAUSTED: &str = "wasm trap: call stack exhausted";

/// How the line begins that has the functions which ran, innermost first: `module:function`, by numbers, with commas between them.
const CALLING_STACK: &str = "calling stack:";

/// How messages about memories begin. The library goes on after these.
const MEMORY: &str = "Memory Instance: ";

/// A result that is none of success, in words.
pub fn message(library: &'static Library, outcome: Outcome) -> String {
    // SAFETY: the function takes any code, and its texts are constants.
    let message = unsafe { (library.functions.message)(outcome) };
    if message.is_null() {
        return format!("WasmEdge's error {:#x}", outcome.0);
    }
    // SAFETY: as above; it ends with a zero.
    one_line(&unsafe { CStr::from_ptr(message) }.to_string_lossy())
}

/// The same, with the details that the library has logged.
pub fn reason(library: &'static Library, outcome: Outcome, notes: &[String]) -> String {
    let mut reason = message(library, outcome);
    let details: Vec<_> = notes.iter().filter(|note| !note.contains(&reason)).take(4).map(String::as_str).collect();
    if !details.is_empty() {
        reason.push_str(&format!(" ({})", details.join("; ")));
    }
    reason
}

/// What a call that failed by itself comes to. `timeout`: that of the call.
pub fn into_trap(
    library: &'static Library,
    outcome: Outcome,
    notes: &[String],
    timeout: Duration,
    module: &[u8],
) -> Trap {
    match outcome {
        Outcome::INTERRUPTED => Trap::Timeout(timeout),
        Outcome::COST_LIMIT_EXCEEDED => Trap::OutOfFuel,
        other => {
            Trap::Guest { reason: format!("wasm trap: {}", message(library, other)), backtrace: frames(notes, module) }
        }
    }
}

/// The functions of this module that ran, innermost first. The compiler has put small ones into others, which alone are told.
pub fn frames(notes: &[String], module: &[u8]) -> Vec<String> {
    let stack = notes.iter().find_map(|note| note.strip_prefix(CALLING_STACK)).unwrap_or_default();
    let number = |frame: &str| frame.trim().rsplit(':').next()?.parse::<u32>().ok();
    let mut numbers: Vec<u32> = stack.split(',').filter_map(number).collect();
    let Names { count, names } = Names::of(module);
    // The library takes its own code, which has ended the guest, for the last function.
    if numbers.len() > 1 && numbers[0] + 1 == count {
        numbers.remove(0);
    }
    let name = |index: u32| names.iter().find(|(known, _)| *known == index).map(|(_, name)| *name);
    numbers.into_iter().take(MAX_FRAMES).map(|index| named(name(index), index)).collect()
}

/// The functions of a module.
#[derive(Default)]
struct Names<'a> {
    /// How many there are, those that it imports too.
    count: u32,
    names: Vec<(u32, &'a str)>,
}

impl<'a> Names<'a> {
    /// As far as they can be read.
    fn of(module: &'a [u8]) -> Names<'a> {
        let mut found = Names::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload {
                Ok(Payload::ImportSection(section)) => {
                    let functions = section.into_imports().flatten();
                    found.count += functions.filter(|import| matches!(import.ty, TypeRef::Func(_))).count() as u32;
                }
                Ok(Payload::FunctionSection(section)) => found.count += section.count(),
                Ok(Payload::CustomSection(section)) => {
                    let KnownCustom::Name(names) = section.as_known() else { continue };
                    for name in names.into_iter().flatten() {
                        let Name::Function(functions) = name else { continue };
                        found.names.extend(functions.into_iter().flatten().map(|naming| (naming.index, naming.name)));
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        found
    }
}

/// Why an instance has no memory, or less than it wants, in which case the library makes it all the same.
pub fn lacks_memory(notes: &[String]) -> Option<&str> {
    notes.iter().find_map(|note| note.strip_prefix(MEMORY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_names_of_the_module_but_that_of_the_library_itself() {
        let module = wat::parse_str(
            "(module (import \"h\" \"f\" (func $f)) (func $inner unreachable) (func (call $inner)) (func $last))",
        );
        let module = module.unwrap();
        let frames = |text: &str| frames(&["unreachable, Code: 0x40a".to_owned(), text.to_owned()], &module);
        assert_eq!(frames("calling stack:3, 1, 2"), ["inner", "function #2"]);
        assert_eq!(frames("calling stack:module[0]:1, module[0]:3"), ["inner", "last"]);
        assert_eq!(frames("calling stack:3"), ["last"]);
        assert!(frames("calling stack:").is_empty());
        assert!(frames("something else: 3").is_empty());
        assert_eq!(super::frames(&["calling stack:3, 1".to_owned()], b"what").len(), 2);
    }

    #[test]
    fn a_memory_that_is_too_small_is_told_by_a_message() {
        let notes = ["Memory Instance: Limited 1 page in configuration.".to_owned()];
        assert_eq!(lacks_memory(&notes), Some("Limited 1 page in configuration."));
        assert_eq!(lacks_memory(&["unknown import".to_owned()]), None);
    }
}
