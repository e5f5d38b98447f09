//! HTTP calls to other services: what a guest asks for as the embedder gets it, and what the guest is told of the answer.

use std::time::Duration;

use super::support::{Guest, World, wat_bytes};
use crate::net::head::Fields;
use crate::proxy_wasm::calls::{CallCommand, CallFailure, CallId, HttpAnswer, HttpCall, Scheme};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::ids::StreamToken;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::{LogLevel, MapType, Status};
use crate::vm::InstanceLimits;

type List<'a> = &'a [(&'a [u8], &'a [u8])];

const PLAIN: List = &[(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")];

fn encoded(pairs: List) -> Vec<u8> {
    let mut out = Vec::new();
    Pairs::encode(pairs.iter().copied(), &mut out).unwrap();
    out
}

fn pairs(list: List) -> Pairs {
    Pairs::decode(&encoded(list)).unwrap()
}

/// The code that makes a call, and notes status and number.
fn call_raw(target: &[u8], headers: &[u8], body: &[u8], trailers: &[u8], timeout: u32) -> String {
    let parts: String =
        [target, headers, body, trailers].map(|part| format!("(text \"{}\")", wat_bytes(part))).concat();
    format!(
        "(i32.store (i32.const 0x100) (i32.const -1))
         (note \"call\" (call $proxy_http_call {parts} (i32.const {timeout}) (i32.const 0x100)))
         (note \"call\" (i32.load (i32.const 0x100)))"
    )
}

fn call(headers: List) -> String {
    call_raw(b"service", &encoded(headers), b"", b"", 100)
}

/// What [`call`] notes for a call that is made, and for one that is not.
fn made(id: u32) -> String {
    format!("call 0 {id}")
}

fn not_made(status: Status) -> String {
    format!("call {} -1", status as u32)
}

fn http(command: CallCommand) -> HttpCall {
    match command {
        CallCommand::Http(call) => call,
        other => panic!("{other:?}"),
    }
}

/// Makes a call in a stream; the guest's notes, and what the embedder gets.
fn run(calls: &str) -> (World, Vec<String>, Vec<HttpCall>) {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let notes = world.notes();
    let calls = world.vm.take_calls().into_iter().map(http).collect();
    (world, notes, calls)
}

fn listed(fields: &Fields) -> Vec<(&[u8], &[u8])> {
    fields.iter().collect()
}

/// Makes a call that has to fail, and answers why, by the callback and by what the embedder gets.
fn fails(calls: &str) -> String {
    let guest = Guest::on_request(calls).and(
        "(func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32)
            (note \"told\" (local.get 0)) (note \"told\" (local.get 1)) (note \"told\" (local.get 2))
            (note \"told\" (local.get 3)) (note \"told\" (local.get 4))
            (drop (call $proxy_get_status (i32.const 0x208) (i32.const 0x200) (i32.const 0x204)))
            (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204)))))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [made(1)], "the guest is not told by a status");
    let commands = world.vm.take_calls();
    let [CallCommand::Unsendable(call)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((call.id, call.target.as_slice()), (CallId(1), &b"service"[..]));
    assert!(world.host.logged(LogLevel::Error).is_empty(), "the line is the embedder's, who knows the request");
    world.vm.on_unsendable(call.id, call.reason.clone(), &mut world.host).unwrap();
    assert_eq!(world.notes(), [format!("told {} 1 0 0 0", world.root)]);
    assert_eq!(world.host.logged(LogLevel::Info), [call.reason.as_str()]);
    assert!(!world.vm.has_call(call.id));
    call.reason.clone()
}

#[test]
fn a_call_is_what_the_guest_said() {
    let headers: List = &[
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", b"/p%20q{}?r='s'"),
        (b":authority", b"example.com:8443"),
        (b"X-Twice", b"one"),
        (b"x-twice", b"t\xffo"),
        (b"te", b"trailers"),
    ];
    let (mut world, notes, calls) =
        run(&call_raw(b"service", &encoded(headers), b"b\0dy", &encoded(&[(b"Sum", b"1"), (b"sum", b"2")]), 250));
    assert_eq!(notes, [made(1)]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(call.id, CallId(1));
    assert_eq!(call.stream, Some(StreamToken(100)));
    assert_eq!(call.target, b"service");
    assert_eq!(call.scheme, Scheme::Https);
    assert_eq!(call.timeout, Duration::from_millis(250));
    assert_eq!(call.head.method, "POST");
    assert_eq!(call.head.target(), b"/p%20q{}?r='s'");
    assert_eq!(call.head.authority(), b"example.com:8443");
    let wanted: List = &[(b"x-twice", b"one"), (b"x-twice", b"t\xffo"), (b"te", b"trailers")];
    assert_eq!(listed(&call.head.fields), wanted);
    assert_eq!(call.body, b"b\0dy");
    assert_eq!(listed(&call.trailers), [(&b"sum"[..], &b"1"[..]), (b"sum", b"2")]);
    assert!(world.vm.has_call(CallId(1)));
    assert!(world.vm.take_calls().is_empty(), "a call is handed over once");
}

#[test]
fn calls_are_numbered_in_the_order_in_which_they_are_handed_over() {
    let (_, notes, calls) = run(&[call(PLAIN), call(PLAIN), call(PLAIN)].concat());
    assert_eq!(notes, ["call 0 1 0 2 0 3"]);
    assert_eq!(calls.iter().map(|call| call.id.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_call_outside_of_a_stream_has_none() {
    let tick = format!("(func (export \"proxy_on_tick\") (param i32) {})", call(PLAIN));
    let mut world = Guest::new(tick).start();
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes(), [made(1)]);
    let calls = world.vm.take_calls();
    assert_eq!(http(calls.into_iter().next().unwrap()).stream, None);
}

#[test]
fn a_call_is_of_the_stream_that_the_guest_made_effective() {
    let tick = format!(
        "(func (export \"proxy_on_tick\") (param i32)
            (drop (call $proxy_set_effective_context (i32.const 2))) {})",
        call(PLAIN)
    );
    let mut world = Guest::new(tick).start();
    let id = world.stream();
    let token = world.token(id);
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    let calls = world.vm.take_calls();
    assert_eq!(http(calls.into_iter().next().unwrap()).stream, Some(StreamToken(token)));
}

#[test]
fn how_the_message_is_framed_is_the_hosts_business() {
    let headers = [
        PLAIN,
        &[
            (b"Host", b"other"),
            (b"connection", b"close"),
            (b"Keep-Alive", b"5"),
            (b"proxy-connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"upgrade", b"h2c"),
            (b"content-length", b"99"),
            (b"te", b"gzip"),
            (b"x", b"y"),
        ],
    ]
    .concat();
    let trailers = encoded(&[(b"content-length", b"1"), (b"host", b"a"), (b"te", b"trailers"), (b"x", b"y")]);
    let (_, notes, calls) = run(&call_raw(b"service", &encoded(&headers), b"", &trailers, 1));
    assert_eq!(notes, [made(1)]);
    assert_eq!(listed(&calls[0].head.fields), [(&b"x"[..], &b"y"[..])]);
    assert_eq!(calls[0].head.authority(), b"a");
    assert_eq!(listed(&calls[0].trailers), [(&b"x"[..], &b"y"[..])]);
}

#[test]
fn host_stands_for_authority() {
    let (_, notes, calls) = run(&call(&[(b":method", b"GET"), (b":path", b"/"), (b"HOST", b"a:1")]));
    assert_eq!(notes, [made(1)]);
    assert_eq!(calls[0].head.authority(), b"a:1");
}

#[test]
fn what_a_filter_does_not_say_is_what_other_hosts_fill_in() {
    const EMPTY: List = &[(b":method", b""), (b":path", b""), (b":authority", b""), (b"host", b""), (b":scheme", b"")];
    for headers in [&[], EMPTY] {
        let (_, notes, calls) = run(&call(headers));
        assert_eq!(notes, [made(1)]);
        let head = &calls[0].head;
        assert_eq!((head.method.as_str(), head.target(), head.authority()), ("GET", &b"/"[..], &b"service"[..]));
        assert_eq!(calls[0].scheme, Scheme::Http);
    }
    let (_, _, calls) = run(&call(&[(b":authority", b""), (b"host", b"b")]));
    assert_eq!(calls[0].head.authority(), b"b");
}

#[test]
fn a_path_is_what_the_guest_said() {
    for path in [&b"http://h.example/p"[..], b"x", b"?q", b"*", b"/a#b", b"/a<b>`\"", b"/?q=\"<>`#", b"/\xff\xc3\xa4"] {
        let (_, notes, calls) = run(&call(&[(b":path", path)]));
        assert_eq!(notes, [made(1)]);
        assert_eq!(calls[0].head.target(), path);
    }
}

#[test]
fn values_names_and_authorities_are_what_the_guest_said() {
    let odd = b"a\x01\x1f\x7f\"<>\xff b\t";
    let (_, notes, calls) = run(&call(&[(b":authority", odd), (b"x", odd), (b"N\"\xff", b"v")]));
    assert_eq!(notes, [made(1)]);
    assert_eq!(calls[0].head.authority(), odd);
    assert_eq!(listed(&calls[0].head.fields), [(&b"x"[..], &odd[..]), (b"n\"\xff", b"v")]);
}

#[test]
fn a_scheme_says_how_to_speak() {
    for (scheme, wanted) in
        [(&b"http"[..], Scheme::Http), (b"HTTP", Scheme::Http), (b"https", Scheme::Https), (b"h2c", Scheme::H2c)]
    {
        assert_eq!(run(&call(&[PLAIN, &[(b":scheme", scheme)]].concat())).2[0].scheme, wanted);
    }
    assert_eq!(run(&call(PLAIN)).2[0].scheme, Scheme::Http);
    let reason = fails(&call(&[PLAIN, &[(b":scheme", b"ftp")]].concat()));
    assert_eq!(reason, "\":scheme\" is \"ftp\", but must be \"http\", \"https\" or \"h2c\"");
}

#[test]
fn no_timeout_is_a_minute() {
    let (_, _, calls) = run(&call_raw(b"service", &encoded(PLAIN), b"", b"", 0));
    assert_eq!(calls[0].timeout, Duration::from_secs(60));
}

// A status is what filters take for a mistake of their own; some let the request pass then.
#[test]
fn what_cannot_be_sent_is_a_call_that_fails() {
    for (headers, reason) in [
        (vec![(&b":method"[..], &b"G T"[..])], "\"G T\" is no valid \":method\""),
        (vec![(b":method", b"CONNECT")], "\"CONNECT\" is no valid \":method\""),
        (vec![(b":authority", b"a\r\nx: y")], "\"a\r\nx: y\" is no valid \":authority\""),
        (vec![(b":path", b"/"), (b":path", b"/")], "it has more than one \":path\""),
        (vec![(b":protocol", b"websocket")], "\":protocol\" is no valid name of a header"),
        (vec![(b"", b"x")], "\"\" is no valid name of a header"),
        (vec![(b"a b", b"x")], "\"a b\" is no valid name of a header"),
        (vec![(b"x", b"a\nb")], "the header \"x\" has a value that cannot be sent"),
        (vec![(b"x", b"a\0b")], "the header \"x\" has a value that cannot be sent"),
    ] {
        assert_eq!(fails(&call(&headers)), reason);
    }
    for (trailer, reason) in [
        ((&b":status"[..], &b"1"[..]), "\":status\" is no valid name of a trailer"),
        ((b"x", b"\n"), "the trailer \"x\" has a value that cannot be sent"),
    ] {
        assert_eq!(fails(&call_raw(b"service", &encoded(PLAIN), b"", &encoded(&[trailer]), 1)), reason);
    }
}

#[test]
fn what_is_not_encoded_as_the_abi_says_is_a_bad_argument_that_the_log_explains() {
    for (headers, trailers, reason) in [
        (&b"\x01\0\0\0"[..], &b""[..], "its headers are not encoded as the ABI says"),
        (&encoded(PLAIN)[..33], b"", "its headers are not encoded as the ABI says"),
        (&encoded(PLAIN), b"\x01\0\0\0", "its trailers are not encoded as the ABI says"),
    ] {
        let (world, notes, calls) = run(&call_raw(b"service", headers, b"", trailers, 1));
        assert_eq!(notes, [not_made(Status::BadArgument)], "{reason}");
        assert!(calls.is_empty(), "{reason}");
        let logged = world.host.logged(LogLevel::Error);
        assert_eq!(logged, [format!("call to \"service\" is not made: {reason}")]);
    }
}

#[test]
fn a_service_that_is_not_there_is_a_bad_argument_whatever_the_call_says() {
    let (_, notes, calls) = run(&call_raw(b"else", &encoded(&[(b":path", b"/a b")]), b"", b"", 1));
    assert_eq!(notes, [not_made(Status::BadArgument)]);
    assert!(calls.is_empty());
}

#[test]
fn calls_that_cannot_be_sent_are_bounded_like_others() {
    let vm = VmConfig { max_calls: 1, ..VmConfig::default() };
    let bad = call(&[(b":path", b"/a b")]);
    let mut world =
        Guest::on_request(&[&*bad, &*bad].concat()).start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["call 0 1 10 -1"]);
}

#[test]
fn a_call_is_known_by_the_streams_that_it_was_made_for_while_they_live() {
    let mut world = Guest::on_request(&call(PLAIN)).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let token = StreamToken(world.token(id));
    assert_eq!(world.vm.streams_of_call(CallId(1)).collect::<Vec<_>>(), [token]);
    assert!(world.vm.waits_for_calls(id));
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert_eq!((world.vm.streams_of_call(CallId(1)).count(), world.vm.waits_for_calls(id)), (0, false));
    world.request_headers(id).unwrap();
    world.end(id).unwrap();
    assert_eq!(world.vm.streams_of_call(CallId(2)).count(), 0);
}

#[test]
fn a_call_has_a_thousand_headers_at_most() {
    for (more, wanted) in [(997, true), (998, false)] {
        let mut list = vec![(&b"a"[..], &b""[..]); more];
        list.extend(PLAIN);
        let headers = encoded(&list);
        let guest = Guest::on_request(&format!(
            "(note \"call\" (call $proxy_http_call (text \"service\") (i32.const 0x10000) (i32.const {})
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0x100)))",
            headers.len()
        ));
        let mut world = guest.and(&format!("(data (i32.const 0x10000) \"{}\")", wat_bytes(&headers))).start();
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), ["call 0"]);
        match (wanted, &world.vm.take_calls()[..]) {
            (true, [CallCommand::Http(_)]) => {}
            (false, [CallCommand::Unsendable(call)]) => {
                assert_eq!(call.reason, "it has 1001 headers, and may have 1000");
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_unknown_service_is_a_bad_argument_and_the_log_says_what_to_do() {
    for (target, reason) in [
        (&b"else"[..], "there is no such service; declare an \"upstream\" of this name, or write host:port"),
        (b"", "it has no name"),
    ] {
        let (world, notes, calls) = run(&call_raw(target, &encoded(PLAIN), b"", b"", 1));
        assert_eq!(notes, [not_made(Status::BadArgument)]);
        assert!(calls.is_empty());
        let target = String::from_utf8_lossy(target);
        assert_eq!(world.host.logged(LogLevel::Error), [format!("call to \"{target}\" is not made: {reason}")]);
    }
}

#[test]
fn complaints_are_written_once_a_minute() {
    let mut world = Guest::on_request(&call_raw(b"else", &encoded(PLAIN), b"", b"", 1)).start();
    let id = world.stream();
    for (now, complaints) in [(0, 1), (59, 1), (61, 2)] {
        world.host.now = now * 1_000_000_000;
        world.request_headers(id).unwrap();
        assert_eq!(world.host.logged(LogLevel::Error).len(), complaints);
    }
}

#[test]
fn calls_in_flight_are_bounded() {
    let guest = Guest::on_request(&call(PLAIN)).noting("on_http_call_response", 5, "");
    let vm = VmConfig { max_calls: 2, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    for wanted in [made(1), made(2), not_made(Status::InternalFailure)] {
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), [wanted]);
    }
    assert_eq!(
        world.host.logged(LogLevel::Error),
        ["call to \"service\" is not made: 2 calls of this filter are in flight already; see \"wasm_max_calls\""]
    );
    assert_eq!(world.vm.take_calls().len(), 2);
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    world.notes();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [made(3)]);
}

#[test]
fn the_bytes_of_calls_in_flight_are_bounded_by_the_guests_memory() {
    // Two pages; a call takes one page of body, and its headers.
    let headers = encoded(PLAIN);
    let guest = Guest::on_request(&format!(
        "(note \"call\" (call $proxy_http_call (text \"service\") (text \"{}\") (i32.const 0) (i32.const 0x10000)
            (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0x100)))",
        wat_bytes(&headers)
    ));
    let vm = VmConfig { limits: InstanceLimits { memory: 2 << 16, pooled: false }, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["call 0 10"]);
    let logged = world.host.logged(LogLevel::Error);
    assert!(
        logged[0].contains("the calls of this filter in flight would hold more than 131072; see \"wasm_memory_limit\""),
        "{logged:?}"
    );
    // An answer makes room, also for a guest that does not want it.
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["call 0"]);
}

