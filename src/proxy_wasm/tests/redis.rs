//! Redis commands of Higress plugins: what a guest asks for as the embedder gets it, and what the guest is told.

use std::time::Duration;

use super::support::{Guest, World, wat_bytes};
use crate::proxy_wasm::calls::{CallCommand, CallFailure, CallId, RedisCall};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::FakeHost;
use crate::proxy_wasm::ids::StreamToken;
use crate::proxy_wasm::types::{LogLevel, Status};
use crate::redis::command;

fn init(name: &str, username: &str, password: &str, timeout: u32) -> String {
    format!(
        "(note \"init\" (call $proxy_redis_init (text \"{name}\") (text \"{username}\") (text \"{password}\")
            (i32.const {timeout})))"
    )
}

fn call_raw(name: &str, query: &[u8]) -> String {
    format!(
        "(i32.store (i32.const 0x100) (i32.const -1))
         (note \"call\" (call $proxy_redis_call (text \"{name}\") (text \"{}\") (i32.const 0x100)))
         (note \"call\" (i32.load (i32.const 0x100)))",
        wat_bytes(query)
    )
}

fn call(name: &str) -> String {
    call_raw(name, &command(&[b"GET", b"key"]))
}

fn run(calls: &str) -> (World, Vec<String>, Vec<RedisCall>) {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let notes = world.notes();
    let calls = world.vm.take_calls().into_iter().map(|command| match command {
        CallCommand::Redis(call) => call,
        other => panic!("{other:?}"),
    });
    let calls = calls.collect();
    (world, notes, calls)
}

#[test]
fn a_call_knows_what_was_said_of_the_service() {
    let (_, notes, calls) = run(&[init("service?db=3&x=y", "user", "pass", 250), call("service")].concat());
    assert_eq!(notes, ["init 0", "call 0 1"]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.id, call.stream), (CallId(1), Some(StreamToken(100))));
    assert_eq!(call.target, b"service");
    assert_eq!((&call.username[..], &call.password[..]), (&b"user"[..], &b"pass"[..]));
    assert_eq!((call.database, call.timeout), (Some(3), Duration::from_millis(250)));
    assert_eq!((&call.query, call.exclusive), (&command(&[b"GET", b"key"]), false));
}

#[test]
fn parameters_may_be_said_again_and_mean_nothing_then() {
    let (_, notes, calls) = run(&[init("service?db=3", "", "", 1), call("service?db=4")].concat());
    assert_eq!(notes, ["init 0", "call 0 1"]);
    assert_eq!((&calls[0].target[..], calls[0].database), (&b"service"[..], Some(3)));
}

#[test]
fn a_service_that_was_not_set_up_is_called_all_the_same() {
    let (_, notes, calls) = run(&call("service"));
    assert_eq!(notes, ["call 0 1"]);
    assert!(calls[0].username.is_empty() && calls[0].password.is_empty());
    assert_eq!((calls[0].database, calls[0].timeout), (None, Duration::from_secs(1)));
}

#[test]
fn what_was_said_last_counts_for_the_calls_after_it() {
    let steps =
        [init("service", "", "one", 1), call("service"), init("service?db=1", "", "two", 0), call("service")].concat();
    let (_, _, calls) = run(&steps);
    assert_eq!((&calls[0].password[..], calls[0].database), (&b"one"[..], None));
    assert_eq!((&calls[1].password[..], calls[1].database), (&b"two"[..], Some(1)));
    assert_eq!(calls[1].timeout, Duration::from_secs(60));
}

#[test]
fn what_cannot_be_set_up_is_a_bad_argument_that_the_log_explains() {
    let unknown = "there is no such service; declare an \"upstream\" of this name, or write host:port";
    for (name, shown, reason) in [
        ("else?db=1", "else", unknown),
        ("", "", "it has no name"),
        ("service?db=", "service", "\"db\" is \"\", but must be a number"),
        ("service?db=-1", "service", "\"db\" is \"-1\", but must be a number"),
        ("service?x=y&db=99999999999", "service", "\"db\" is \"99999999999\", but must be a number"),
    ] {
        let (world, notes, _) = run(&init(name, "", "", 1));
        assert_eq!(notes, ["init 2"], "{name}");
        let wanted = format!("Redis service \"{shown}\" is not set up: {reason}");
        assert_eq!(world.host.logged(LogLevel::Error), [wanted]);
    }
}

#[test]
fn what_is_not_one_command_with_one_reply_is_a_bad_argument() {
    let two = [command(&[b"PING"]), command(&[b"PING"])].concat();
    let malformed = "it is not one Redis command in the form of an array of byte strings";
    for (query, reason) in [
        (&b"PING\r\n"[..], malformed),
        (b"", malformed),
        (&two, malformed),
        (&command(&[b"SUBSCRIBE", b"a"]), "Redis answers this command with no reply, or with many"),
    ] {
        let (world, notes, calls) = run(&call_raw("service", query));
        assert_eq!(notes, ["call 2 -1"], "{reason}");
        assert!(calls.is_empty());
        let wanted = format!("call to \"service\" is not made: {reason}");
        assert_eq!(world.host.logged(LogLevel::Error), [wanted]);
    }
}

#[test]
fn a_command_about_the_connection_wants_one_for_itself() {
    assert!(run(&call_raw("service", &command(&[b"multi"]))).2[0].exclusive);
}

#[test]
fn an_unknown_service_is_a_bad_argument_and_one_call_too_many_an_internal_failure() {
    let (_, notes, calls) = run(&call("else"));
    assert_eq!((notes, calls.len()), (vec!["call 2 -1".to_owned()], 0));
    let vm = VmConfig { max_calls: 1, ..VmConfig::default() };
    let guest = Guest::on_request(&[call("service"), call("service")].concat());
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [format!("call 0 1 {} -1", Status::InternalFailure as u32)]);
}

