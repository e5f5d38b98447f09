//! What a trace shows of a host call: its arguments and what it gave, in short. `call.rs` asks, while a callback is traced. Sizes stand for
//! bodies and for all that may have credentials in it: lists of headers, messages, values of shared data, passwords.

use crate::proxy_wasm::trace::{is_secret, text};
use crate::proxy_wasm::types::{BufferType, LogLevel, MapType, Status, StreamType};
use crate::vm::GuestMemory;

/// What the arguments of a function are, a letter for each:
///
/// - `n` a number, `i` one with a sign, of 32 bits, `I` of 64,
/// - `m` a map, `b` a buffer, `s` a direction, `l` a level, `t` a type of a metric,
/// - `K` (two: address and size) a text that is shown: a name, a key, a path,
/// - `V` (two) the value of what the text before it names, shown unless that may be a credential,
/// - `Z` (two) bytes, whose size is shown; `-` (two) not even that,
/// - `u` and `U` where a number of 32 or 64 bits is written to, `T` (two) where the value of what the text before it names is
///   written to, `R` (two) where bytes are.
///
/// Where a function has several types, the one with as many arguments counts.
const SHAPES: &[(&str, &[&str])] = &[
    ("proxy_log", &["lZ"]),
    ("proxy_get_log_level", &["u"]),
    ("proxy_get_current_time_nanoseconds", &["U"]),
    ("proxy_set_tick_period_milliseconds", &["n"]),
    ("proxy_get_buffer_bytes", &["bnnR"]),
    ("proxy_get_buffer_status", &["buu"]),
    ("proxy_set_buffer_bytes", &["bnnZ"]),
    ("proxy_get_configuration", &["R"]),
    ("proxy_get_header_map_size", &["mu"]),
    ("proxy_get_header_map_pairs", &["mR"]),
    ("proxy_set_header_map_pairs", &["mZ"]),
    ("proxy_get_header_map_value", &["mKT"]),
    ("proxy_add_header_map_value", &["mKV"]),
    ("proxy_replace_header_map_value", &["mKV"]),
    ("proxy_remove_header_map_value", &["mK"]),
    ("proxy_continue_stream", &["s"]),
    ("proxy_close_stream", &["s"]),
    ("proxy_continue_request", &[""]),
    ("proxy_continue_response", &[""]),
    ("proxy_clear_route_cache", &[""]),
    ("proxy_send_local_response", &["nKZZi"]),
    ("proxy_send_http_response", &["nKZZi"]),
    ("proxy_http_call", &["KZZZnu"]),
    ("proxy_dispatch_http_call", &["KZZZnu"]),
    ("proxy_get_status", &["uR"]),
    // The service may be a whole description of one, with what it takes to be let in.
    ("proxy_grpc_call", &["ZKKZZnu", "ZKKZnu"]),
    ("proxy_grpc_stream", &["ZKKZu", "ZKKu"]),
    ("proxy_grpc_send", &["nZn"]),
    ("proxy_grpc_cancel", &["n"]),
    ("proxy_grpc_close", &["n"]),
    ("proxy_get_shared_data", &["KRu"]),
    ("proxy_set_shared_data", &["KZn"]),
    ("proxy_register_shared_queue", &["Ku"]),
    ("proxy_resolve_shared_queue", &["KKu"]),
    ("proxy_enqueue_shared_queue", &["nZ"]),
    ("proxy_dequeue_shared_queue", &["nR"]),
    ("proxy_define_metric", &["tKu"]),
    ("proxy_increment_metric", &["nI"]),
    ("proxy_record_metric", &["nn"]),
    ("proxy_get_metric", &["nU"]),
    ("proxy_get_property", &["KT"]),
    ("proxy_set_property", &["KV"]),
    ("proxy_call_foreign_function", &["KZR"]),
    ("proxy_set_effective_context", &["n"]),
    ("proxy_done", &[""]),
    ("proxy_redis_init", &["K--n"]),
    ("proxy_redis_call", &["KZu"]),
    ("proxy_inject_encoded_data_to_filter_chain", &["Zn"]),
    ("proxy_get_upstream_hosts", &["R"]),
    ("proxy_set_upstream_override_host", &["K"]),
    ("emscripten_notify_memory_growth", &["n"]),
    ("pthread_equal", &["nn"]),
    // What it says is in the log.
    ("abort", &["nnnn"]),
];

/// What stands for the values of headers as a whole, and for bodies, in the paths of properties.
const WHOLE: [&[u8]; 3] = [b"headers", b"trailers", b"body"];

/// A call, before it is made.
pub(super) struct Traced {
    /// Its arguments, as they are shown.
    pub arguments: String,
    /// What it will have written, and where.
    outputs: Vec<Output>,
}

/// Where a result is written to.
enum Output {
    Number(u32),
    Long(u32),
    Bytes { ptr_at: u32, len_at: u32, is_shown: bool },
}

