//! A guest that makes any host call with any numbers. What it does is a program in its VM configuration, or in a header of
//! each request: each of its callbacks, and its allocator when it is told so, runs a piece of that.
//!
//! A program is a list of records: the number of a function (16 bits), how many arguments (8 bits), 8 bits of nothing, then
//! for each argument 4 bytes of kind (0 a value, 1 the place of one) and 8 bytes. The guest itself checks each host call:
//! a status that the ABI does not know, or a failed call that has written to memory, end it in a function of telling name.

use std::fmt::Write as _;

use super::WORDS;
use crate::proxy_wasm::callbacks::{self, Callback};
use crate::proxy_wasm::host_calls::{self, Row, Run};
use crate::wasi;

/// Where host calls are asked to leave results, most of the time.
pub(super) const SLOTS: u32 = 0;
/// Bytes of the fuzzer.
pub(super) const CONTENT: u32 = 0x1000;
pub(super) const CONTENT_SIZE: usize = 0x2000;
const WORDS_AT: u32 = 0x3000;
/// What is below, as it was before a host call.
const SHADOW: u32 = 0x4000;
const PROGRAM: u32 = 0x8000;
pub(super) const PROGRAM_SIZE: usize = 0x8000;
const HEAP: u32 = 0x10000;
/// Where a header with a program lands.
const HEADER: u32 = 0x20000;

/// Functions of the guest's own, by the numbers that programs use for them.
pub(super) const END: u16 = 0xffff;
pub(super) const SET_ALLOCATOR: u16 = 0xfffe;
pub(super) const GROW: u16 = 0xfffd;
pub(super) const SET_RESULT: u16 = 0xfffc;
pub(super) const TRAP: u16 = 0xfffb;

/// The names of functions that the guest ends in when the host has broken a rule.
pub(super) const BROKEN_RULES: [&str; 2] = ["unknown_status", "failed_but_wrote"];

/// Where a guest has its program from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From its VM configuration, once.
    Configuration,
    /// From the header `x-program` of each request, in hexadecimal digits.
    Header,
}

/// A function that a program can call: its module, what it is, the types of its arguments and of its result.
pub(super) type Function = (&'static str, &'static Row, &'static str, &'static str);

/// All functions that a program can call. A module can import each under one type: guest 0 takes the first that there is,
/// guest 1 the last.
pub(super) fn functions(guest: usize) -> Vec<Function> {
    let module = |row: &Row| host_calls::find("env", row.name).map_or("wasi_snapshot_preview1", |_| "env");
    host_calls::rows()
        .iter()
        .filter_map(|row| {
            let (params, results) = if guest == 0 { row.types.first() } else { row.types.last() }?;
            Some((module(row), row, *params, *results))
        })
        .collect()
}

/// Where a word is, and its size.
pub(super) fn word(n: usize) -> (u32, u32) {
    let n = n % WORDS.len();
    let before: usize = WORDS[..n].iter().map(|word| word.len()).sum();
    (WORDS_AT + before as u32, WORDS[n].len() as u32)
}

