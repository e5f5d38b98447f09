use super::{Action, On, Stop, Stream};

#[test]
fn an_answer_of_a_filter_stops_everything_where_it_is() {
    let stream = Stream::new(3);
    stream.does(1, On::Headers, |_| Err(Stop::Answered));
    assert_eq!(stream.flow.headers(&stream), Err(Stop::Answered));
    assert_eq!(stream.seen(), "0 headers, 1 headers");

    let stream = Stream::new(3);
    stream.headers();
    stream.seen();
    stream.does(1, On::Body, |_| Err(Stop::Answered));
    assert_eq!(stream.try_data("ab"), Err(Stop::Answered));
    assert_eq!(stream.seen(), "0 \"ab\", 1 \"ab\"");

    let stream = Stream::new(3);
    stream.headers();
    stream.seen();
    stream.does(1, On::Trailers, |_| Err(Stop::Answered));
    assert_eq!(stream.flow.trailers(&stream, 0), Err(Stop::Answered));
    assert_eq!(stream.seen(), "0 trailers, 1 trailers");
}

#[test]
fn an_answer_stops_what_another_filter_has_let_go() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.does(1, On::Body, |_| Err(Stop::Answered));
    stream.headers();
    stream.data("ab");
    stream.seen();
    assert_eq!(stream.flow.trailers(&stream, 0), Err(Stop::Answered));
    assert_eq!(stream.seen(), "0 trailers, 1 \"ab\"");
}

#[test]
fn what_stages_hold_can_be_thrown_away() {
    let stream = Stream::new(2);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.answers(1, On::Headers, [Action::Pause]);
    stream.headers();
    stream.end("ab");
    stream.seen();
    stream.flow.drop_held();
    assert!(!stream.flow.is_held() && !stream.flow.waits_for_filter());
    assert_eq!(stream.flow.holder(), None);
    stream.resume(0);
    stream.resume(1);
    assert_eq!(stream.seen(), "");
}