#[test]
fn a_reply_is_told_once_and_read_in_its_callback() {
    let log = "(drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204))))";
    let guest = Guest::on_request(&[call("service"), call("service")].concat()).and(&format!(
        "(func (export \"proxy_on_redis_call_response\") (param i32 i32 i32 i32)
            (note \"told\" (local.get 0)) (note \"told\" (local.get 1))
            (note \"told\" (local.get 2)) (note \"told\" (local.get 3)) (call $see))
         (func (export \"proxy_on_tick\") (param i32) (call $see))
         (func $see
            (note \"buffer\" (call $proxy_get_buffer_bytes
                (i32.const 9) (i32.const 0) (i32.const -1) (i32.const 0x200) (i32.const 0x204)))
            (if (i32.load (i32.const 0x204)) (then {log}))
            (note \"status\" (call $proxy_get_status (i32.const 0x208) (i32.const 0x200) (i32.const 0x204)))
            (note \"status\" (i32.load (i32.const 0x208)))
            (if (i32.load (i32.const 0x204)) (then {log}))
            (i32.store (i32.const 0x204) (i32.const 0)))"
    ));
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.notes();
    let root = world.root;
    for _ in 0..2 {
        world.vm.on_redis_reply(CallId(1), Ok(b"$2\r\nhi\r\n".to_vec()), &mut world.host).unwrap();
    }
    let failure = CallFailure { reason: "refused".into() };
    world.vm.on_redis_reply(CallId(2), Err(failure), &mut world.host).unwrap();
    world.vm.on_tick(root, &mut world.host).unwrap();
    assert_eq!(
        world.notes(),
        [
            &format!("told {root} 1 0 8"),
            "buffer 0",
            "status 0 0",
            &format!("told {root} 2 1 0"),
            "buffer 0",
            "status 0 11",
            "buffer 1",
            "status 0 0",
        ]
    );
    assert_eq!(world.host.logged(LogLevel::Info), ["$2\r\nhi\r\n", "refused"]);
    assert!(!world.vm.has_call(CallId(1)) && !world.vm.has_call(CallId(2)));
}

#[test]
fn each_root_has_its_own_services() {
    let guest = Guest::new(format!(
        "(func (export \"proxy_on_configure\") (param $root i32) (param i32) (result i32)
            (if (i32.eq (local.get $root) (i32.const 1)) (then {})) (i32.const 1))
         (func (export \"proxy_on_tick\") (param i32) {})",
        init("service", "", "pass", 1),
        call("service")
    ));
    let mut world = guest.start();
    let other = world.vm.create_root(RootConfig::default(), &mut world.host).unwrap();
    for (root, wanted) in [(world.root, &b"pass"[..]), (other, b"")] {
        world.vm.on_tick(root, &mut world.host).unwrap();
        match &world.vm.take_calls()[..] {
            [CallCommand::Redis(call)] => assert_eq!(call.password, wanted),
            other => panic!("{other:?}"),
        }
    }
}
