//! What the guest is told of an answer.

use super::*;

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
