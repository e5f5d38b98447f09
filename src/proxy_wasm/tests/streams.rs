//! proxy_continue_stream and proxy_close_stream.

use super::support::Guest;
use crate::proxy_wasm::types::StreamType;

fn run(calls: &str) -> (Vec<StreamType>, Vec<StreamType>) {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let stream = world.host_of(id);
    (std::mem::take(&mut stream.continued), std::mem::take(&mut stream.closed))
}

const ALL: [StreamType; 4] = [StreamType::Request, StreamType::Response, StreamType::Downstream, StreamType::Upstream];

#[test]
fn each_direction_can_be_resumed_and_closed() {
    for direction in ALL {
        let number = direction as u32;
        let calls = format!("(drop (call $proxy_continue_stream (i32.const {number})))");
        assert_eq!(run(&calls), (vec![direction], vec![]));
        let calls = format!("(drop (call $proxy_close_stream (i32.const {number})))");
        assert_eq!(run(&calls), (vec![], vec![direction]));
    }
}

#[test]
fn the_older_names_resume_one_direction_each() {
    let calls = "(drop (call $proxy_continue_request)) (drop (call $proxy_continue_response))";
    assert_eq!(run(calls).0, [StreamType::Request, StreamType::Response]);
}

#[test]
fn the_older_names_need_no_result() {
    let guest = Guest::on_request("(call $proxy)").import("(import \"env\" \"proxy_continue_request\" (func $proxy))");
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host_of(id).continued, [StreamType::Request]);
}
