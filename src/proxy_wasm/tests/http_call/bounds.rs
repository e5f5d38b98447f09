//! Calls that there cannot be, or not so many of.

use super::*;

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
