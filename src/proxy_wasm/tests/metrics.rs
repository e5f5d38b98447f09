//! proxy_define_metric and its kin. The rules of metrics themselves are tested in `crate::shared`.

use super::support::{FILLED, Guest, METRIC, probe, probe_guest, probing};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::{LogLevel, Status};
use crate::shared::{MetricType, Metrics, Stores};

const DEFINE: &str = "(drop (call $proxy_define_metric (i32.const KIND) (text \"m\") (i32.const 0)))";
const GET: &str = "(note \"get\" (call $proxy_get_metric (i32.load (i32.const 0)) (i32.const 8)))
    (note \"value\" (i32.load (i32.const 8)))";

#[test]
fn a_metric_is_defined_changed_and_read() {
    let calls = format!(
        "{} {} {GET} {GET}",
        DEFINE.replace("KIND", "0"),
        "(note \"add\" (call $proxy_increment_metric (i32.load (i32.const 0)) (i64.const 5)))
         (note \"down\" (call $proxy_increment_metric (i32.load (i32.const 0)) (i64.const -5)))"
    );
    let mut world = Guest::on_request(&calls).start();
    for _ in 0..2 {
        let id = world.stream();
        world.request_headers(id).unwrap();
    }
    let bad = Status::BadArgument as u32;
    assert_eq!(
        world.notes(),
        [
            "add 0".to_owned(),
            format!("down {bad}"),
            "get 0".into(),
            "value 5".into(),
            "get 0".into(),
            "value 5".into(),
            "add 0".into(),
            format!("down {bad}"),
            "get 0".into(),
            "value 10".into(),
            "get 0".into(),
            "value 10".into(),
        ]
    );
}

#[test]
fn values_have_64_bits() {
    let calls = "(drop (call $proxy_define_metric (i32.const 1) (text \"g\") (i32.const 0)))
        (drop (call $proxy_record_metric (i32.load (i32.const 0)) (i64.const 0x8000000100000002)))
        (drop (call $proxy_increment_metric (i32.load (i32.const 0)) (i64.const -0x100000001)))
        (drop (call $proxy_get_metric (i32.load (i32.const 0)) (i32.const 8)))
        (note \"low\" (i32.load (i32.const 8))) (note \"high\" (i32.load (i32.const 12)))";
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["low 1".to_owned(), format!("high {}", i32::MIN)]);
}

#[test]
fn an_unknown_metric_is_not_found_and_a_histogram_cannot_be_read() {
    for (function, args) in [
        ("proxy_increment_metric", vec![99, 1]),
        ("proxy_record_metric", vec![99, 1]),
        ("proxy_get_metric", vec![99, 0x100]),
    ] {
        let answer = probe(FakeStream::default(), function, &args, &[]);
        assert_eq!(answer.status, Status::NotFound as u32, "{function}");
        assert!(answer.untouched(), "{function}");
    }
    let histogram = u64::from(Metrics::dropped(MetricType::Histogram));
    for (function, args) in
        [("proxy_increment_metric", vec![histogram, 1]), ("proxy_get_metric", vec![histogram, 0x100])]
    {
        let answer = probe(FakeStream::default(), function, &args, &[]);
        assert_eq!(answer.status, Status::BadArgument as u32, "{function}");
        assert!(answer.untouched(), "{function}");
    }
}

#[test]
fn another_type_for_a_name_is_a_bad_argument() {
    for (kind, status) in [(0, Status::Ok), (1, Status::BadArgument), (2, Status::BadArgument)] {
        let args = [kind, 0x1000, 5, 0x100];
        let data: [(u32, &[u8]); 1] = [(0x1000, b"first")];
        let answer = probe_guest(&probing("proxy_define_metric", &args, &data), FakeStream::default(), &data).unwrap();
        assert_eq!(answer.status, status as u32);
        match status {
            Status::Ok => assert_eq!(answer.u32_at(0x100), METRIC),
            _ => assert_eq!(answer.memory[0x100], FILLED),
        }
    }
}

/// A guest that defines a metric and a histogram in a host with this room.
fn without_room(stores: Stores) -> (Vec<String>, Vec<String>) {
    let calls = format!(
        "(note \"define\" {}) (note \"add\" {}) {GET}",
        "(call $proxy_define_metric (i32.const 0) (text \"a long name of a metric\") (i32.const 0))",
        "(call $proxy_increment_metric (i32.load (i32.const 0)) (i64.const 5))"
    );
    let host = FakeHost { stores, ..FakeHost::default() };
    let mut world = Guest::on_request(&calls).start_with(VmConfig::default(), RootConfig::default(), host).unwrap();
    for _ in 0..2 {
        let id = world.stream();
        world.request_headers(id).unwrap();
        world.host.now += 1;
    }
    (world.notes(), world.host.logged(LogLevel::Error))
}

#[test]
fn a_guest_goes_on_without_a_metric_for_which_there_is_no_room() {
    let expected = ["define 0", "add 0", "get 0", "value 0"].repeat(2);
    let (notes, log) = without_room(Stores::on_heap(0));
    assert_eq!(notes, expected);
    assert_eq!(
        log,
        ["no room for the metric \"a long name of a metric\", so its values are lost; enlarge \"slab_size\" in \
                      \"wasm { metrics { } }\""]
    );
    let mut stores = Stores::on_heap(16 << 10);
    stores.metrics = Metrics::new(crate::shared::Heap::boxed(16 << 10), 8);
    let (notes, log) = without_room(stores);
    assert_eq!(notes, expected);
    assert_eq!(log.len(), 1);
    assert!(log[0].contains("enlarge \"max_metric_name_length\""), "{log:?}");
}

#[test]
fn a_complaint_comes_once_a_minute() {
    let host = FakeHost { stores: Stores::on_heap(0), ..FakeHost::default() };
    let guest = Guest::on_request(&DEFINE.replace("KIND", "1"));
    let mut world = guest.start_with(VmConfig::default(), RootConfig::default(), host).unwrap();
    for _ in 0..10 {
        let id = world.stream();
        world.request_headers(id).unwrap();
        world.host.now += 20_000_000_000;
    }
    assert_eq!(world.host.logged(LogLevel::Error).len(), 4);
}
