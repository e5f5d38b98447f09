use super::{Action, On, Part, Stage, Stream};
use crate::flow::{Hold, Marks};

#[test]
fn a_piece_that_nobody_holds_or_changes_passes_as_it_is() {
    let stream = Stream::new(2);
    stream.headers();
    stream.seen();
    let marks = Marks { last: false, flush: true, recycled: true };
    assert_eq!(stream.flow.data(&stream, 0, Part::Buffer("ab"), marks), Ok(()));
    stream.end("cd");
    assert_eq!(
        stream.seen(),
        "0 \"ab\", 1 \"ab\", out buffer \"ab\" flush, 0 \"cd\" end, 1 \"cd\" end, out buffer \"cd\" end"
    );
}

#[test]
fn held_pieces_are_shown_again_together_with_the_next() {
    for action in [Action::Pause, Action::PauseAll] {
        let stream = Stream::new(2);
        stream.answers(0, On::Body, [action, action, Action::Continue]);
        stream.headers();
        stream.seen();
        stream.data("a");
        assert_eq!(stream.flow.hold_of(0), Hold::Body, "{action:?}");
        assert!(!stream.flow.waits_for_filter());
        stream.data("b");
        stream.data("c");
        stream.end("d");
        assert_eq!(
            stream.seen(),
            "0 \"a\", 0 \"ab\", 0 \"abc\", 1 \"abc\", out \"abc\", 0 \"d\" end, 1 \"d\" end, out buffer \"d\" end",
            "{action:?}"
        );
    }
}

#[test]
fn the_action_about_headers_alone_holds_no_body() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::PauseHeaders]);
    stream.headers();
    stream.end("ab");
    assert_eq!(stream.seen(), "0 headers, 0 \"ab\" end, out buffer \"ab\" end");
}

#[test]
fn what_a_filter_drops_is_gone() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause, Action::PauseAndDrop, Action::Continue]);
    stream.headers();
    stream.seen();
    stream.data("a");
    stream.data("b");
    assert!(stream.flow.is_changed());
    assert_eq!(stream.flow.hold_of(0), Hold::Body);
    assert_eq!(stream.body(0).as_deref(), Some(""));
    stream.end("c");
    assert_eq!(stream.seen(), "0 \"a\", 0 \"ab\", 0 \"c\" end, 1 \"c\" end, out \"c\" end");
}

#[test]
fn the_end_outlives_the_bytes_that_a_filter_drops_with_it() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::PauseAndDrop]);
    stream.headers();
    stream.end("a");
    assert!(stream.flow.waits_for_filter());
    stream.resume(0);
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"a\" end, 1 \"\" end, out \"\" flush end");
}

#[test]
fn the_middle_one_holds_the_body() {
    let stream = Stream::new(3);
    stream.answers(1, On::Body, [Action::Pause, Action::Pause]);
    stream.headers();
    stream.seen();
    stream.data("a");
    stream.end("b");
    assert_eq!(stream.seen(), "0 \"a\", 1 \"a\", 0 \"b\" end, 1 \"ab\" end");
    assert_eq!(stream.flow.holder(), Some(1));
    stream.resume(1);
    assert_eq!(stream.seen(), "2 \"ab\" end, out \"ab\" flush end");
}

#[test]
fn the_end_is_worth_a_callback_and_an_empty_piece_is_not() {
    let stream = Stream::new(2);
    stream.headers();
    stream.seen();
    stream.data("");
    assert_eq!(stream.seen(), "out buffer \"\"");
    stream.end("");
    assert_eq!(stream.seen(), "0 \"\" end, 1 \"\" end, out buffer \"\" end");
}

#[test]
fn an_empty_piece_says_nothing_to_who_holds_the_body() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("a");
    stream.data("");
    assert_eq!(stream.seen(), "0 headers, 0 \"a\"");
    stream.end("");
    assert_eq!(stream.seen(), "0 \"a\" end, out \"a\" end");
}

#[test]
fn filters_without_a_callback_about_the_body_are_passed_by() {
    let stream = Stream::of([Stage::new(0, false, false), Stage::new(1, true, false), Stage::new(2, false, true)]);
    stream.headers();
    stream.seen();
    assert!(stream.flow.wants_body() && stream.flow.wants_trailers());
    stream.end("ab");
    assert_eq!(stream.seen(), "1 \"ab\" end, out buffer \"ab\" end");
}

#[test]
fn a_body_can_be_shown_to_the_last_stages_alone() {
    let stream = Stream::new(2);
    stream.headers();
    stream.seen();
    let marks = Marks { last: true, ..Marks::default() };
    assert_eq!(stream.flow.data(&stream, 1, Part::Buffer("ab"), marks), Ok(()));
    assert_eq!(stream.seen(), "1 \"ab\" end, out buffer \"ab\" end");
}
