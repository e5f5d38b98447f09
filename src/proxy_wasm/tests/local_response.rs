//! proxy_send_local_response: what reaches the host, and what does not.

use super::support::{World, probe, probing};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::host::LocalResponse;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::{LogLevel, Status};

const DATA: &[(u32, &[u8])] =
    &[(0x1000, b"why"), (0x1100, b"body\xff"), (0x1200, b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc\0")];

fn args(status: u32, grpc_status: i32) -> [u64; 8] {
    [u64::from(status), 0x1000, 3, 0x1100, 5, 0x1200, 17, u64::from(grpc_status as u32)]
}

fn sent(function: &str, status: u32, grpc_status: i32) -> Vec<LocalResponse> {
    let mut world = probing(function, &args(status, grpc_status), DATA).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    std::mem::take(&mut world.host_of(id).responses)
}

fn errors(world: &World) -> Vec<&[u8]> {
    let entries = world.host.entries.iter();
    entries.filter(|(level, _)| *level == LogLevel::Error).map(|(_, line)| &line[..]).collect()
}

#[test]
fn all_parts_reach_the_host() {
    let mut headers = Pairs::default();
    headers.push(b"a", b"bc");
    let wanted =
        LocalResponse { status: 418, details: b"why".to_vec(), body: b"body\xff".to_vec(), headers, grpc_status: None };
    assert_eq!(sent("proxy_send_local_response", 418, -1), std::slice::from_ref(&wanted));
    assert_eq!(sent("proxy_send_http_response", 418, -1), [wanted]);
}

#[test]
fn a_grpc_status_is_0_to_16() {
    for (given, wanted) in [(0, Some(0)), (16, Some(16)), (17, None), (-1, None)] {
        assert_eq!(sent("proxy_send_local_response", 200, given)[0].grpc_status, wanted, "{given}");
    }
}

#[test]
fn a_status_that_no_response_has_is_500() {
    for status in [0, 1, 99, 100, 101, 199, 1000, u32::MAX] {
        let mut world = probing("proxy_send_local_response", &args(status, -1), DATA).start();
        let id = world.stream();
        world.request_headers(id).unwrap();
        let responses = std::mem::take(&mut world.host_of(id).responses);
        assert_eq!(responses.len(), 1, "{status}: it may be what refuses the request");
        let LocalResponse { status: sent, details, body, headers, .. } = &responses[0];
        assert_eq!(
            (*sent, &details[..], &body[..], headers.len()),
            (500, &b"why"[..], &b"body\xff"[..], 1),
            "{status}"
        );
        let line = format!("a local response has the status {status}, which is none of a response; it goes with 500");
        assert_eq!(errors(&world), [line.as_bytes()]);
        let answer = probe(FakeStream::default(), "proxy_send_local_response", &args(status, -1), DATA);
        assert_eq!(answer.status, Status::Ok as u32, "{status}");
    }
    for status in [200, 204, 304, 599, 999] {
        assert_eq!(sent("proxy_send_local_response", status, -1)[0].status, status);
    }
}

#[test]
fn malformed_headers_are_left_out() {
    for len in [1, 16] {
        let mut args = args(403, -1);
        args[6] = len;
        let mut world = probing("proxy_send_local_response", &args, DATA).start();
        let id = world.stream();
        world.request_headers(id).unwrap();
        let responses = std::mem::take(&mut world.host_of(id).responses);
        assert_eq!(responses.len(), 1, "it may be what refuses the request");
        assert_eq!((responses[0].status, &responses[0].body[..]), (403, &b"body\xff"[..]));
        assert!(responses[0].headers.is_empty());
        assert_eq!(errors(&world).len(), 1);
        let answer = probe(FakeStream::default(), "proxy_send_local_response", &args, DATA);
        assert_eq!(answer.status, Status::Ok as u32);
    }
}

#[test]
fn everything_but_the_status_may_be_missing() {
    let mut world = probing("proxy_send_local_response", &[204, 0, 0, 0, 0, 0, 0, 0xffff_ffff], &[]).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host_of(id).responses, [LocalResponse { status: 204, ..LocalResponse::default() }]);
}
