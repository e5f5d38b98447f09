//! Names of functions in backtraces, as people know them.

use std::fmt::{self, Write};

/// Frames in the backtrace of a trap, as many as the C++ reference host gives.
pub const MAX_FRAMES: usize = 20;

/// The longest name of a function. Rust's and C++'s long names are cut: the error log has 2 KiB for an entry.
const MAX_NAME: usize = 120;

/// What a function is called, by its name in the module, if it has one there.
pub fn named(name: Option<&str>, index: u32) -> String {
    match name {
        Some(name) => demangled(name),
        None => format!("function #{index}"),
    }
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
}
