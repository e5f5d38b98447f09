//! Calls of HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::support::{FakeWorld, Running, Switch, function, plugin, settings};
use crate::extism::{HttpResponse, Instance, Plugin};

const ALLOWED: &str = r#"{"allowed_hosts": ["a.example", "::1"]}"#;

/// Its input is the request, and its output the body of the answer; `status` and `headers` tell the rest.
fn asking() -> Arc<Plugin> {
    let take_input = "(local.set $h (call $alloc (call $input_length)))
        (loop $next (if (i64.lt_u (local.get $n) (call $input_length)) (then
            (call $store_u8 (i64.add (local.get $h) (local.get $n)) (call $input_load_u8 (local.get $n)))
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br $next))))";
    let body = function("f", &format!("{take_input} (call $give (call $http_request (local.get $h) (i64.const 0)))"))
        + &function(
            "with_body",
            &format!("{take_input} (call $give (call $http_request (local.get $h) (call $block (text \"the body\"))))"),
        )
        + &function("status", "(call $number (i64.extend_i32_u (call $http_status_code)))")
        + &function("headers", "(call $give (call $http_headers))")
        + &function(
            "frees",
            &format!(
                "{take_input} (drop (call $http_request (local.get $h) (i64.const 0)))
                 (call $number (call $length (local.get $h)))"
            ),
        );
    plugin(&body)
}

fn running(manifest: &str) -> Running {
    let mut running = Running::start(&asking(), &settings(manifest));
    running.world.answer = Box::new(|_| {
        let mut headers = http::HeaderMap::new();
        for (name, value) in [("x-one", "1"), ("x-two", "a"), ("x-two", "b")] {
            headers.append(name, value.parse().unwrap());
        }
        Ok(HttpResponse { status: 404, headers, body: b"the answer".to_vec() })
    });
    running
}

fn error(running: &mut Running, request: &str) -> String {
    running.try_call("f", request.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_plugin_asks_and_is_answered() {
    let mut running = running(ALLOWED);
    assert_eq!(running.number("status"), 0);
    assert_eq!(running.call("headers", b""), b"{}");
    let request = br#"{"url": "http://a.example:81/x?y", "method": "put", "headers": {"A": "1"}}"#;
    assert_eq!(running.call("f", request), b"the answer");
    assert_eq!(running.number("status"), 404);
    assert_eq!(running.call("headers", b""), br#"{"x-one":"1","x-two":"a, b"}"#);
    let asked = running.world.requests.pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("PUT", "http://a.example:81/x?y"));
    assert_eq!((asked.headers["a"].as_bytes(), asked.body, asked.most_body), (&b"1"[..], None, 50 << 20));

    running.call("with_body", br#"{"url": "https://[::1]/"}"#);
    let asked = running.world.requests.pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.body.as_deref()), ("GET", Some(&b"the body"[..])));
    running.world.answer = Box::new(|_| Ok(HttpResponse::default()));
    assert_eq!(running.call("frees", br#"{"url": "http://a.example"}"#), [0; 8]);
}

#[test]
fn no_host_is_asked_that_is_not_allowed() {
    for manifest in ["{}", r#"{"allowed_hosts": []}"#, ALLOWED] {
        for host in ["b.example", "xa.example", "a.example.evil", "127.0.0.1", "[::2]"] {
            let mut running = running(manifest);
            let err = error(&mut running, &format!(r#"{{"url": "http://{host}/a.example"}}"#));
            let host = host.trim_matches(['[', ']']);
            let wanted =
                format!("f trapped: http_request: the host \"{host}\" is not among \"allowed_hosts\" of the manifest");
            assert!(err.starts_with(&wanted), "{err}");
            assert!(running.world.requests.is_empty());
        }
    }
}

#[test]
fn a_request_that_is_none_ends_the_plugin() {
    for request in ["", "[]", r#"{"url": 1}"#, r#"{"url": "http://user@a.example/"}"#, r#"{"url": "a.example"}"#] {
        let mut running = running(ALLOWED);
        let err = error(&mut running, request);
        assert!(err.starts_with("f trapped: http_request: "), "{err}");
        assert!(running.world.requests.is_empty());
    }
}

#[test]
fn no_answer_ends_the_plugin_and_says_why() {
    let mut running = running(ALLOWED);
    running.world.answer = Box::new(|_| Err("connection refused".into()));
    let err = error(&mut running, r#"{"url": "http://a.example/x"}"#);
    assert!(
        err.starts_with("f trapped: http_request: no answer to GET http://a.example/x: connection refused"),
        "{err}"
    );
}

#[test]
fn an_answer_has_a_largest_body() {
    let limited = r#"{"allowed_hosts": ["*"], "memory": {"max_http_response_bytes": 9}}"#;
    let mut running = running(limited);
    let err = error(&mut running, r#"{"url": "http://a.example/x"}"#);
    assert!(err.contains("has a body of more than 9 bytes (memory.max_http_response_bytes of the manifest)"), "{err}");
    assert_eq!(running.world.requests.pop().unwrap().most_body, 9);
}

#[test]
fn an_answer_without_a_body_has_the_handle_0() {
    let mut running = running(ALLOWED);
    running.world.answer = Box::new(|_| Ok(HttpResponse { status: 204, ..HttpResponse::default() }));
    assert_eq!(running.call("f", br#"{"url": "http://a.example/x"}"#), b"");
    assert_eq!(running.number("status"), 204);
}

#[test]
fn whoever_watches_ends_a_plugin_that_waits_for_an_answer() {
    let watch = Switch::on();
    let mut world = FakeWorld::default();
    let mut instance = Instance::start(&asking(), &settings(ALLOWED), watch.clone(), &mut world).unwrap();
    world.answer = Box::new(move |_| {
        watch.0.store(false, Ordering::SeqCst);
        Err("given up".into())
    });
    let err = instance.call("f", br#"{"url": "http://a.example/x"}"#, &mut world).unwrap_err();
    assert_eq!(err.to_string(), "f was stopped");
}

#[test]
fn the_time_of_the_manifest_holds_for_answers_too() {
    let mut running = running(r#"{"allowed_hosts": ["*"], "timeout_ms": 20}"#);
    running.world.answer = Box::new(|request| {
        std::thread::sleep(request.until.unwrap().saturating_duration_since(std::time::Instant::now()));
        Err("too late".into())
    });
    let err = error(&mut running, r#"{"url": "http://a.example/x"}"#);
    assert_eq!(err, "f was still running after 20 ms (timeout_ms of its manifest)");
}
