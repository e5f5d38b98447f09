//! All host functions, and their numbers.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{
    Denied, Row, Run, buffers, contexts, foreign_function, grpc, header_maps, higress, http_call, local_response, log,
    metrics, properties, redis, runtime, shared_data, shared_queue, streams, time,
};
use crate::wasi;

/// The functions of module `env`, families in the order of the specification. Their names are words of `proxy_wasm_allow`.
const ENV: &[(&str, &[Row])] = &[
    ("log", log::TABLE),
    ("time", time::TABLE),
    ("buffers", buffers::TABLE),
    ("header_maps", header_maps::TABLE),
    ("streams", streams::TABLE),
    ("local_response", local_response::TABLE),
    ("http_call", http_call::TABLE),
    ("grpc", grpc::TABLE),
    ("shared_data", shared_data::TABLE),
    ("shared_queue", shared_queue::TABLE),
    ("metrics", metrics::TABLE),
    ("properties", properties::TABLE),
    ("foreign_function", foreign_function::TABLE),
    ("contexts", contexts::TABLE),
    ("redis", redis::TABLE),
    ("higress", higress::TABLE),
    ("runtime", runtime::TABLE),
];

/// Both names under which SDKs import WASI.
const WASI: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let wasi = wasi::TABLES.iter().copied().flatten().map(|row| Row {
        name: row.name,
        types: row.types,
        when_denied: Denied::Fails,
        run: Run::Wasi(row.run),
    });
    env().copied().chain(wasi).collect()
});

static NUMBERS: LazyLock<HashMap<(&'static str, &'static str), u32>> = LazyLock::new(|| {
    let env = env().count();
    let mut numbers = HashMap::new();
    for (number, row) in ROWS.iter().enumerate() {
        let modules: &[&'static str] = if number < env { &["env"] } else { &WASI };
        for module in modules {
            numbers.insert((*module, row.name), number as u32);
        }
    }
    numbers
});

fn env() -> impl Iterator<Item = &'static Row> {
    ENV.iter().flat_map(|(_, rows)| rows.iter())
}

/// The names of the functions of module `env`, in the order of their numbers, which count from 0.
pub(in crate::proxy_wasm) fn functions() -> impl Iterator<Item = &'static str> {
    env().map(|row| row.name)
}

/// The names of the families of module `env`.
pub(in crate::proxy_wasm) fn families() -> impl Iterator<Item = &'static str> {
    ENV.iter().map(|(family, _)| *family)
}

/// The names of the functions of a family; none when it is no family.
pub(in crate::proxy_wasm) fn family(name: &str) -> impl Iterator<Item = &'static str> + use<> {
    let rows = ENV.iter().find(|(family, _)| *family == name).map_or(&[][..], |(_, rows)| *rows);
    rows.iter().map(|row| row.name)
}

/// The number of the host function that serves an import.
pub(in crate::proxy_wasm) fn find(module: &str, name: &str) -> Option<u32> {
    NUMBERS.get(&(module, name)).copied()
}

/// All host functions, by their numbers.
pub(in crate::proxy_wasm) fn rows() -> &'static [Row] {
    &ROWS
}

/// The function behind a number that [`find`] gave.
pub(in crate::proxy_wasm) fn row(function: u32) -> &'static Row {
    &ROWS[function as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::imports::{accepts, offered};
    use crate::vm::{FuncType, ValType};

    #[test]
    fn a_name_stands_in_one_row() {
        let mut names: Vec<_> = functions().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn types_are_spelled_by_the_guest() {
        let row = row(find("env", "proxy_log").unwrap());
        let ty = |params: usize| FuncType { params: vec![ValType::I32; params], results: vec![ValType::I32] };
        assert!(accepts(row.types, &ty(3)));
        assert!(!accepts(row.types, &ty(2)));
        assert_eq!(offered(row.types), "func (i32, i32, i32) -> (i32)");
    }

    #[test]
    fn wasi_has_two_names() {
        assert_eq!(find("wasi_unstable", "fd_write"), find("wasi_snapshot_preview1", "fd_write"));
        assert_eq!(find("env", "fd_write"), None);
    }
}