/// The module as WAT.
pub(super) fn wat(functions: &[Function], source: Source) -> String {
    let types = |letters: &str| -> String {
        letters.chars().map(|letter| if letter == 'I' { " i64" } else { " i32" }).collect()
    };
    let mut imports = String::new();
    let mut thunks = String::new();
    let mut table = String::new();
    for (n, (module, row, params, results)) in functions.iter().enumerate() {
        writeln!(
            imports,
            "(import \"{module}\" \"{}\" (func $host{n} (param{}) (result{})))",
            row.name,
            types(params),
            types(results)
        )
        .unwrap_or_default();
        let arguments: String = params
            .chars()
            .enumerate()
            .map(|(at, letter)| {
                let value = format!("(call $argument (local.get $record) (i32.const {at}))");
                if letter == 'I' { value } else { format!("(i32.wrap_i64 {value})") }
            })
            .collect();
        let call = format!("(call $host{n} {arguments})");
        let call = match *results {
            "" => format!("{call} (i32.const 0)"),
            "I" => format!("(i32.wrap_i64 {call})"),
            _ => call,
        };
        let check = match row.run {
            Run::Status(_) => "(call $check_status (local.get $status))",
            Run::Wasi(wasi::Run::Errno(_)) => "(call $check_errno (local.get $status))",
            Run::Wasi(wasi::Run::Value(_)) | Run::Value(_) => "",
        };
        writeln!(
            thunks,
            "(func $thunk{n} (param $record i32) (local $status i32)
                {} (local.set $status {call}) {check})",
            if check.contains("status (") { "(call $remember)" } else { "" }
        )
        .unwrap_or_default();
        write!(table, " $thunk{n}").unwrap_or_default();
    }
    let count = functions.len();
    let mut exports = String::new();
    for row in &callbacks::TABLE {
        if !row.name.starts_with("proxy_on_") || row.name == "proxy_on_memory_allocate" {
            continue;
        }
        let params = " i32".repeat(row.params.last().copied().unwrap_or_default());
        let (result, value) = if row.result { ("(result i32)", "(global.get $result)") } else { ("", "") };
        let load = match source {
            Source::Header if row.callback == Callback::OnRequestHeaders => "(call $load)",
            Source::Configuration => "(if (i32.eqz (global.get $loaded)) (then (call $load)))",
            _ => "",
        };
        writeln!(exports, "(func (export \"{}\") (param{params}) {result} {load} (call $run) {value})", row.name)
            .unwrap_or_default();
    }
    let words: String = WORDS.concat().iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(module {imports}
(memory (export "memory") {pages})
(data (i32.const {WORDS_AT}) "{words}")
(table funcref (elem {table}))
(type $thunk (func (param i32)))
(global $loaded (mut i32) (i32.const 0))
(global $loading (mut i32) (i32.const 0))
(global $at (mut i32) (i32.const {PROGRAM}))
(global $result (mut i32) (i32.const 1))
(global $mode (mut i32) (i32.const 0))
(global $answer (mut i64) (i64.const 0))
(global $heap (mut i32) (i32.const {HEAP}))
(global $depth (mut i32) (i32.const 0))
;; How often host calls were made out of the allocator: what they write is not that of the call that allocates.
(global $nested (mut i32) (i32.const 0))
(global $nested_before (mut i32) (i32.const 0))
(func (export "proxy_abi_version_0_2_1"))
(func $unknown_status unreachable)
(func $failed_but_wrote unreachable)
(func $argument (param $record i32) (param $n i32) (result i64) (local $place i32)
    (local.set $place (i32.add (i32.add (local.get $record) (i32.const 4)) (i32.mul (local.get $n) (i32.const 12))))
    (if (result i64) (i32.eq (i32.load (local.get $place)) (i32.const 1))
        (then (i64.load32_u (i32.and (i32.load offset=4 (local.get $place)) (i32.const 0xfff))))
        (else (i64.load offset=4 (local.get $place)))))
(func $remember
    (global.set $nested_before (global.get $nested))
    (memory.copy (i32.const {SHADOW}) (i32.const 0) (i32.const {WORDS_AT})))
(func $check_status (param $status i32) (local $n i32)
    ;; 0 to 4, 6 to 8, 10, 12
    (if (i32.gt_u (local.get $status) (i32.const 12)) (then (call $unknown_status)))
    (if (i32.eqz (i32.and (i32.shl (i32.const 1) (local.get $status)) (i32.const 0x15df))) (then (call $unknown_status)))
    (if (i32.eqz (local.get $status)) (then (return)))
    (if (i32.ne (global.get $nested) (global.get $nested_before)) (then (return)))
    (loop $next
        (if (i64.ne (i64.load (local.get $n)) (i64.load offset={SHADOW} (local.get $n))) (then (call $failed_but_wrote)))
        (local.set $n (i32.add (local.get $n) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $n) (i32.const {WORDS_AT})))))
(func $check_errno (param $errno i32)
    (if (i32.gt_u (local.get $errno) (i32.const 76)) (then (call $unknown_status))))
{thunks}
;; One record; whether there may be more.
(func $step (result i32) (local $record i32) (local $function i32)
    (local.set $record (global.get $at))
    (if (i32.gt_u (local.get $record) (i32.const {last})) (then (return (i32.const 0))))
    (local.set $function (i32.load16_u (local.get $record)))
    (global.set $at (i32.add (i32.add (local.get $record) (i32.const 4))
        (i32.mul (i32.load8_u offset=2 (local.get $record)) (i32.const 12))))
    (if (i32.lt_u (local.get $function) (i32.const {count}))
        (then (call_indirect (type $thunk) (local.get $record) (local.get $function)) (return (i32.const 1))))
    (if (i32.eq (local.get $function) (i32.const {SET_ALLOCATOR})) (then
        (global.set $mode (i32.wrap_i64 (call $argument (local.get $record) (i32.const 0))))
        (global.set $answer (call $argument (local.get $record) (i32.const 1)))
        (return (i32.const 1))))
    (if (i32.eq (local.get $function) (i32.const {GROW})) (then
        (drop (memory.grow (i32.wrap_i64 (call $argument (local.get $record) (i32.const 0)))))
        (return (i32.const 1))))
    (if (i32.eq (local.get $function) (i32.const {SET_RESULT})) (then
        (global.set $result (i32.wrap_i64 (call $argument (local.get $record) (i32.const 0))))
        (return (i32.const 1))))
    (if (i32.eq (local.get $function) (i32.const {TRAP})) (then unreachable))
    (i32.const 0))
{load}
(func $begin (local $size i32)
    (global.set $loaded (i32.const 1))
    (local.set $size (i32.load (i32.const {PROGRAM})))
    (if (i32.gt_u (local.get $size) (i32.const {CONTENT_SIZE})) (then (local.set $size (i32.const 0))))
    (memory.copy (i32.const {CONTENT}) (i32.const {behind_size}) (local.get $size))
    (global.set $at (i32.add (i32.const {behind_size}) (local.get $size))))
