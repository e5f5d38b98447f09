use super::{Action, On, Stage, Stream};
use crate::flow::Hold;

#[test]
fn trailers_pass_the_stages_in_order_and_end_the_stream() {
    let stream = Stream::new(2);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.trailers();
    assert_eq!(stream.seen(), "0 trailers, 1 trailers, out \"\" end");
}

#[test]
fn filters_without_a_callback_about_trailers_are_passed_by() {
    let stream = Stream::of([Stage::new(0, true, false), Stage::new(1, true, true)]);
    stream.headers();
    stream.seen();
    stream.trailers();
    assert_eq!(stream.seen(), "1 trailers, out \"\" end");
}

#[test]
fn trailers_release_a_held_body_when_the_filter_lets_them_go() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.trailers();
    assert_eq!(stream.seen(), "0 trailers, 1 \"ab\", out \"ab\" flush, 1 trailers, out \"\" end");
}

#[test]
fn trailers_release_a_body_that_a_filter_holds_who_does_not_look_at_them() {
    let stream = Stream::of([Stage::new(0, true, false)]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.trailers();
    assert_eq!(stream.seen(), "out \"ab\" flush, out \"\" end");
}

#[test]
fn a_filter_holds_trailers_and_the_body_with_them() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.answers(0, On::Trailers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"ab\", 0 trailers");
    assert_eq!(stream.flow.hold_of(0), Hold::Trailers);
    assert!(stream.flow.waits_for_filter());
    assert_eq!(stream.body(0).as_deref(), Some("ab"));
    stream.resume(0);
    assert_eq!(stream.seen(), "1 \"ab\", out \"ab\" flush, 1 trailers, out \"\" end");
}

#[test]
fn a_filter_holds_trailers_behind_a_body_that_has_passed() {
    let stream = Stream::new(2);
    stream.answers(1, On::Trailers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.trailers();
    stream.resume(1);
    assert_eq!(stream.seen(), "0 trailers, 1 trailers, out \"\" end");
}

#[test]
fn trailers_release_headers_that_wait_for_the_body() {
    let stream = Stream::new(2);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.trailers();
    assert_eq!(stream.seen(), "0 trailers, 1 headers, passed, 1 \"ab\", out \"ab\" flush, 1 trailers, out \"\" end");
}

#[test]
fn a_filter_that_does_not_look_at_trailers_goes_on_holding_headers_when_they_come() {
    let stream = Stream::of([Stage::new(0, true, false), Stage::new(1, true, true)]);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(stream.seen(), "0 headers, 0 \"ab\"");
    // Nothing more will come that could make it go on.
    assert!(stream.flow.waits_for_filter());
    stream.resume(0);
    assert_eq!(stream.seen(), "1 headers, passed, 1 \"ab\", out \"ab\" flush, 1 trailers, out \"\" end");
}

#[test]
fn a_filter_that_holds_headers_and_trailers_has_seen_what_is_between() {
    let stream = Stream::new(2);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.answers(0, On::Trailers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(stream.seen(), "0 headers, 0 \"ab\", 0 trailers");
    assert!(stream.flow.waits_for_filter());
    assert_eq!(stream.body(0).as_deref(), Some("ab"));
    stream.resume(0);
    assert_eq!(stream.seen(), "1 headers, passed, 1 \"ab\", out \"ab\" flush, 1 trailers, out \"\" end");
}
