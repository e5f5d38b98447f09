//! on_request_headers and on_response_headers: arguments, and what their result means.

use super::support::Guest;
use crate::proxy_wasm::callbacks::Callback;
use crate::proxy_wasm::types::Action;

#[test]
fn three_parameters_are_context_count_and_end_of_stream() {
    let mut world = Guest::new("")
        .noting("on_request_headers", 3, "(i32.const 0)")
        .noting("on_response_headers", 3, "(i32.const 0)")
        .start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.response_headers(id).unwrap();
    assert_eq!(world.notes(), ["on_request_headers 2 7 1", "on_response_headers 2 5 0"]);
}

/// The declared type decides, not the marker: SDKs carry the marker of one version and the types of another.
#[test]
fn two_parameters_are_context_and_count_under_any_marker() {
    for abi in ["0_1_0", "0_2_1"] {
        let guest = Guest::new("").abi(abi).noting("on_request_headers", 2, "(i32.const 0)");
        let mut world = guest.noting("on_response_headers", 2, "(i32.const 0)").start();
        let id = world.stream();
        world.request_headers(id).unwrap();
        world.response_headers(id).unwrap();
        assert_eq!(world.notes(), ["on_request_headers 2 7", "on_response_headers 2 5"], "{abi}");
    }
}

#[test]
fn an_answer_is_an_action_and_unknown_ones_stop_everything() {
    for (number, action) in [
        (0, Action::Continue),
        (1, Action::Pause),
        (2, Action::EndStream),
        (3, Action::PauseAll),
        (4, Action::PauseAll),
        (-1, Action::PauseAll),
    ] {
        let result = format!("(i32.const {number})");
        let guest = Guest::new("").noting("on_request_headers", 3, &result);
        let mut world = guest.noting("on_response_headers", 2, &result).start();
        let id = world.stream();
        assert_eq!(world.request_headers(id).unwrap(), action, "{number}");
        assert_eq!(world.response_headers(id).unwrap(), action, "{number}");
    }
}

#[test]
fn a_guest_without_the_callback_continues() {
    let mut world = Guest::new("").start();
    let id = world.stream();
    assert_eq!(world.request_headers(id).unwrap(), Action::Continue);
    assert_eq!(world.response_headers(id).unwrap(), Action::Continue);
}

#[test]
fn the_host_can_ask_which_callbacks_there_are() {
    let world = Guest::new("").noting("on_request_headers", 3, "(i32.const 0)").start();
    assert!(world.vm.has(Callback::OnRequestHeaders));
    assert!(!world.vm.has(Callback::OnResponseHeaders));
}
