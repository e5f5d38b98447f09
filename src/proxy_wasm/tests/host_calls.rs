//! Every host call that is there, with good arguments, with every pointer bad in turn, and with numbers that mean nothing.

use super::support::{Answer, FILLED, MEMORY, METRIC, QUEUE, SHARED_KEY, SHARED_QUEUE, host_functions, probe};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::host_calls::Run;
use crate::proxy_wasm::types::{BufferType, MapType, Status};

/// One argument, or two of them for bytes.
#[derive(Clone, Copy)]
enum Arg {
    /// Any number will do.
    Number(u32),
    /// A number of an enumeration, and the first one behind its end.
    Enum(u32, u32),
    /// Bytes that the host reads: pointer and size.
    In(&'static [u8]),
    /// Where the host writes so many bytes.
    Out(u32),
}
use Arg::{Enum, In, Number, Out};

const PAIRS: &[u8] = b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc\0";

/// `:method: GET`, `:path: /` and `:authority: a`.
const REQUEST: &[u8] = b"\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0\
    :method\0GET\0:path\0/\0:authority\0a\0";

/// The implemented host calls with arguments to which the answer is Ok.
const TABLE: &[(&str, &[Arg])] = &[
    ("proxy_log", &[Enum(2, 6), In(b"hello")]),
    ("proxy_get_log_level", &[Out(4)]),
    ("proxy_get_current_time_nanoseconds", &[Out(8)]),
    ("proxy_set_tick_period_milliseconds", &[Number(100)]),
    ("proxy_get_buffer_bytes", &[Enum(0, 10), Number(0), Number(99), Out(4), Out(4)]),
    ("proxy_get_buffer_status", &[Enum(0, 10), Out(4), Out(4)]),
    ("proxy_get_configuration", &[Out(4), Out(4)]),
    ("proxy_get_header_map_size", &[Enum(0, 8), Out(4)]),
    ("proxy_get_header_map_pairs", &[Enum(0, 8), Out(4), Out(4)]),
    ("proxy_set_header_map_pairs", &[Enum(0, 8), In(PAIRS)]),
    ("proxy_get_header_map_value", &[Enum(0, 8), In(b"host"), Out(4), Out(4)]),
    ("proxy_add_header_map_value", &[Enum(0, 8), In(b"name"), In(b"value")]),
    ("proxy_replace_header_map_value", &[Enum(0, 8), In(b"name"), In(b"value")]),
    ("proxy_remove_header_map_value", &[Enum(0, 8), In(b"name")]),
    ("proxy_set_buffer_bytes", &[Enum(0, 10), Number(0), Number(0), In(b"new")]),
    ("proxy_continue_stream", &[Enum(0, 4)]),
    ("proxy_close_stream", &[Enum(0, 4)]),
    ("proxy_continue_request", &[]),
    ("proxy_continue_response", &[]),
    ("proxy_clear_route_cache", &[]),
    ("proxy_send_local_response", &[Number(200), In(b"why"), In(b"body"), In(PAIRS), Number(u32::MAX)]),
    ("proxy_send_http_response", &[Number(200), In(b"why"), In(b"body"), In(PAIRS), Number(u32::MAX)]),
    ("proxy_http_call", &[In(b"service"), In(REQUEST), In(b"body"), In(PAIRS), Number(100), Out(4)]),
    ("proxy_dispatch_http_call", &[In(b"service"), In(REQUEST), In(b"body"), In(PAIRS), Number(0), Out(4)]),
    ("proxy_get_status", &[Out(4), Out(4), Out(4)]),
    (
        "proxy_grpc_call",
        &[In(b"service"), In(b"pkg.Service"), In(b"Method"), In(PAIRS), In(b"message"), Number(100), Out(4)],
    ),
    ("proxy_grpc_stream", &[In(b"service"), In(b"pkg.Service"), In(b"Method"), In(PAIRS), Out(4)]),
    ("proxy_redis_init", &[In(b"service?db=1"), In(b"user"), In(b"password"), Number(100)]),
    ("proxy_redis_call", &[In(b"service"), In(b"*1\r\n$4\r\nPING\r\n"), Out(4)]),
    ("proxy_get_property", &[In(b"request\0path"), Out(4), Out(4)]),
    ("proxy_set_property", &[In(b"name"), In(b"value")]),
    ("proxy_call_foreign_function", &[In(b"compress"), In(b"hello"), Out(4), Out(4)]),
    ("proxy_set_effective_context", &[Enum(1, 99)]),
    ("proxy_define_metric", &[Enum(0, 3), In(b"metric"), Out(4)]),
    ("proxy_increment_metric", &[Number(METRIC), Number(1)]),
    ("proxy_record_metric", &[Number(METRIC), Number(1)]),
    ("proxy_get_metric", &[Number(METRIC), Out(8)]),
    ("proxy_set_shared_data", &[In(b"name"), In(b"value"), Number(0)]),
    ("proxy_get_shared_data", &[In(SHARED_KEY), Out(4), Out(4), Out(4)]),
    ("proxy_register_shared_queue", &[In(b"name"), Out(4)]),
    ("proxy_resolve_shared_queue", &[In(b"id"), In(SHARED_QUEUE), Out(4)]),
    ("proxy_enqueue_shared_queue", &[Number(QUEUE), In(b"message")]),
    ("proxy_dequeue_shared_queue", &[Number(QUEUE), Out(4), Out(4)]),
];

/// Those that answer something else, or need more than a stream; other files of this folder have them.
const ELSEWHERE: &[&str] = &[
    "proxy_done",
    "proxy_grpc_send",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_inject_encoded_data_to_filter_chain",
    "proxy_get_upstream_hosts",
    "proxy_set_upstream_override_host",
];

const READ_AT: u32 = 0x1000;
const WRITE_AT: u32 = 0x100;

fn stream() -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[(":path", "/"), ("host", "example")]);
    stream.set_buffer(BufferType::RequestBody, b"a body");
    stream.set_property(b"request\0path", b"/");
    stream
}