(func $run
    (if (i32.eqz (global.get $loaded)) (then (return)))
    (if (i32.gt_u (global.get $depth) (i32.const 3)) (then (return)))
    (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
    (loop $next (br_if $next (call $step)))
    (global.set $depth (i32.sub (global.get $depth) (i32.const 1))))
(func (export "proxy_on_memory_allocate") (param $size i32) (result i32) (local $place i32)
    (if (global.get $loading) (then (return (i32.const {loaded_at}))))
    ;; An answer that is no memory, or not the guest's to give.
    (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.wrap_i64 (global.get $answer)))))
    (if (i32.eq (global.get $mode) (i32.const 2)) (then unreachable))
    (if (i32.eq (global.get $mode) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
    ;; Host calls out of the allocator.
    (if (i32.and (i32.eq (global.get $mode) (i32.const 4)) (i32.lt_u (global.get $depth) (i32.const 4))) (then
        (global.set $nested (i32.add (global.get $nested) (i32.const 1)))
        (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
        (drop (call $step))
        (global.set $depth (i32.sub (global.get $depth) (i32.const 1)))))
    (if (i32.eq (global.get $mode) (i32.const 5)) (then (return (i32.const 0))))
    (local.set $place (global.get $heap))
    (global.set $heap (i32.add (local.get $place) (i32.and (local.get $size) (i32.const 0xffff))))
    (if (i32.gt_u (global.get $heap) (i32.const {heap_end})) (then (global.set $heap (i32.const {HEAP}))))
    (local.get $place))
{exports})"#,
        last = PROGRAM + PROGRAM_SIZE as u32 - 4,
        behind_size = PROGRAM + 4,
        heap_end = HEAP + 0xf000,
        pages = if source == Source::Header { 4 } else { 2 },
        loaded_at = if source == Source::Header { HEADER } else { PROGRAM },
        load = load(functions, source),
    )
}

/// The function that brings the program to its place.
fn load(functions: &[Function], source: Source) -> String {
    let host = |name: &str| functions.iter().position(|(_, row, ..)| row.name == name).unwrap_or_default();
    let (name_at, name_len) = word(WORDS.iter().position(|word| *word == b"x-program").unwrap_or_default());
    match source {
        Source::Configuration => format!(
            "(func $load
                (global.set $loading (i32.const 1))
                (if (call $host{} (i32.const 6) (i32.const 0) (i32.const {PROGRAM_SIZE}) (i32.const 0) (i32.const 4))
                    (then unreachable))
                (global.set $loading (i32.const 0))
                (call $begin))",
            host("proxy_get_buffer_bytes")
        ),
        // Of a header that is not there, nothing is run. A program that has run in part is no state that a next one
        // should find.
        Source::Header => format!(
            "(func $digit (param $at i32) (result i32) (local $byte i32)
                (local.set $byte (i32.load8_u offset={HEADER} (local.get $at)))
                (if (result i32) (i32.gt_u (local.get $byte) (i32.const 0x39))
                    (then (i32.sub (local.get $byte) (i32.const 87)))
                    (else (i32.sub (local.get $byte) (i32.const 48)))))
            (func $load (local $n i32) (local $failed i32)
                (global.set $loaded (i32.const 0))
                (global.set $mode (i32.const 0))
                (global.set $result (i32.const 0))
                (global.set $depth (i32.const 0))
                (memory.fill (i32.const {PROGRAM}) (i32.const 0xff) (i32.const {PROGRAM_SIZE}))
                (global.set $loading (i32.const 1))
                (local.set $failed (call $host{} (i32.const 0) (i32.const {name_at}) (i32.const {name_len})
                    (i32.const 0) (i32.const 4)))
                (global.set $loading (i32.const 0))
                (if (local.get $failed) (then (return)))
                (if (i32.gt_u (i32.load (i32.const 4)) (i32.const {})) (then (return)))
                (block $end (loop $next
                    (br_if $end (i32.ge_u (local.get $n) (i32.load (i32.const 4))))
                    (i32.store8 offset={PROGRAM} (i32.shr_u (local.get $n) (i32.const 1))
                        (i32.or (i32.shl (call $digit (local.get $n)) (i32.const 4))
                            (call $digit (i32.add (local.get $n) (i32.const 1)))))
                    (local.set $n (i32.add (local.get $n) (i32.const 2)))
                    (br $next)))
                (call $begin))",
            host("proxy_get_header_map_value"),
            2 * PROGRAM_SIZE
        ),
    }
}
