use super::{Action, On, Stage, Stop, Stream};
use crate::flow::Hold;

#[test]
fn headers_pass_the_stages_in_order() {
    let stream = Stream::new(3);
    stream.headers();
    assert_eq!(stream.seen(), "0 headers, 1 headers, 2 headers");
    assert!(stream.flow.headers_passed());
    assert!(!stream.flow.is_held());
}

#[test]
fn stages_are_in_the_order_that_they_were_added_in() {
    let stream = Stream::of([Stage::new(1, false, false), Stage::new(0, false, false)]);
    stream.flow.add_before([Stage::new(3, false, false), Stage::new(2, false, false)]);
    stream.flow.add_behind([Stage::new(4, false, false)]);
    stream.headers();
    assert_eq!(stream.seen(), "3 headers, 2 headers, 1 headers, 0 headers, 4 headers");
}

#[test]
fn headers_go_by_a_stage_that_ignores_them_which_sees_the_body() {
    let stream = Stream::of([
        Stage::new(0, true, true).ignoring_headers(),
        Stage::new(1, true, true),
        Stage::new(2, false, false).ignoring_headers(),
    ]);
    stream.headers();
    assert_eq!(stream.seen(), "1 headers");
    assert!(stream.flow.headers_passed());
    stream.end("ab");
    assert_eq!(stream.seen(), "0 \"ab\" end, 1 \"ab\" end, out buffer \"ab\" end");
}

#[test]
fn headers_do_not_go_by_a_filter_that_is_lost() {
    let stream = Stream::of([Stage::new(0, true, true).ignoring_headers(), Stage::new(1, true, true)]);
    stream.does(0, On::Headers, |_| Err(Stop::Answered));
    assert_eq!(stream.flow.headers(&stream), Err(Stop::Answered));
    assert_eq!((stream.seen().as_str(), stream.flow.headers_seen()), ("", 0));
    // Without it the stream goes on.
    stream.flow.skip(0);
    stream.headers();
    assert_eq!((stream.seen().as_str(), stream.flow.headers_seen()), ("1 headers", 2));
}

#[test]
fn a_stage_behind_held_headers_does_not_let_them_by() {
    let stream = Stream::of([Stage::new(0, true, true), Stage::new(1, true, true).ignoring_headers()]);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.headers();
    assert_eq!((stream.seen().as_str(), stream.flow.headers_seen()), ("0 headers", 0));
    stream.resume(0);
    assert_eq!(stream.seen(), "passed");
    assert!(stream.flow.headers_passed());
}

#[test]
fn added_stages_see_the_headers_that_those_before_have_seen() {
    let stream = Stream::new(1);
    stream.headers();
    stream.flow.add_behind([Stage::new(1, true, true)]);
    assert!(!stream.flow.headers_passed());
    stream.headers();
    assert_eq!(stream.seen(), "0 headers, 1 headers");
}

#[test]
fn a_stage_holds_the_headers_and_those_behind_it_do_not_see_them() {
    for action in [Action::Pause, Action::PauseHeaders, Action::PauseAll, Action::PauseAndDrop] {
        let stream = Stream::new(3);
        stream.answers(1, On::Headers, [action]);
        stream.headers();
        // It is not asked again.
        stream.headers();
        assert_eq!(stream.seen(), "0 headers, 1 headers", "{action:?}");
        assert_eq!(stream.flow.hold_of(1), Hold::Headers, "{action:?}");
        assert_eq!(stream.flow.headers_seen(), 1);
        assert_eq!(stream.flow.holder(), Some(1));
        assert!(stream.flow.holds_headers() && stream.flow.waits_for_filter());
    }
}

#[test]
fn held_headers_hold_the_body_back_unseen() {
    let stream = Stream::new(2);
    stream.answers(1, On::Headers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.end("cd");
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"ab\", 0 \"cd\" end");
    assert_eq!(stream.body(1), None);
    stream.resume(1);
    assert_eq!(stream.seen(), "passed, 1 \"abcd\" end, out \"abcd\" flush end");
    assert!(stream.flow.headers_passed() && !stream.flow.is_held());
}