impl Traced {
    /// Looks at the arguments of a call.
    pub fn new(name: &str, args: &[u64], memory: &GuestMemory<'_>) -> Traced {
        let shape = SHAPES.iter().find(|(known, _)| *known == name).and_then(|(_, shapes)| of_size(shapes, args.len()));
        let mut traced = Traced { arguments: String::new(), outputs: Vec::new() };
        // Those of WASI are numbers.
        let Some(shape) = shape else {
            args.iter().for_each(|arg| traced.show(arg.to_string()));
            return traced;
        };
        // Of the text before a value: whether it may be seen.
        let mut is_open = true;
        let mut rest = args.iter().copied();
        let mut next = || rest.next().unwrap_or_default();
        for letter in shape.bytes() {
            let first = next();
            let number = first as u32;
            let second = if takes_two(letter) { next() as u32 } else { 0 };
            match letter {
                b'm' => traced.show(named(MapType::try_from(number), number)),
                b'b' => traced.show(named(BufferType::try_from(number), number)),
                b's' => traced.show(named(StreamType::try_from(number), number)),
                b'l' => traced.show(named(LogLevel::try_from(number), number)),
                b't' => traced.show(
                    ["Counter", "Gauge", "Histogram"]
                        .get(number as usize)
                        .map_or(number.to_string(), |name| (*name).into()),
                ),
                b'K' => {
                    let bytes = memory.peek(number, second);
                    is_open = bytes.is_ok_and(may_be_seen);
                    traced.show(bytes.map_or_else(|_| outside(number, second), text));
                }
                b'V' if is_open => {
                    traced.show(memory.peek(number, second).map_or_else(|_| outside(number, second), text))
                }
                b'V' | b'Z' => traced.show(format!("{second} bytes")),
                b'-' => traced.show("...".into()),
                b'u' => traced.outputs.push(Output::Number(number)),
                b'U' => traced.outputs.push(Output::Long(number)),
                b'T' => traced.outputs.push(Output::Bytes { ptr_at: number, len_at: second, is_shown: is_open }),
                b'R' => traced.outputs.push(Output::Bytes { ptr_at: number, len_at: second, is_shown: false }),
                b'i' => traced.show((number as i32).to_string()),
                b'I' => traced.show((first as i64).to_string()),
                _ => traced.show(first.to_string()),
            }
        }
        traced
    }

    fn show(&mut self, argument: String) {
        if !self.arguments.is_empty() {
            self.arguments.push_str(", ");
        }
        self.arguments.push_str(&argument);
    }

    /// What the call has answered, and given.
    pub fn status(&self, status: u64, memory: &GuestMemory<'_>) -> String {
        let mut shown = status_name(status);
        if status != Status::Ok as u64 {
            return shown;
        }
        for output in &self.outputs {
            // A place of 0 is that of who does not want to know.
            if let Some(value) = given(output, memory) {
                shown.push_str(", ");
                shown.push_str(&value);
            }
        }
        shown
    }
}

fn given(output: &Output, memory: &GuestMemory<'_>) -> Option<String> {
    let number = |at: u32| memory.peek(at, 4).ok()?.try_into().ok().map(u32::from_le_bytes);
    match *output {
        Output::Number(at) => number(at).map(|number| number.to_string()),
        Output::Long(at) => memory.peek(at, 8).ok()?.try_into().ok().map(|bytes| u64::from_le_bytes(bytes).to_string()),
        Output::Bytes { ptr_at, len_at, is_shown } => {
            let (ptr, len) = (number(ptr_at)?, number(len_at)?);
            if !is_shown {
                return Some(format!("{len} bytes"));
            }
            memory.peek(ptr, len).ok().map(text)
        }
    }
}

fn takes_two(letter: u8) -> bool {
    matches!(letter, b'K' | b'V' | b'Z' | b'-' | b'T' | b'R')
}

/// How many arguments a shape is for.
fn size(shape: &str) -> usize {
    shape.bytes().map(|letter| 1 + usize::from(takes_two(letter))).sum()
}

fn of_size<'a>(shapes: &[&'a str], args: usize) -> Option<&'a str> {
    shapes.iter().copied().find(|shape| size(shape) == args)
}

/// Whether the value of what has this name may be seen by who reads the log.
fn may_be_seen(name: &[u8]) -> bool {
    !is_secret(name) && !WHOLE.iter().any(|whole| name.to_ascii_lowercase().trim_ascii_end().ends_with(whole))
}

fn named<T: std::fmt::Debug>(known: Result<T, Status>, number: u32) -> String {
    known.map_or_else(|_| number.to_string(), |known| format!("{known:?}"))
}

fn outside(ptr: u32, len: u32) -> String {
    format!("{len} bytes at {ptr:#x}, outside of memory")
}