/// The raw arguments, and the bytes in guest memory that they speak of.
fn good(args: &[Arg]) -> (Vec<u64>, Vec<(u32, &'static [u8])>) {
    let (mut raw, mut data) = (Vec::new(), Vec::new());
    let (mut read, mut write) = (READ_AT, WRITE_AT);
    for arg in args {
        match *arg {
            Number(number) | Enum(number, _) => raw.push(u64::from(number)),
            In(bytes) => {
                raw.extend([u64::from(read), bytes.len() as u64]);
                data.push((read, bytes));
                read += 0x40;
            }
            Out(_) => {
                raw.push(u64::from(write));
                write += 0x40;
            }
        }
    }
    (raw, data)
}

/// Runs `check` for each argument that is `wanted`, with its place among the raw ones.
fn each(check: impl Fn(&str, usize, Arg, &dyn Fn(&[(usize, u64)]) -> Answer)) {
    for (name, args) in TABLE {
        let (raw, data) = good(args);
        let mut place = 0;
        for arg in *args {
            let with = |changes: &[(usize, u64)]| {
                let mut raw = raw.clone();
                for (n, value) in changes {
                    raw[*n] = *value;
                }
                probe(stream(), name, &raw, &data)
            };
            check(name, place, *arg, &with);
            place += if matches!(arg, In(_)) { 2 } else { 1 };
        }
    }
}

#[test]
fn the_table_has_all_host_calls_that_answer_a_status() {
    let mut wanted: Vec<_> = host_functions()
        .filter(|(module, row)| *module == "env" && matches!(row.run, Run::Status(_)))
        .map(|(_, row)| row.name)
        .filter(|name| !ELSEWHERE.contains(name))
        .collect();
    let mut listed: Vec<_> = TABLE.iter().map(|(name, _)| *name).collect();
    wanted.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, wanted);
}

