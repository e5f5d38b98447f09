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

fn check_answers(abi: &'static str, answers: [(i32, Action); 6]) {
    for (number, action) in answers {
        let result = format!("(i32.const {number})");
        let guest = Guest::new("").abi(abi).noting("on_request_headers", 3, &result);
        let mut world = guest.noting("on_response_headers", 2, &result).start();
        let id = world.stream();
        assert_eq!(world.request_headers(id).unwrap(), action, "{abi}: {number}");
        assert_eq!(world.response_headers(id).unwrap(), action, "{abi}: {number}");
    }
}

/// 2 goes on: Envoy has no status for it any more, and takes the default.
#[test]
fn an_answer_is_an_action_and_unknown_ones_stop_everything() {
    for abi in ["0_1_0", "0_2_0", "0_2_1"] {
        let answers = [
            (0, Action::Continue),
            (1, Action::Pause),
            (2, Action::Continue),
            (3, Action::PauseAll),
            (4, Action::PauseAll),
            (-1, Action::PauseAll),
        ];
        check_answers(abi, answers);
    }
}

/// Plugins for Higress answer 1 to see the body, and 4 to see nothing.
#[test]
fn of_higress_a_pause_shows_the_body() {
    let answers = [
        (0, Action::Continue),
        (1, Action::PauseHeaders),
        (2, Action::Continue),
        (3, Action::PauseAll),
        (4, Action::PauseAll),
        (5, Action::PauseAll),
    ];
    check_answers("0_2_100", answers);
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
