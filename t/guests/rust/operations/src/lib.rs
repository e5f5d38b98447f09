//! The operations that the guests `probe` and `conformance` know: each runs one statement and gives its result as
//! `STATUS VALUE`. They are listed in t/guests/README.md.

use abi::{Answer, CONTINUE, OK, PAUSE, PLUGIN_CONFIGURATION, VM_CONFIGURATION, address, raw};
use std::cell::RefCell;
use std::hint::black_box;

/// What statements asked of the callback that they ran in.
pub struct Outcome {
    /// Callbacks about headers, bodies and trailers return this.
    pub action: i32,
    /// on_vm_start, on_configure and on_done return this.
    pub answer: bool,
    /// A `report` was among them.
    pub report: bool,
}

impl Default for Outcome {
    fn default() -> Self {
        Outcome { action: CONTINUE, answer: true, report: false }
    }
}

/// The first word of the text and what follows it.
pub fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Printable ASCII as it is, every other byte and the backslash as \xNN.
pub fn printable(bytes: &[u8]) -> String {
    let show = |&byte: &u8| match byte {
        b' '..=b'~' if byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(show).collect()
}

fn shown((status, bytes): Answer) -> String {
    format!("{status} {}", printable(&bytes)).trim_end().into()
}

/// The result of an operation that calls no host function.
fn told(value: impl std::fmt::Display) -> String {
    format!("{OK} {value}")
}

fn map(name: &str) -> Option<i32> {
    let names = [
        "request",
        "request-trailers",
        "response",
        "response-trailers",
        "grpc-initial",
        "grpc-trailing",
        "call",
        "call-trailers",
    ];
    names.iter().position(|known| *known == name).map(|map| map as i32).or_else(|| name.parse().ok())
}

fn level(name: &str) -> Option<i32> {
    let names = ["trace", "debug", "info", "warn", "error", "critical"];
    names.iter().position(|known| *known == name).map(|level| level as i32).or_else(|| name.parse().ok())
}

/// Decimal or hexadecimal; everything that 32 bits hold, signed or not.
fn integer(text: &str) -> Option<i32> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&number).then_some(number as i32)
}

fn segments(path: &str) -> Vec<u8> {
    path.replace('|', "\0").into_bytes()
}

pub fn respond(status: i32, body: &[u8], headers: &[(&[u8], &[u8])]) -> i32 {
    let headers = abi::encode_pairs(headers);
    let (details, details_size) = address(b"probe");
    let ((body, body_size), (headers, headers_size)) = (address(body), address(&headers));
    unsafe { raw::send_local_response(status, details, details_size, body, body_size, headers, headers_size, -1) }
}

/// Runs the statement in a callback about this stream (0 request, 1 response). None: it has no result to report.
pub fn run(text: &str, stream: i32, outcome: &mut Outcome) -> Option<String> {
    let (verb, rest) = word(text);
    let result = match verb {
        "report" => {
            outcome.report = true;
            return None;
        }
        "pause" => {
            outcome.action = PAUSE;
            return None;
        }
        "action" => {
            outcome.action = integer(rest).unwrap_or_default();
            return None;
        }
        "false" => {
            outcome.answer = false;
            return None;
        }
        _ => host(verb, rest, stream).or_else(|| guest(verb, rest)),
    };
    Some(result.unwrap_or_else(|| "unknown statement".into()))
}