#[test]
fn good_arguments_are_answered_ok() {
    for (name, args) in TABLE {
        let (raw, data) = good(args);
        let answer = probe(stream(), name, &raw, &data);
        assert_eq!(answer.status, Status::Ok as u32, "{name}");
        // What the host was to write it wrote, and nothing beside it.
        let mut write = WRITE_AT;
        for size in args.iter().filter_map(|arg| if let Out(size) = arg { Some(*size) } else { None }) {
            let at = write as usize;
            assert!(answer.memory[at..at + size as usize].iter().any(|byte| *byte != FILLED), "{name} wrote nothing");
            assert!(answer.memory[at + size as usize..at + 0x40].iter().all(|byte| *byte == FILLED), "{name}");
            write += 0x40;
        }
        assert_eq!(answer.untouched(), write == WRITE_AT, "{name}");
    }
}

#[test]
fn a_pointer_to_write_to_that_leads_outside_is_an_invalid_memory_access() {
    each(|name, place, arg, with| {
        let Out(size) = arg else { return };
        for ptr in [MEMORY - size + 1, MEMORY, MEMORY + 1, 0x8000_0000, u32::MAX - size + 1, u32::MAX] {
            let answer = with(&[(place, u64::from(ptr))]);
            assert_eq!(answer.status, Status::InvalidMemoryAccess as u32, "{name}, argument {place}: {ptr:#x}");
            assert!(answer.untouched(), "{name}, argument {place}: {ptr:#x} wrote to memory");
        }
    });
}

#[test]
fn the_last_bytes_of_memory_can_be_written() {
    each(|name, place, arg, with| {
        let Out(size) = arg else { return };
        assert_eq!(with(&[(place, u64::from(MEMORY - size))]).status, Status::Ok as u32, "{name}, argument {place}");
    });
}

#[test]
fn bytes_that_lie_outside_are_an_invalid_memory_access() {
    each(|name, place, arg, with| {
        let In(_) = arg else { return };
        for (ptr, len) in [
            (MEMORY - 1, 2),
            (MEMORY, 1),
            (MEMORY + 1, 0),
            (0, MEMORY + 1),
            (READ_AT, u32::MAX),
            // The sums are 2^32, and one more: in 32 bits they would be 0 and 1.
            (u32::MAX, 1),
            (READ_AT, 0u32.wrapping_sub(READ_AT)),
            (u32::MAX - 3, 5),
            (u32::MAX, u32::MAX),
        ] {
            let answer = with(&[(place, u64::from(ptr)), (place + 1, u64::from(len))]);
            let what = format!("{name}, argument {place}: {len:#x} bytes at {ptr:#x}");
            assert_eq!(answer.status, Status::InvalidMemoryAccess as u32, "{what}");
            assert!(answer.untouched(), "{what}");
        }
    });
}

#[test]
fn a_number_that_means_nothing_is_a_bad_argument() {
    each(|name, place, arg, with| {
        let Enum(_, bad) = arg else { return };
        for number in [bad, u32::MAX] {
            let answer = with(&[(place, u64::from(number))]);
            assert_eq!(answer.status, Status::BadArgument as u32, "{name}, argument {place}: {number}");
            assert!(answer.untouched(), "{name}");
        }
    });
}

#[test]
fn without_a_stream_to_speak_of_nothing_is_found_and_nothing_written() {
    let empty = FakeStream::default;
    for (name, status) in [
        ("proxy_get_buffer_bytes", Status::NotFound),
        ("proxy_get_buffer_status", Status::NotFound),
        ("proxy_get_header_map_size", Status::NotFound),
        ("proxy_get_header_map_pairs", Status::NotFound),
        ("proxy_set_header_map_pairs", Status::BadArgument),
        ("proxy_get_header_map_value", Status::NotFound),
        ("proxy_add_header_map_value", Status::BadArgument),
        ("proxy_replace_header_map_value", Status::BadArgument),
        ("proxy_remove_header_map_value", Status::BadArgument),
        ("proxy_get_property", Status::NotFound),
    ] {
        let (_, args) = TABLE.iter().find(|(listed, _)| *listed == name).unwrap();
        let (raw, data) = good(args);
        let answer = probe(empty(), name, &raw, &data);
        assert_eq!(answer.status, status as u32, "{name}");
        assert!(answer.untouched(), "{name}");
    }
}
