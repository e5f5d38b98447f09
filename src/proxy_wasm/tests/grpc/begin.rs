//! How calls and streams begin, and what cannot be begun.

use super::*;

#[test]
fn a_call_is_what_the_guest_said() {
    let metadata = encoded(&[(b"Key", b"value"), (b"bytes-bin", b"AAEC"), (b"content-length", b"7")]);
    let (_, notes, commands) = run(&call(b"service", &metadata, 250));
    assert_eq!(notes, [begun(1)]);
    assert_eq!(commands.len(), 1);
    let call = grpc(&commands[0]);
    assert_eq!((call.id, call.stream), (CallId(1), Some(StreamToken(100))));
    assert_eq!((call.target.as_slice(), call.scheme), (&b"service"[..], Scheme::H2c));
    assert_eq!(call.head.authority(), b"service");
    assert_eq!(call.message.as_deref(), Some(&b"hello"[..]));
    assert_eq!(call.timeout, Some(Duration::from_millis(250)));
    assert_eq!((call.head.method.as_str(), call.head.target()), ("POST", &b"/s/m"[..]));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "250m"),
        ("key", "value"),
        ("bytes-bin", "AAEC"),
    ] {
        assert_eq!(call.head.fields.get(name), Some(value.as_bytes()), "{name}");
    }
    assert_eq!(call.head.fields.iter().count(), 5);
}

#[test]
fn a_stream_has_no_message_and_no_timeout() {
    let (_, notes, commands) = run(&stream(b"service", b""));
    assert_eq!(notes, [begun(1)]);
    let call = grpc(&commands[0]);
    assert_eq!((&call.message, call.timeout), (&None, None));
    assert_eq!(call.head.fields.get("grpc-timeout"), None);
}

#[test]
fn no_timeout_of_a_call_is_a_minute() {
    assert_eq!(grpc(&run(&call(b"service", b"", 0)).2[0]).timeout, Some(Duration::from_secs(60)));
}

#[test]
fn a_message_of_envoy_can_name_the_service() {
    // envoy_grpc { cluster_name: "service", authority: "a:1" }, timeout { seconds: 2 }, initial_metadata { "k": "v" }
    let service = b"\x0a\x0e\x0a\x07service\x12\x03a:1\x1a\x02\x08\x02\x2a\x06\x0a\x01k\x12\x01v";
    let (_, notes, commands) = run(&[call(service, b"", 0), call(service, b"", 100), stream(service, b"")].concat());
    assert_eq!(notes, ["begun 0 1 0 2 0 3"]);
    for (n, timeout) in [(0, Some(2000)), (1, Some(100)), (2, None)] {
        let call = grpc(&commands[n]);
        assert_eq!((call.target.as_slice(), call.head.authority()), (&b"service"[..], &b"a:1"[..]));
        assert_eq!(call.timeout, timeout.map(Duration::from_millis));
        assert_eq!(call.head.fields.get("k"), Some(&b"v"[..]));
    }
}

#[test]
fn metadata_can_say_authority_and_scheme() {
    for (metadata, authority, scheme) in [
        (vec![(&b":authority"[..], &b"a"[..]), (b"host", b"b")], &b"a"[..], Scheme::H2c),
        (vec![(b"host", b"b")], b"b", Scheme::H2c),
        (vec![(b":scheme", b"https")], b"service", Scheme::Https),
        (vec![(b":scheme", b"http")], b"service", Scheme::H2c),
        (vec![(b":authority", b""), (b"host", b""), (b":scheme", b"")], b"service", Scheme::H2c),
        (vec![(b":authority", b"a \"\xff")], b"a \"\xff", Scheme::H2c),
    ] {
        let (_, _, commands) = run(&stream(b"service", &encoded(&metadata)));
        let call = grpc(&commands[0]);
        assert_eq!((call.head.authority(), call.scheme), (authority, scheme));
        assert_eq!(call.head.fields.get("host"), None);
    }
}