#[test]
fn the_body_is_shown_behind_held_headers_where_the_world_says_so() {
    let stream = Stream::new(2);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause, Action::Continue]);
    stream.headers();
    assert_eq!(stream.flow.hold_of(0), Hold::HeadersOnly);
    // More of the body may make it go on, until the end has come.
    assert!(!stream.flow.waits_for_filter() && !stream.flow.holds_headers());
    stream.data("ab");
    assert_eq!(stream.seen(), "0 headers, 0 \"ab\"");
    assert_eq!(stream.body(0).as_deref(), Some("ab"));
    stream.data("cd");
    assert_eq!(stream.seen(), "0 \"abcd\", 1 headers, passed, 1 \"abcd\", out \"abcd\"");
    stream.end("");
    assert_eq!(stream.seen(), "0 \"\" end, 1 \"\" end, out buffer \"\" end");
}

#[test]
fn with_the_end_only_the_filter_can_make_headers_and_body_go_on() {
    let stream = Stream::new(1);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::PauseHeaders]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.end("ab");
    assert!(stream.flow.waits_for_filter());
    stream.resume(0);
    assert_eq!(stream.seen(), "0 headers, 0 \"ab\" end, passed, out \"ab\" flush end");
}

#[test]
fn all_stages_may_hold_headers_for_the_body() {
    let stream = Stream::new(3);
    stream.shows_body.set(true);
    for run in 0..3 {
        stream.answers(run, On::Headers, [Action::Pause]);
        stream.answers(run, On::Body, [Action::Pause, Action::Continue]);
    }
    stream.headers();
    stream.data("a");
    stream.data("b");
    assert_eq!(stream.seen(), "0 headers, 0 \"a\", 0 \"ab\", 1 headers, 1 \"ab\"");
    stream.data("c");
    assert_eq!(stream.seen(), "0 \"c\", 1 \"abc\", 2 headers, 2 \"abc\"");
    stream.end("");
    assert_eq!(stream.seen(), "0 \"\" end, 1 \"\" end, 2 \"abc\" end, passed, out \"abc\" end");
}

#[test]
fn headers_that_end_the_stream_are_held_as_a_whole() {
    let stream = Stream::new(1);
    stream.shows_body.set(true);
    stream.ends_with_headers.set(true);
    stream.answers(0, On::Headers, [Action::PauseHeaders]);
    stream.headers();
    assert_eq!(stream.flow.hold_of(0), Hold::Headers);
    stream.resume(0);
    assert_eq!(stream.seen(), "0 headers end, passed");
}

#[test]
fn a_stage_learns_from_the_headers_as_they_are_then_whether_they_end_the_stream() {
    let stream = Stream::new(2);
    stream.does(0, On::Headers, |stream| {
        stream.ends_with_headers.set(true);
        Ok(Action::Continue)
    });
    stream.headers();
    assert_eq!(stream.seen(), "0 headers, 1 headers end");
}

#[test]
fn a_filter_without_a_callback_about_the_body_holds_all_behind_the_headers() {
    let stream = Stream::of([Stage::new(0, false, true)]);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.headers();
    assert_eq!(stream.flow.hold_of(0), Hold::Headers);
    stream.end("ab");
    stream.resume(0);
    assert_eq!(stream.seen(), "0 headers, passed, out \"ab\" flush end");
}

#[test]
fn headers_may_be_taken_past_a_stage_or_past_all() {
    let stream = Stream::new(4);
    stream.does(1, On::Headers, |_| Err(Stop::Answered));
    assert_eq!(stream.flow.headers(&stream), Err(Stop::Answered));
    assert_eq!(stream.flow.headers_seen(), 1);
    stream.flow.pass_headers_by();
    stream.answers(2, On::Headers, [Action::Pause]);
    stream.headers();
    assert_eq!(stream.seen(), "0 headers, 1 headers, 2 headers");
    stream.flow.end_headers();
    assert!(stream.flow.headers_passed());
}

#[test]
fn a_way_without_stages_lets_everything_through() {
    let stream = Stream::new(0);
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(stream.seen(), "out buffer \"ab\", out \"\" end");
    assert!(stream.flow.is_empty() && stream.flow.headers_passed());
}

#[test]
fn a_way_that_begins_again_knows_nothing_of_its_filters() {
    let stream = Stream::new(2);
    stream.answers(1, On::Headers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.flow.end_body();
    assert_eq!(stream.flow.body_seen(), 2);
    stream.flow.restart();
    assert!(stream.flow.is_empty() && !stream.flow.is_held() && stream.flow.headers_passed());
    assert_eq!(stream.flow.body_seen(), 0);
    stream.flow.add_behind([Stage::new(0, true, true)]);
    stream.seen();
    stream.headers();
    stream.end("cd");
    assert_eq!(stream.seen(), "0 headers, 0 \"cd\" end, out buffer \"cd\" end");
}