/// Statements that call the host's functions. None: there is no such statement, or its arguments are wrong.
fn host(verb: &str, rest: &str, stream: i32) -> Option<String> {
    let (first, others) = word(rest);
    Some(match verb {
        "property" => shown(abi::get_property(&segments(rest))),
        "set-property" => {
            let path = segments(first);
            let ((path, path_size), (value, size)) = (address(&path), address(others.as_bytes()));
            unsafe { raw::set_property(path, path_size, value, size) }.to_string()
        }
        "get" => shown(abi::get_value(map(first)?, others.as_bytes())),
        "pairs" => {
            let (status, bytes) = abi::get_pairs(map(first)?);
            let Some(pairs) = abi::decode_pairs(&bytes) else {
                return Some(format!("{status} malformed {}", printable(&bytes)));
            };
            let pairs: Vec<_> =
                pairs.iter().map(|(name, value)| format!("{}={}", printable(name), printable(value))).collect();
            format!("{status} {}", pairs.join(",")).trim_end().into()
        }
        "add" | "replace" => {
            let (name, value) = word(others);
            let ((name, name_size), (value, size)) = (address(name.as_bytes()), address(value.as_bytes()));
            let function = if verb == "add" { raw::add_header_map_value } else { raw::replace_header_map_value };
            unsafe { function(map(first)?, name, name_size, value, size) }.to_string()
        }
        "remove" => {
            let (name, size) = address(others.as_bytes());
            unsafe { raw::remove_header_map_value(map(first)?, name, size) }.to_string()
        }
        "set-pairs" => {
            let pairs = pairs(others)?;
            let (data, size) = address(&pairs);
            unsafe { raw::set_header_map_pairs(map(first)?, data, size) }.to_string()
        }
        "size" => {
            let mut size = 0u32;
            let status = unsafe { raw::get_header_map_size(map(first)?, &raw mut size as i32) };
            format!("{status} {size}")
        }
        "log" => abi::log(level(first)?, others.as_bytes()).to_string(),
        "level" => {
            let mut level = 0u32;
            let status = unsafe { raw::get_log_level(&raw mut level as i32) };
            format!("{status} {level}")
        }
        "time" => {
            let mut time = 0u64;
            let status = unsafe { raw::get_current_time_nanoseconds(&raw mut time as i32) };
            format!("{status} {time}")
        }
        "respond" => respond(integer(first)?, others.as_bytes(), &[(b"x-probe-local", b"1")]).to_string(),
        "resume" => unsafe { raw::continue_stream(stream) }.to_string(),
        "continue" => unsafe { raw::continue_stream(integer(first)?) }.to_string(),
        "close" => unsafe { raw::close_stream(integer(first)?) }.to_string(),
        "effective" => unsafe { raw::set_effective_context(integer(first)?) }.to_string(),
        "end" => unsafe { raw::done() }.to_string(),
        "config" => shown(abi::get_buffer(PLUGIN_CONFIGURATION, 0, -1)),
        "vm-config" => shown(abi::get_buffer(VM_CONFIGURATION, 0, -1)),
        "buffer" => {
            let (start, max) = word(others);
            shown(abi::get_buffer(integer(first)?, integer(start)?, integer(max)?))
        }
        "foreign" => {
            let (status, bytes) = abi::call_foreign_function(first.as_bytes(), &foreign_arguments(others)?);
            let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            LAST.set(bytes);
            format!("{status} {shown}").trim_end().into()
        }
        "buffer-status" => {
            let (mut size, mut flags) = (0u32, 0u32);
            let status =
                unsafe { raw::get_buffer_status(integer(first)?, &raw mut size as i32, &raw mut flags as i32) };
            format!("{status} {size} {flags}")
        }
        "set-buffer" => {
            let (start, others) = word(others);
            let (replaced, text) = word(others);
            set_buffer(first, start, replaced, text.as_bytes())?
        }
        "fill-buffer" => {
            let (start, others) = word(others);
            let (replaced, others) = word(others);
            let (count, byte) = word(others);
            let filling = vec![*byte.as_bytes().first()?; usize::try_from(integer(count)?).ok()?];
            set_buffer(first, start, replaced, &filling)?
        }
        "answer" => {
            let (grpc_status, others) = word(others);
            let (headers, body) = word(others);
            answer(integer(first)?, integer(grpc_status)?, headers, body.as_bytes())?
        }
        "raw" => return call(first, others),
        _ => return None,
    })
}

thread_local! {
    /// The result of the last foreign function.
    static LAST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Arguments in parts, separated by blanks: hexadecimal digits; `last`, or `last+N`, for the last result, or what it has
/// from byte N on; `text:TEXT` for all that follows.
fn foreign_arguments(parts: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), parts);
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix("text:") {
            bytes.extend_from_slice(text.as_bytes());
            break;
        }
        let (part, others) = word(rest);
        if let Some(from) = part.strip_prefix("last") {
            let from: usize = if from.is_empty() { 0 } else { from.strip_prefix('+')?.parse().ok()? };
            LAST.with_borrow(|last| Some(bytes.extend_from_slice(last.get(from..)?)))?;
        } else {
            bytes.extend(unhex(part)?);
        }
        rest = others;
    }
    Some(bytes)
}

fn set_buffer(buffer: &str, start: &str, replaced: &str, bytes: &[u8]) -> Option<String> {
    let (data, size) = address(bytes);
    let (buffer, start, replaced) = (integer(buffer)?, integer(start)?, integer(replaced)?);
    Some(unsafe { raw::set_buffer_bytes(buffer, start, replaced, data, size) }.to_string())
}

