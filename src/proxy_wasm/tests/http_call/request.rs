//! What the embedder gets of a call.

use super::*;

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