#[test]
fn assembly_script_passes_no_metadata() {
    let guest = Guest::on_request(
        "(note \"begun\" (call $short_call (text \"service\") (text \"s\") (text \"m\") (text \"hello\")
            (i32.const 250) (i32.const 0x100)))
         (note \"begun\" (i32.load (i32.const 0x100)))
         (note \"begun\" (call $short_stream (text \"service\") (text \"s\") (text \"m\") (i32.const 0x100)))
         (note \"begun\" (i32.load (i32.const 0x100)))",
    )
    .import(
        "(import \"env\" \"proxy_grpc_call\"
            (func $short_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
         (import \"env\" \"proxy_grpc_stream\"
            (func $short_stream (param i32 i32 i32 i32 i32 i32 i32) (result i32)))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["begun 0 1 0 2"]);
    let commands = world.vm.take_calls();
    let call = grpc(&commands[0]);
    assert_eq!((call.head.target(), call.message.as_deref()), (&b"/s/m"[..], Some(&b"hello"[..])));
    assert_eq!(call.timeout, Some(Duration::from_millis(250)));
    assert_eq!((grpc(&commands[1]).head.target(), &grpc(&commands[1]).message), (&b"/s/m"[..], &None));
}

#[test]
fn what_cannot_be_begun_is_a_parse_failure_that_the_log_explains() {
    let unknown = "there is no such service; declare an \"upstream\" of this name, or write host:port";
    for (target, metadata, reason) in [
        (&b"else"[..], &b""[..], unknown),
        (b"else", &encoded(&[(b"x", b"\n")]), unknown),
        (b"service", b"\x01\0\0\0", "its metadata are not encoded as the ABI says"),
    ] {
        for calls in [call(target, metadata, 1), stream(target, metadata)] {
            let (world, notes, commands) = run(&calls);
            assert_eq!(notes, [format!("begun {} -1", Status::ParseFailure as u32)], "{reason}");
            assert!(commands.is_empty(), "{reason}");
            let target = String::from_utf8_lossy(target);
            let wanted = format!("call to \"{target}\" is not made: {reason}");
            assert_eq!(world.host.logged(LogLevel::Error), [wanted]);
        }
    }
}

/// Begins a call or a stream that has to fail, and answers why.
fn fails(calls: &str) -> String {
    let mut world = Guest::on_request(calls).noting("on_grpc_close", 3, "").start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes()[0], begun(1), "the guest is not told by a status");
    let commands = world.vm.take_calls();
    let [CallCommand::Unsendable(call), ..] = &commands[..] else { panic!("{commands:?}") };
    world.vm.on_unsendable(call.id, call.reason.clone(), &mut world.host).unwrap();
    assert_eq!(world.notes(), [format!("on_grpc_close {} 1 13", world.root)]);
    assert!(!world.vm.has_call(call.id));
    call.reason.clone()
}

#[test]
fn what_cannot_be_sent_is_a_call_that_fails() {
    for (metadata, reason) in [
        ((&b"a b"[..], &b"x"[..]), "\"a b\" is no valid name of a metadata entry"),
        ((b":path", b"/x"), "\":path\" is no valid name of a metadata entry"),
        ((b"x", b"\n"), "the metadata entry \"x\" has a value that cannot be sent"),
        ((b":authority", b"a\nb"), "\"a\nb\" is no valid \":authority\""),
        ((b":scheme", b"ftp"), "\":scheme\" is \"ftp\", but must be \"http\", \"https\" or \"h2c\""),
    ] {
        let metadata = encoded(&[metadata]);
        assert_eq!(fails(&call(b"service", &metadata, 1)), reason);
        assert_eq!(fails(&stream(b"service", &metadata)), reason);
    }
}

#[test]
fn what_cannot_be_sent_can_be_cancelled_before_it_fails() {
    let bad = stream(b"service", &encoded(&[(b"x", b"\n")]));
    let (world, notes, commands) = run(&[bad, send(1, "lost", 0), end("cancel", 1)].concat());
    assert_eq!(notes, [begun(1), "send 0".into(), "cancel 0".into()]);
    assert!(commands.is_empty(), "{commands:?}");
    assert!(!world.vm.has_call(CallId(1)));
}