/// A guest that makes a call in each request, and reads the answer: status of each read, then what it read.
fn reading() -> Guest {
    let log = "(drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204))))";
    let map = |map| {
        format!(
            "(note \"pairs\" (call $proxy_get_header_map_pairs (i32.const {map}) (i32.const 0x200) (i32.const 0x204)))
             (note \"size\" (call $proxy_get_header_map_size (i32.const {map}) (i32.const 0x208)))
             (note \"size\" (i32.sub (i32.load (i32.const 0x208)) (i32.load (i32.const 0x204))))
             (note \"add\" (call $proxy_add_header_map_value (i32.const {map}) (text \"a\") (text \"b\")))
             (note \"set\" (call $proxy_set_header_map_pairs (i32.const {map}) (i32.const 0) (i32.const 0)))
             (note \"remove\" (call $proxy_remove_header_map_value (i32.const {map}) (text \"a\")))
             (note \"replace\" (call $proxy_replace_header_map_value (i32.const {map}) (text \"a\") (text \"b\")))"
        )
    };
    let read = format!(
        "(note \"value\" (call $proxy_get_header_map_value
            (i32.const 6) (text \":Status\") (i32.const 0x200) (i32.const 0x204)))
         (if (i32.eqz (i32.load (i32.const 0x200))) (then) (else {log}))
         {} {}
         (note \"body\" (call $proxy_get_buffer_bytes
            (i32.const 4) (i32.const 0) (i32.const -1) (i32.const 0x200) (i32.const 0x204)))
         {log}
         (note \"body\" (call $proxy_set_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 0) (text \"new\")))
         (note \"status\" (call $proxy_get_status (i32.const 0x208) (i32.const 0x200) (i32.const 0x204)))
         (note \"status\" (i32.load (i32.const 0x208)))
         {log}",
        map(6),
        map(7)
    );
    Guest::on_request(&call(PLAIN))
        .and(
            "(func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32)
                (note \"told\" (local.get 0)) (note \"told\" (local.get 1)) (note \"told\" (local.get 2))
                (note \"told\" (local.get 3)) (note \"told\" (local.get 4)) (call $read))",
        )
        .and(&format!("(func $read {read})"))
        .and("(func (export \"proxy_on_tick\") (param i32) (call $read))")
}

const READ_ONLY: [&str; 4] = ["add 2", "set 2", "remove 2", "replace 2"];

fn with_read_only(first: &[&str], second: &[&str], last: &[&str]) -> Vec<String> {
    [first, &READ_ONLY, second, &READ_ONLY, last].concat().into_iter().map(str::to_owned).collect()
}

#[test]
fn an_answer_is_told_once_and_read_in_its_callback() {
    let mut world = reading().start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.notes();
    let answer = HttpAnswer {
        headers: pairs(&[(b":status", b"200"), (b"a", b"b")]),
        body: b"the body".to_vec(),
        trailers: pairs(&[(b"c", b"d")]),
    };
    world.host.selected = None;
    world.vm.on_http_call_response(CallId(1), Ok(answer), &mut world.host).unwrap();
    let root = world.root;
    let told = format!("told {root} 1 2 8 1");
    let wanted = with_read_only(
        &[&told, "value 0", "pairs 0", "size 0 0"],
        &["pairs 0", "size 0 0"],
        &["body 0 2", "status 0 0"],
    );
    assert_eq!(world.notes(), wanted);
    assert_eq!(world.host.logged(LogLevel::Info), ["200", "the body", ""]);
    assert!(!world.vm.has_call(CallId(1)));

    // Nothing of it is left in the next callback, and it is not told again.
    world.host.entries.clear();
    world.vm.on_tick(root, &mut world.host).unwrap();
    let wanted =
        with_read_only(&["value 1", "pairs 1", "size 1 0"], &["pairs 1", "size 1 0"], &["body 1 2", "status 0 0"]);
    let mut notes = world.notes();
    // What was left in memory is of no interest.
    notes.iter_mut().filter(|note| note.starts_with("size")).for_each(|note| *note = "size 1 0".into());
    assert_eq!(notes, wanted);
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert!(world.notes().is_empty());
}

#[test]
fn a_failed_call_has_no_headers_and_a_status() {
    let mut world = reading().start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.notes();
    let failure = CallFailure { reason: "connection refused".into() };
    world.vm.on_http_call_response(CallId(1), Err(failure), &mut world.host).unwrap();
    let told = format!("told {} 1 0 0 0", world.root);
    let wanted = with_read_only(
        &[&told, "value 1", "pairs 0", "size 0 0"],
        &["pairs 0", "size 0 0"],
        &["body 0 2", "status 0 11"],
    );
    assert_eq!(world.notes(), wanted);
    assert_eq!(world.host.logged(LogLevel::Info), ["", "connection refused"]);
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes().last().unwrap(), "status 0 0");
}

#[test]
fn the_answer_can_be_read_whichever_context_is_effective() {
    let guest = Guest::on_request(&call(PLAIN)).and(
        "(func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32)
            (drop (call $proxy_set_effective_context (i32.const 2)))
            (note \"answer\" (call $proxy_get_header_map_value
                (i32.const 6) (text \":status\") (i32.const 0x200) (i32.const 0x204)))
            (note \"request\" (call $proxy_get_header_map_value
                (i32.const 0) (text \":path\") (i32.const 0x200) (i32.const 0x204)))
            (note \"continue\" (call $proxy_continue_stream (i32.const 0))))",
    );
    let mut world = guest.start();
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[(":path", "/")]);
    let id = world.stream_of(stream);
    world.request_headers(id).unwrap();
    world.notes();
    world.host.selected = None;
    let answer = HttpAnswer { headers: pairs(&[(b":status", b"200")]), ..HttpAnswer::default() };
    world.vm.on_http_call_response(CallId(1), Ok(answer), &mut world.host).unwrap();
    assert_eq!(world.notes(), ["answer 0", "request 0", "continue 0"]);
    assert_eq!(world.host_of(id).continued.len(), 1);
    assert_eq!(world.host.selected, None, "the host is about the callback's own context again");
}

#[test]
fn a_callback_about_a_call_can_make_the_next_one() {
    let guest = Guest::on_request(&call(PLAIN))
        .and(&format!("(func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32) {})", call(PLAIN)));
    let vm = VmConfig { max_calls: 1, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    for last in 1..4 {
        assert_eq!(world.notes(), [made(last)]);
        let calls = world.vm.take_calls();
        assert_eq!(calls.iter().map(|call| call.call().0).collect::<Vec<_>>(), [last]);
        world.vm.on_http_call_response(CallId(last), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    }
}

#[test]
fn nobody_is_told_of_a_call_that_is_not_there() {
    let mut world = reading().start();
    world.vm.on_http_call_response(CallId(7), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert!(world.notes().is_empty());
    assert!(!world.vm.has_call(CallId(7)));
}

#[test]
fn a_stream_that_has_gone_does_not_take_its_calls_with_it() {
    let mut world = Guest::on_request(&call(PLAIN)).noting("on_http_call_response", 5, "").start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.end(id).unwrap();
    world.notes();
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert_eq!(world.notes(), [format!("on_http_call_response {} 1 0 0 0", world.root)]);
}

#[test]
fn a_root_that_has_gone_takes_its_calls_with_it() {
    let guest = Guest::on_request(&call(PLAIN)).noting("on_http_call_response", 5, "");
    let guest = guest.and(&format!("(func (export \"proxy_on_delete\") (param i32) {})", call(PLAIN)));
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let other = world.vm.create_root(RootConfig::default(), &mut world.host).unwrap();
    world.vm.end_root(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["call 0 1 0 2"]);
    assert!(world.vm.take_calls().is_empty());
    assert!(!world.vm.has_call(CallId(1)) && !world.vm.has_call(CallId(2)));
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert!(world.notes().is_empty());
    world.vm.end_root(other, &mut world.host).unwrap();
}

#[test]
fn a_callback_that_traps_has_asked_for_nothing() {
    let mut world = Guest::on_request(&format!("{} unreachable", call(PLAIN))).start();
    let id = world.stream();
    world.request_headers(id).unwrap_err();
    assert_eq!(world.notes(), [made(1)]);
    assert!(world.vm.take_calls().is_empty());
    assert!(!world.vm.has_call(CallId(1)));
}

#[test]
fn a_guest_that_has_no_filter_yet_cannot_call() {
    let guest = Guest::new(format!("(func (export \"_initialize\") {})", call(PLAIN)));
    let mut world = guest.start();
    assert_eq!(world.notes(), [not_made(Status::BadArgument)]);
    assert!(world.vm.take_calls().is_empty());
}

#[test]
fn an_answer_can_trap() {
    let guest = Guest::on_request(&call(PLAIN))
        .and("(func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32) unreachable)");
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let err = world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap_err();
    assert!(err.to_string().starts_with("proxy_on_http_call_response trapped in context 1: "), "{err}");
    assert!(world.vm.is_dead());
}

#[test]
fn the_number_of_a_context_is_not_given_out_again_while_a_call_of_it_is_in_flight() {
    let config = VmConfig { reuse_context_ids: true, ..VmConfig::default() };
    let mut world =
        Guest::on_request(&call(PLAIN)).start_with(config, RootConfig::default(), FakeHost::default()).unwrap();
    let first = world.stream();
    world.request_headers(first).unwrap();
    world.end(first).unwrap();
    let second = world.stream();
    assert_ne!(second, first, "the guest would take the answer for one to the second");
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert_eq!(world.stream(), first);
}

#[test]
fn a_name_that_is_longer_than_any_is_unknown() {
    let target = [b'x'; 5000];
    let mut world = Guest::on_request(&call_raw(&target, &encoded(PLAIN), b"", b"", 0)).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [not_made(Status::BadArgument)]);
    let said = world.host.logged(LogLevel::Error);
    assert!(said[0].ends_with("is not made: its name has 5000 bytes, more than 4096"), "{said:?}");
}

#[test]
fn a_call_belongs_to_a_stream_when_it_was_made_for_one_or_in_a_callback_about_such_a_call() {
    // The first call of each callback about a call makes another one, in the root context.
    let guest = Guest::on_request(&call(PLAIN)).and(&format!(
        "(func (export \"proxy_on_tick\") (param i32) {0})
         (func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32) {0})",
        call(PLAIN)
    ));
    let mut world = guest.start();
    let deliver = |world: &mut World, id: u32| {
        let failed = Err(CallFailure { reason: "no answer".into() });
        world.vm.on_http_call_response(CallId(id), failed, &mut world.host).unwrap();
        world.vm.last_call_was_for_stream()
    };
    let (root, id) = (world.root, world.stream());
    world.vm.on_tick(root, &mut world.host).unwrap();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["call 0 1 0 2"]);
    // 3 and 4 are those that follow.
    assert!(!deliver(&mut world, 1));
    assert!(deliver(&mut world, 2));
    assert_eq!(world.notes(), ["call 0 3 0 4"]);
    assert!(!deliver(&mut world, 3));
    assert!(deliver(&mut world, 4));
    // A tick after a callback about a stream's call is about no stream.
    world.vm.on_tick(root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["call 0 5 0 6 0 7"]);
    assert!(!deliver(&mut world, 7));
}