fn status_name(status: u64) -> String {
    const KNOWN: [Status; 10] = [
        Status::Ok,
        Status::NotFound,
        Status::BadArgument,
        Status::SerializationFailure,
        Status::ParseFailure,
        Status::InvalidMemoryAccess,
        Status::Empty,
        Status::CasMismatch,
        Status::InternalFailure,
        Status::Unimplemented,
    ];
    let known = KNOWN.into_iter().find(|known| *known as u64 == status);
    known.map_or_else(|| status.to_string(), |known| format!("{known:?}"))
}

#[cfg(test)]
mod tests {
    use super::super::{functions, rows};
    use super::*;

    #[test]
    fn each_function_of_the_abi_is_described_for_each_of_its_types() {
        for row in rows().iter().take(functions().count()) {
            let shapes = SHAPES.iter().find(|(name, _)| *name == row.name).map(|(_, shapes)| *shapes);
            let shapes = shapes.unwrap_or_else(|| panic!("{} has no row", row.name));
            for (params, _) in row.types {
                assert!(
                    of_size(shapes, params.len()).is_some(),
                    "{}: no shape has {} arguments",
                    row.name,
                    params.len()
                );
            }
        }
        assert_eq!(SHAPES.len(), functions().count());
    }

    fn shown(name: &str, args: &[u64], memory: &mut [u8]) -> String {
        Traced::new(name, args, &GuestMemory::new(memory)).arguments
    }

    #[test]
    fn names_are_shown_and_values_unless_they_may_be_credentials() {
        let mut memory = b"x-kind;image;Set-Cookie;sid=1;request\0headers;".to_vec();
        let call = |key: (u64, u64), value: (u64, u64)| [2, key.0, key.1, value.0, value.1];
        let mut add = |key, value| shown("proxy_add_header_map_value", &call(key, value), &mut memory);
        assert_eq!(add((0, 6), (7, 5)), r#"ResponseHeaders, "x-kind", "image""#);
        assert_eq!(add((13, 10), (24, 5)), r#"ResponseHeaders, "Set-Cookie", 5 bytes"#);
        assert_eq!(add((0, 6), (40, 100)), r#"ResponseHeaders, "x-kind", 100 bytes at 0x28, outside of memory"#);
        // Nobody knows what it is the value of.
        assert_eq!(add((1000, 6), (24, 5)), "ResponseHeaders, 6 bytes at 0x3e8, outside of memory, 5 bytes");
        assert_eq!(shown("proxy_set_property", &[30, 15, 0, 6], &mut memory), r#""request\x00headers", 6 bytes"#);
    }

    #[test]
    fn unknown_numbers_are_shown_as_they_are() {
        assert_eq!(shown("proxy_get_header_map_size", &[77, 0], &mut []), "77");
        assert_eq!(shown("proxy_increment_metric", &[3, -5i64 as u64], &mut []), "3, -5");
        let answer = shown("proxy_send_local_response", &[200, 0, 0, 0, 0, 0, 0, u64::from(u32::MAX)], &mut []);
        assert_eq!(answer, "200, \"\", 0 bytes, 0 bytes, -1");
        assert_eq!(shown("fd_write", &[1, 2, 3, 4], &mut []), "1, 2, 3, 4");
    }

    #[test]
    fn passwords_have_not_even_a_size() {
        let mut memory = b"redis:6379".to_vec();
        assert_eq!(shown("proxy_redis_init", &[0, 10, 0, 5, 0, 5, 100], &mut memory), r#""redis:6379", ..., ..., 100"#);
    }

    #[test]
    fn results_are_shown_when_there_are_any() {
        let mut memory = b"host\x10\0\0\0\x05\0\0\0....value\0\0\0".to_vec();
        let memory = &mut GuestMemory::new(&mut memory);
        let call = Traced::new("proxy_get_header_map_value", &[0, 0, 4, 4, 8], memory);
        assert_eq!(call.arguments, r#"RequestHeaders, "host""#);
        assert_eq!(call.status(0, memory), r#"Ok, "value""#);
        assert_eq!(call.status(1, memory), "NotFound");
        assert_eq!(call.status(77, memory), "77");
        let size = Traced::new("proxy_get_header_map_size", &[0, 8], memory);
        assert_eq!(size.status(0, memory), "Ok, 5");
        let pairs = Traced::new("proxy_get_header_map_pairs", &[0, 4, 8], memory);
        assert_eq!(pairs.status(0, memory), "Ok, 5 bytes");
        // A guest that does not want the result of a foreign function.
        let foreign = Traced::new("proxy_call_foreign_function", &[0, 4, 0, 0, 1000, 1000], memory);
        assert_eq!((foreign.arguments.as_str(), foreign.status(0, memory).as_str()), (r#""host", 0 bytes"#, "Ok"));
    }
}
