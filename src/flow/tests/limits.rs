use super::{Action, On, Stop, Stream};
use crate::flow::Fault;

const TOO_LARGE: Result<(), Stop> = Err(Stop::Fault(Fault::TooLarge));

#[test]
fn a_filter_holds_as_much_as_it_may_and_no_more() {
    let stream = Stream::new(1);
    stream.limit.set(4);
    stream.answers(0, On::Body, [Action::Pause, Action::Pause, Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.data("cd");
    assert_eq!(stream.try_data("e"), TOO_LARGE);
    assert_eq!(stream.seen(), "0 headers, 0 \"ab\", 0 \"abcd\"");
}

#[test]
fn what_waits_for_headers_counts_too() {
    let stream = Stream::new(1);
    stream.limit.set(3);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.headers();
    stream.data("abc");
    assert_eq!(stream.try_data("d"), TOO_LARGE);
}

#[test]
fn a_piece_that_is_not_held_may_be_of_any_size() {
    let stream = Stream::new(1);
    stream.limit.set(0);
    stream.headers();
    stream.data("abcdef");
    assert_eq!(stream.seen(), "0 headers, 0 \"abcdef\", out buffer \"abcdef\"");
}

#[test]
fn a_filter_that_makes_the_body_too_large_ends_the_stream_with_its_callback() {
    let stream = Stream::new(2);
    stream.does(0, On::Body, |stream| {
        assert_eq!(stream.flow.change(0, 0, 1, b"12345", 6), Some(Ok(())));
        assert_eq!(stream.flow.change(0, 6, 0, b"6", 6), Some(Err(Fault::TooLarge)));
        // It is as it was.
        assert_eq!(stream.body(0).as_deref(), Some("12345b"));
        Ok(Action::Continue)
    });
    stream.headers();
    assert_eq!(stream.try_data("ab"), TOO_LARGE);
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"ab\"");
}

#[test]
fn a_body_that_is_larger_than_the_limit_may_stay_so() {
    let stream = Stream::new(1);
    stream.does(0, On::Body, |stream| {
        assert_eq!(stream.flow.change(0, 0, 4, b"1234", 2), Some(Ok(())));
        Ok(Action::Continue)
    });
    stream.headers();
    stream.data("abcd");
    assert_eq!(stream.seen(), "0 headers, 0 \"abcd\", out \"1234\"");
}

#[test]
fn a_filter_that_makes_what_it_holds_too_large_ends_the_stream_when_it_is_to_go_on() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.end("ab");
    assert_eq!(stream.flow.change(0, 0, 0, b"123", 4), Some(Err(Fault::TooLarge)));
    stream.flow.ask_to_go_on(0);
    assert_eq!(stream.flow.resume(&stream), TOO_LARGE);
}

#[test]
fn a_callback_that_does_not_go_on_is_the_reason_also_when_the_body_is_too_large() {
    let stream = Stream::new(1);
    stream.does(0, On::Body, |stream| {
        assert_eq!(stream.flow.change(0, 0, 0, b"123", 4), Some(Err(Fault::TooLarge)));
        Err(Stop::Answered)
    });
    stream.headers();
    assert_eq!(stream.try_data("ab"), Err(Stop::Answered));
}

#[test]
fn a_body_that_a_filter_made_too_large_does_not_go_on_with_what_comes() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    assert_eq!(stream.flow.change(0, 0, 0, b"123", 4), Some(Err(Fault::TooLarge)));
    stream.flow.ask_to_go_on(0);
    assert_eq!(stream.try_data("c"), TOO_LARGE);
    assert_eq!(stream.seen(), "");
}

#[test]
fn a_body_that_a_filter_made_too_large_does_not_go_on_with_trailers() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.does(0, On::Trailers, |stream| {
        assert_eq!(stream.flow.change(0, 0, 0, b"123", 4), Some(Err(Fault::TooLarge)));
        Ok(Action::Continue)
    });
    stream.headers();
    stream.data("ab");
    stream.seen();
    assert_eq!(stream.flow.trailers(&stream, 0), TOO_LARGE);
    assert_eq!(stream.seen(), "0 trailers");
}
