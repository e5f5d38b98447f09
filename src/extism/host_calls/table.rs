//! All host functions, and their numbers.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Row, config, http, input, log, memory, vars};
use crate::vm::imports::Types;
use crate::wasi;

/// The module that PDKs import from.
pub(in crate::extism) const ENV: &str = "extism:host/env";

/// Both names under which WASI is imported.
const WASI: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

const FAMILIES: &[&[Row]] = &[memory::TABLE, input::TABLE, config::TABLE, vars::TABLE, http::TABLE, log::TABLE];

/// A host function.
#[derive(Clone, Copy)]
pub(super) enum Function {
    Env(&'static Row),
    Wasi(&'static wasi::Row),
}

static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let env = FAMILIES.iter().copied().flatten().map(Function::Env);
    env.chain(wasi::TABLES.iter().copied().flatten().map(Function::Wasi)).collect()
});

static NUMBERS: LazyLock<HashMap<(&'static str, &'static str), u32>> = LazyLock::new(|| {
    let mut numbers = HashMap::new();
    for (function, number) in FUNCTIONS.iter().zip(0..) {
        match function {
            Function::Env(row) => {
                numbers.insert((ENV, row.name), number);
            }
            Function::Wasi(row) => numbers.extend(WASI.map(|module| ((module, row.name), number))),
        }
    }
    numbers
});

/// The number of the host function that serves an import.
pub(in crate::extism) fn find(module: &str, name: &str) -> Option<u32> {
    NUMBERS.get(&(module, name)).copied()
}

/// The function behind a number that [`find`] gave.
pub(super) fn function(number: u32) -> Option<Function> {
    FUNCTIONS.get(number as usize).copied()
}

/// The types that it can be imported with.
pub(in crate::extism) fn types(number: u32) -> Types {
    match function(number) {
        Some(Function::Env(row)) => std::slice::from_ref(&row.types),
        Some(Function::Wasi(row)) => row.types,
        None => &[],
    }
}

/// All functions that PDKs import, with their types.
#[cfg(test)]
pub(in crate::extism) fn env() -> impl Iterator<Item = (&'static str, (&'static str, &'static str))> {
    FAMILIES.iter().copied().flatten().map(|row| (row.name, row.types))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::imports::{accepts, offered};
    use crate::vm::{FuncType, ValType};

    #[test]
    fn a_name_stands_in_one_row() {
        let mut names: Vec<_> = env().map(|(name, _)| name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn all_functions_of_the_reference_host_are_there() {
        let all = "alloc free length length_unsafe load_u8 load_u64 store_u8 store_u64 input_length input_offset input_load_u8 \
                   input_load_u64 input_set output_set output_length output_offset error_set error_get reset memory_bytes \
                   config_get var_get var_set http_request http_status_code http_headers log_trace log_debug log_info log_warn \
                   log_error get_log_level";
        for name in all.split_whitespace() {
            assert!(find(ENV, name).is_some(), "{name}");
        }
        assert_eq!(env().count(), all.split_whitespace().count());
    }

    #[test]
    fn types_are_those_of_the_row() {
        let number = find(ENV, "store_u8").unwrap();
        let ty = |params: [ValType; 2]| FuncType { params: params.to_vec(), results: Vec::new() };
        assert!(accepts(types(number), &ty([ValType::I64, ValType::I32])));
        assert!(!accepts(types(number), &ty([ValType::I64, ValType::I64])));
        assert_eq!(offered(types(number)), "func (i64, i32) -> ()");
    }

    #[test]
    fn wasi_has_two_names() {
        assert_eq!(find("wasi_unstable", "fd_write"), find("wasi_snapshot_preview1", "fd_write"));
        assert_eq!(find(ENV, "fd_write"), None);
    }
}
