use super::{Action, On, Stream};

#[test]
fn a_filter_that_asks_to_go_on_and_then_pauses_goes_on() {
    let stream = Stream::new(2);
    for on in [On::Headers, On::Body, On::Trailers] {
        stream.does(0, on, |stream| {
            stream.flow.ask_to_go_on(0);
            Ok(Action::Pause)
        });
    }
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(
        stream.seen(),
        "0 headers, 1 headers, 0 \"ab\", 1 \"ab\", out buffer \"ab\", 0 trailers, 1 trailers, out \"\" end"
    );
    assert!(!stream.flow.is_held());
}

#[test]
fn what_was_asked_in_a_callback_does_not_count_for_the_next() {
    let stream = Stream::new(1);
    stream.does(0, On::Headers, |stream| {
        stream.flow.ask_to_go_on(0);
        Ok(Action::Continue)
    });
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    assert!(stream.flow.is_held() && !stream.flow.is_resumed());
}

#[test]
fn what_was_asked_while_nothing_was_held_does_not_count() {
    let stream = Stream::new(1);
    stream.flow.ask_to_go_on(0);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.headers();
    assert!(stream.flow.is_held() && !stream.flow.is_resumed());
    assert_eq!(stream.flow.resume(&stream), Ok(()));
    assert!(stream.flow.is_held());
}

#[test]
fn nothing_goes_on_that_no_filter_has_asked_for() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.resume(1);
    stream.resume(7);
    assert_eq!(stream.seen(), "");
    assert!(stream.flow.is_held());
}

#[test]
fn asking_twice_goes_on_once() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.end("ab");
    stream.seen();
    stream.flow.ask_to_go_on(0);
    stream.flow.ask_to_go_on(0);
    assert!(stream.flow.is_resumed());
    assert_eq!(stream.flow.resume(&stream), Ok(()));
    assert_eq!(stream.flow.resume(&stream), Ok(()));
    stream.resume(0);
    assert_eq!(stream.seen(), "out \"ab\" flush end");
}

#[test]
fn held_headers_go_on_while_body_and_trailers_wait() {
    let stream = Stream::new(3);
    stream.answers(1, On::Headers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"ab\", 0 trailers");
    stream.resume(1);
    assert_eq!(
        stream.seen(),
        "2 headers, passed, 1 \"ab\", 2 \"ab\", out \"ab\" flush, 1 trailers, 2 trailers, out \"\" end"
    );
    assert!(!stream.flow.is_held());
}

#[test]
fn the_next_filter_may_hold_what_the_one_before_lets_go() {
    let stream = Stream::new(2);
    for run in 0..2 {
        stream.answers(run, On::Headers, [Action::Pause]);
    }
    stream.headers();
    stream.end("ab");
    stream.resume(0);
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"ab\" end");
    assert!(stream.flow.waits_for_filter());
    stream.resume(1);
    assert_eq!(stream.seen(), "passed, 1 \"ab\" end, out \"ab\" flush end");
}

#[test]
fn a_body_that_a_filter_has_seen_goes_on_to_the_next_without_being_shown_again() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.answers(1, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.resume(0);
    assert_eq!(stream.seen(), "1 \"ab\"");
    stream.resume(1);
    assert_eq!(stream.seen(), "out \"ab\" flush");
    // The filters look at what follows again.
    stream.end("cd");
    assert_eq!(stream.seen(), "0 \"cd\" end, 1 \"cd\" end, out buffer \"cd\" end");
}

#[test]
fn headers_held_for_the_body_go_on_with_what_has_been_shown() {
    let stream = Stream::new(2);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.resume(0);
    assert_eq!(stream.seen(), "1 headers, passed, 1 \"ab\", out \"ab\" flush");
}

#[test]
fn headers_held_for_a_body_that_has_not_come_go_on_alone() {
    let stream = Stream::new(2);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.headers();
    stream.seen();
    stream.resume(0);
    assert_eq!(stream.seen(), "1 headers, passed");
}

#[test]
fn several_filters_go_on_at_once() {
    let stream = Stream::new(3);
    stream.answers(2, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.end("ab");
    stream.seen();
    stream.flow.ask_to_go_on(0);
    stream.resume(2);
    assert_eq!(stream.seen(), "1 \"ab\" end, passed, 2 \"ab\" end, out \"ab\" flush end");
}

#[test]
fn a_filter_may_answer_in_a_callback_that_a_resume_brings() {
    let stream = Stream::new(2);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.does(1, On::Headers, |_| Err(super::Stop::Answered));
    stream.headers();
    stream.end("ab");
    stream.flow.ask_to_go_on(0);
    assert_eq!(stream.flow.resume(&stream), Err(super::Stop::Answered));
    assert_eq!(stream.seen(), "0 headers, 1 headers");
}

#[test]
fn what_a_filter_has_let_go_goes_before_what_comes() {
    // Its callback about something else has asked, and the next piece is there before anybody could act on that.
    for shows_body in [false, true] {
        let stream = Stream::new(2);
        stream.shows_body.set(shows_body);
        stream.answers(0, On::Headers, [Action::Pause]);
        stream.answers(0, On::Body, [Action::Pause]);
        stream.headers();
        if !shows_body {
            stream.resume(0);
        }
        stream.data("ab");
        stream.seen();
        stream.flow.ask_to_go_on(0);
        stream.data("cd");
        let headers = if shows_body { "1 headers, passed, " } else { "" };
        let wanted = "1 \"ab\", out \"ab\" flush, 0 \"cd\", 1 \"cd\", out buffer \"cd\"";
        assert_eq!(stream.seen(), format!("{headers}{wanted}"));
        assert!(!stream.flow.is_held());
    }
}

#[test]
fn a_filter_that_has_let_a_body_go_may_hold_what_comes() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause, Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.flow.ask_to_go_on(0);
    stream.seen();
    stream.data("cd");
    assert_eq!(stream.seen(), "out \"ab\" flush, 0 \"cd\"");
    assert_eq!(stream.body(0).as_deref(), Some("cd"));
}

#[test]
fn what_a_filter_has_let_go_goes_before_trailers() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.answers(0, On::Trailers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.flow.ask_to_go_on(0);
    stream.seen();
    stream.trailers();
    assert_eq!(stream.seen(), "out \"ab\" flush, 0 trailers");
    stream.resume(0);
    assert_eq!(stream.seen(), "out \"\" end");
}

#[test]
fn a_filter_that_is_told_to_go_on_by_the_one_before_does_so_before_it_is_shown_more() {
    let stream = Stream::new(2);
    stream.answers(1, On::Body, [Action::Pause, Action::Pause]);
    stream.answers(0, On::Body, [Action::Continue]);
    stream.does(0, On::Body, |stream| {
        stream.flow.ask_to_go_on(1);
        Ok(Action::Continue)
    });
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.data("cd");
    assert_eq!(stream.seen(), "0 \"cd\", out \"ab\" flush, 1 \"cd\"");
}
