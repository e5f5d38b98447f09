use super::{Action, On, Stage, Stop, Stream};

#[test]
fn a_skipped_filter_is_asked_nothing() {
    let stream = Stream::new(3);
    stream.flow.skip(1);
    assert!(stream.flow.is_skipped(1) && !stream.flow.is_skipped(0) && !stream.flow.is_skipped(7));
    stream.headers();
    stream.data("ab");
    stream.trailers();
    assert_eq!(
        stream.seen(),
        "0 headers, 2 headers, 0 \"ab\", 2 \"ab\", out buffer \"ab\", 0 trailers, 2 trailers, out \"\" end"
    );
}

#[test]
fn a_filter_that_fails_in_its_callback_and_is_skipped_lets_everything_through() {
    for on in [On::Headers, On::Body, On::Trailers] {
        let stream = Stream::new(2);
        stream.does(0, on, |stream| {
            stream.flow.skip(0);
            Ok(Action::Continue)
        });
        stream.headers();
        stream.data("ab");
        stream.trailers();
        assert!(stream.flow.headers_passed() && !stream.flow.is_held());
        assert_eq!(
            stream.seen().replace("0 headers, ", "").replace("0 \"ab\", ", "").replace("0 trailers, ", ""),
            "1 headers, 1 \"ab\", out buffer \"ab\", 1 trailers, out \"\" end",
            "{on:?}"
        );
    }
}

#[test]
fn a_filter_that_is_skipped_while_it_holds_headers_lets_all_go() {
    for shows_body in [false, true] {
        let stream = Stream::new(3);
        stream.shows_body.set(shows_body);
        stream.answers(1, On::Headers, [Action::Pause]);
        stream.answers(1, On::Body, [Action::Pause, Action::Pause]);
        stream.headers();
        stream.data("ab");
        stream.seen();
        stream.flow.skip(1);
        assert!(stream.flow.is_resumed());
        assert_eq!(stream.flow.resume(&stream), Ok(()));
        assert_eq!(stream.seen(), "2 headers, passed, 2 \"ab\", out \"ab\" flush", "{shows_body}");
        stream.end("cd");
        assert_eq!(stream.seen(), "0 \"cd\" end, 2 \"cd\" end, out buffer \"cd\" end");
    }
}

#[test]
fn a_filter_that_is_skipped_while_it_holds_a_body_or_trailers_lets_them_go() {
    let stream = Stream::new(3);
    stream.answers(1, On::Body, [Action::Pause]);
    stream.answers(1, On::Trailers, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.trailers();
    stream.seen();
    stream.flow.skip(1);
    assert_eq!(stream.flow.resume(&stream), Ok(()));
    assert_eq!(stream.seen(), "2 \"ab\", out \"ab\" flush, 2 trailers, out \"\" end");
}

#[test]
fn a_filter_that_fails_at_the_body_for_which_it_holds_headers_lets_both_go() {
    let stream = Stream::new(2);
    stream.shows_body.set(true);
    stream.answers(0, On::Headers, [Action::Pause]);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.does(0, On::Body, |stream| {
        stream.flow.skip(0);
        Ok(Action::Continue)
    });
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.data("cd");
    assert_eq!(stream.seen(), "0 \"abcd\", 1 headers, passed, 1 \"abcd\", out \"abcd\"");
}

#[test]
fn filters_that_have_not_seen_the_request_do_not_see_the_answer() {
    let request = Stream::new(3);
    request.does(1, On::Headers, |_| Err(Stop::Answered));
    assert_eq!(request.flow.headers(&request), Err(Stop::Answered));
    let response = Stream::of((0..3).rev().map(|run| Stage::new(run, true, true)));
    response.flow.skip_behind(request.flow.headers_seen());
    response.headers();
    response.end("no");
    assert_eq!(response.seen(), "1 headers, 0 headers, 1 \"no\" end, 0 \"no\" end, out buffer \"no\" end");
}

#[test]
fn nothing_is_lost_that_comes_before_a_skipped_filter_has_let_go_what_it_holds() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.data("ab");
    stream.seen();
    stream.flow.skip(0);
    stream.data("cd");
    stream.end("ef");
    assert_eq!(
        stream.seen(),
        "1 \"ab\", out \"ab\" flush, 1 \"cd\", out buffer \"cd\", 1 \"ef\" end, out buffer \"ef\" end"
    );
}