/// Pairs of the form n=v,n=v, or - for none.
fn pairs(text: &str) -> Option<Vec<u8>> {
    let pairs: Option<Vec<_>> = text
        .split(',')
        .filter(|pair| !pair.is_empty() && *pair != "-")
        .map(|pair| pair.split_once('=').map(|(name, value)| (name.as_bytes(), value.as_bytes())))
        .collect();
    Some(abi::encode_pairs(&pairs?))
}

fn answer(status: i32, grpc_status: i32, headers: &str, body: &[u8]) -> Option<String> {
    let headers = pairs(headers)?;
    let (details, details_size) = address(b"operations");
    let ((body, body_size), (headers, headers_size)) = (address(body), address(&headers));
    let status = unsafe {
        raw::send_local_response(status, details, details_size, body, body_size, headers, headers_size, grpc_status)
    };
    Some(status.to_string())
}

/// Statements that need no host function of Proxy-Wasm.
fn guest(verb: &str, rest: &str) -> Option<String> {
    Some(
        match verb {
            "trap" => panic!("probe was told to"),
            "abort" => core::arch::wasm32::unreachable(),
            "loop" => loop {
                black_box(());
            },
            "recurse" => told(recurse(1)),
            "grow" => grow(rest.parse().ok()?),
            "stdout" => {
                println!("{rest}");
                told("")
            }
            "stderr" => {
                eprintln!("{rest}");
                told("")
            }
            "env" => {
                let variables: Vec<_> = std::env::vars_os()
                    .map(|(name, value)| {
                        format!("{}={}", printable(name.as_encoded_bytes()), printable(value.as_encoded_bytes()))
                    })
                    .collect();
                told(variables.join(","))
            }
            "random" => random(),
            _ => return None,
        }
        .trim_end()
        .into(),
    )
}

/// Goes on until the stack is full.
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[63]
}

/// Takes this much memory, writes to each page of it, and never gives it back.
fn grow(mib: usize) -> String {
    let mut taken: Vec<u8> = Vec::new();
    let status = match mib.checked_mul(1 << 20).map(|size| taken.try_reserve_exact(size)) {
        Some(Ok(())) => {
            taken.spare_capacity_mut().iter_mut().step_by(4096).for_each(|byte| {
                byte.write(1);
            });
            0
        }
        _ => 1,
    };
    black_box(taken.leak());
    format!("{status} {} MiB", core::arch::wasm32::memory_size(0) / 16)
}

fn random() -> String {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn random_get(data: i32, size: i32) -> i32;
    }
    let mut number = 0u64;
    // SAFETY: eight bytes are there.
    let status = unsafe { random_get(&raw mut number as i32, 8) };
    format!("{status} {number:016x}")
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Calls a host function with integers for arguments, good or bad. Beside integers: `mem` is the size of the memory
/// (so the first address outside), `buf` a readable buffer of 4 KiB, `out` and `out2` two words to write to (their
/// values follow the status), each with `+N` or `-N` if wanted; `str:TEXT` stands for two arguments, the address and
/// the size of TEXT, `hex:DIGITS` for those of any bytes.
fn call(name: &str, arguments: &str) -> Option<String> {
    let buffer = black_box(vec![b'b'; 4096]);
    let mut out = black_box([0u32; 2]);
    let out_address = &raw mut out as i32;
    let symbol = |text: &str| {
        Some(match text {
            "mem" => (core::arch::wasm32::memory_size(0) << 16) as i32,
            "buf" => buffer.as_ptr() as i32,
            "out" => out_address,
            "out2" => out_address + 4,
            _ => return None,
        })
    };
    let mut numbers = Vec::new();
    let mut held = Vec::new();
    for argument in arguments.split_whitespace() {
        if let Some(text) = argument.strip_prefix("str:") {
            let (data, size) = address(text.as_bytes());
            numbers.extend([data, size]);
        } else if let Some(digits) = argument.strip_prefix("hex:") {
            let bytes = unhex(digits)?;
            let (data, size) = address(&bytes);
            numbers.extend([data, size]);
            held.push(bytes);
        } else if let Some(number) = integer(argument) {
            numbers.push(number);
        } else {
            let sign = argument.find(['+', '-']).unwrap_or(argument.len());
            let (base, offset) = argument.split_at(sign);
            let offset = if offset.is_empty() { 0 } else { integer(offset.trim_start_matches('+'))? };
            numbers.push(symbol(base)?.wrapping_add(offset));
        }
    }
    let status = abi::call(name, &numbers)?;
    let out = black_box(out);
    drop(black_box(held));
    let written = if arguments.contains("out") { format!(" {} {}", out[0], out[1]) } else { String::new() };
    // What the host allocated for the guest stays: this is a test.
    Some(format!("{status}{written}"))
}
