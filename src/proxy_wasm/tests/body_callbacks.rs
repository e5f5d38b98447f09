//! on_request_body, on_response_body and the callbacks about trailers: arguments, and what their result means.

use super::support::Guest;
use crate::proxy_wasm::types::Action;

#[test]
fn a_body_callback_gets_context_size_and_end_of_stream() {
    let mut world = Guest::new("")
        .noting("on_request_body", 3, "(i32.const 0)")
        .noting("on_response_body", 3, "(i32.const 0)")
        .start();
    let id = world.stream();
    world.vm.on_request_body(id, 11, false, &mut world.host).unwrap();
    world.vm.on_response_body(id, 0, true, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["on_request_body 2 11 0", "on_response_body 2 0 1"]);
}

#[test]
fn a_trailers_callback_gets_context_and_count() {
    let mut world = Guest::new("")
        .noting("on_request_trailers", 2, "(i32.const 0)")
        .noting("on_response_trailers", 2, "(i32.const 0)")
        .start();
    let id = world.stream();
    world.vm.on_request_trailers(id, 3, &mut world.host).unwrap();
    world.vm.on_response_trailers(id, 4, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["on_request_trailers 2 3", "on_response_trailers 2 4"]);
}

#[test]
fn an_answer_is_an_action_and_unknown_ones_pause() {
    for (number, body, trailers) in [
        (0, Action::Continue, Action::Continue),
        (1, Action::Pause, Action::Pause),
        (2, Action::Pause, Action::Pause),
        (3, Action::PauseAndDrop, Action::Pause),
        (4, Action::Pause, Action::Pause),
        (-1, Action::Pause, Action::Pause),
    ] {
        let result = format!("(i32.const {number})");
        let mut world = Guest::new("")
            .noting("on_request_body", 3, &result)
            .noting("on_response_body", 3, &result)
            .noting("on_request_trailers", 2, &result)
            .noting("on_response_trailers", 2, &result)
            .start();
        let id = world.stream();
        assert_eq!(world.vm.on_request_body(id, 1, false, &mut world.host).unwrap(), body, "{number}");
        assert_eq!(world.vm.on_response_body(id, 1, false, &mut world.host).unwrap(), body, "{number}");
        assert_eq!(world.vm.on_request_trailers(id, 1, &mut world.host).unwrap(), trailers, "{number}");
        assert_eq!(world.vm.on_response_trailers(id, 1, &mut world.host).unwrap(), trailers, "{number}");
    }
}

#[test]
fn a_guest_without_the_callbacks_continues() {
    let mut world = Guest::new("").start();
    let id = world.stream();
    assert_eq!(world.vm.on_request_body(id, 1, true, &mut world.host).unwrap(), Action::Continue);
    assert_eq!(world.vm.on_response_trailers(id, 1, &mut world.host).unwrap(), Action::Continue);
}
