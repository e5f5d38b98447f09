//! Header maps: values, pairs and sizes as the guest sees them.

use super::support::Guest;
use super::support::{Answer, probe, probe_guest, probing};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::{LogLevel, MapType, Status};

fn stream() -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[(":path", "/"), ("Accept", "a"), ("accept", "b"), ("empty", "")]);
    stream.set_map(MapType::ResponseHeaders, &[(":status", "200")]);
    stream
}

fn get(guest: impl Fn(Guest) -> Guest, map: u32, name: &'static [u8]) -> Answer {
    let data = [(0x1000, name)];
    let args = [u64::from(map), 0x1000, name.len() as u64, 0x100, 0x140];
    probe_guest(&guest(probing("proxy_get_header_map_value", &args, &data)), stream(), &data).unwrap()
}

#[test]
fn the_first_value_of_a_name_is_given() {
    let answer = get(|guest| guest, 0, b"ACCEPT");
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!(answer.given(0x100, 0x140), b"a");
    assert_eq!(get(|guest| guest, 2, b":status").given(0x100, 0x140), b"200");
}

#[test]
fn a_value_may_be_empty() {
    let answer = get(|guest| guest, 0, b"empty");
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0));
}

#[test]
fn a_missing_value_is_not_found() {
    for abi in ["0_2_0", "0_2_1", "0_2_100"] {
        let answer = get(|guest| guest.abi(abi), 0, b"missing");
        assert_eq!(answer.status, Status::NotFound as u32, "{abi}");
        assert!(answer.untouched(), "{abi}");
    }
}

#[test]
fn a_missing_value_is_ok_and_empty_for_0_1_0() {
    let answer = get(|guest| guest.abi("0_1_0"), 0, b"missing");
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0));
}

#[test]
fn a_map_that_is_not_there_now_is_not_found() {
    for map in [1, 3, 4, 5, 6, 7] {
        assert_eq!(get(|guest| guest, map, b"name").status, Status::NotFound as u32, "{map}");
    }
}

#[test]
fn pairs_are_all_values_with_names_in_lower_case() {
    let answer = probe(stream(), "proxy_get_header_map_pairs", &[0, 0x100, 0x140], &[]);
    assert_eq!(answer.status, Status::Ok as u32);
    let pairs = Pairs::decode(answer.given(0x100, 0x140)).unwrap();
    let wanted: [(&[u8], &[u8]); 4] = [(b":path", b"/"), (b"accept", b"a"), (b"accept", b"b"), (b"empty", b"")];
    assert_eq!(pairs.iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn the_size_of_a_map_is_that_of_its_encoded_pairs() {
    for map in [0, 2] {
        let size = probe(stream(), "proxy_get_header_map_size", &[map, 0x100], &[]).u32_at(0x100);
        let pairs = probe(stream(), "proxy_get_header_map_pairs", &[map, 0x100, 0x140], &[]);
        assert_eq!(size, pairs.u32_at(0x140), "{map}");
    }
}

/// Runs `calls` on the request headers of [`stream`]; what the map is then.
fn after(calls: &str) -> Vec<(String, String)> {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream_of(stream());
    world.request_headers(id).unwrap();
    world.host_of(id).map(MapType::RequestHeaders)
}

fn names(map: &[(String, String)]) -> Vec<String> {
    map.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn add_keeps_the_values_that_there_are() {
    let map = after("(note \"x\" (call $proxy_add_header_map_value (i32.const 0) (text \"accept\") (text \"c\")))");
    assert_eq!(names(&map), [":path=/", "Accept=a", "accept=b", "empty=", "accept=c"]);
}

#[test]
fn replace_leaves_one_value() {
    let map = after("(note \"x\" (call $proxy_replace_header_map_value (i32.const 0) (text \"accept\") (text \"c\")))");
    assert_eq!(names(&map), [":path=/", "empty=", "accept=c"]);
}

#[test]
fn remove_drops_all_values_and_a_missing_name_is_ok() {
    let map = after(
        "(note \"x\" (call $proxy_remove_header_map_value (i32.const 0) (text \"accept\")))
         (if (call $proxy_remove_header_map_value (i32.const 0) (text \"missing\")) (then unreachable))",
    );
    assert_eq!(names(&map), [":path=/", "empty="]);
}

#[test]
fn setting_pairs_replaces_the_whole_map() {
    let pairs = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0";
    let set = |stream: FakeStream, bytes: &[u8]| {
        let data = [(0x1000, bytes)];
        let args = [0, 0x1000, bytes.len() as u64];
        let mut world = probing("proxy_set_header_map_pairs", &args, &data).start();
        let id = world.stream_of(stream);
        world.request_headers(id).unwrap();
        names(&world.host_of(id).map(MapType::RequestHeaders))
    };
    assert_eq!(set(stream(), pairs), ["a=bc", "d="]);
    assert!(set(stream(), b"\0\0\0\0").is_empty());
    assert!(set(stream(), b"").is_empty());
}

#[test]
fn malformed_pairs_are_a_bad_argument_and_change_nothing() {
    for bytes in [&b"\x01"[..], b"\xff\xff\xff\xff", b"\x01\0\0\0\x01\0\0\0\xff\xff\xff\xffa\0b\0"] {
        let data = [(0x1000, bytes)];
        let answer = probe(stream(), "proxy_set_header_map_pairs", &[0, 0x1000, bytes.len() as u64], &data);
        assert_eq!(answer.status, Status::BadArgument as u32, "{bytes:?}");
    }
    let map = after(
        "(if (i32.ne (call $proxy_set_header_map_pairs (i32.const 0) (text \"\\01\")) (i32.const 2)) (then unreachable))",
    );
    assert_eq!(map.len(), 4);
}

#[test]
fn names_and_values_are_bytes() {
    let mut world = Guest::on_request(
        "(drop (call $proxy_get_header_map_value (i32.const 0) (text \"name\") (i32.const 0) (i32.const 4)))
         (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))",
    )
    .start();
    let mut stream = FakeStream::default();
    stream.set_raw(MapType::RequestHeaders, b"name", b"\xff\xfe\x80");
    let id = world.stream_of(stream);
    world.request_headers(id).unwrap();
    assert!(world.host.entries.contains(&(LogLevel::Info, b"\xff\xfe\x80".to_vec())));
}

#[test]
fn a_large_map_arrives_whole() {
    let value = "v".repeat(60_000);
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[("name", &value)]);
    let answer = probe(stream, "proxy_get_header_map_pairs", &[0, 0x100, 0x140], &[]);
    assert_eq!(answer.given(0x100, 0x140).len(), 4 + 8 + 4 + 1 + 60_000 + 1);
}
