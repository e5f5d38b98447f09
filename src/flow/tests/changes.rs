use super::{Action, On, Part, Stop, Stream};
use crate::flow::{Fault, Marks};

#[test]
fn a_filter_changes_what_it_is_shown() {
    let stream = Stream::new(2);
    stream.does(0, On::Body, |stream| {
        assert_eq!(stream.flow.change(0, 1, 1, b"xyz", 1000), Some(Ok(())));
        assert_eq!(stream.body(0).as_deref(), Some("axyzc"));
        Ok(Action::Continue)
    });
    stream.headers();
    assert!(!stream.flow.is_changed());
    stream.end("abc");
    assert!(stream.flow.is_changed());
    assert_eq!(stream.seen(), "0 headers, 1 headers, 0 \"abc\" end, 1 \"axyzc\" end, out \"axyzc\" end");
    stream.flow.forget_changes();
    assert!(!stream.flow.is_changed());
}

#[test]
fn all_filters_change_a_body_that_they_hold_until_its_end() {
    let stream = Stream::new(3);
    for run in 0..3 {
        stream.answers(run, On::Body, [Action::Pause]);
        stream.does(run, On::Body, move |stream| {
            let name = [b'a' + run as u8];
            assert_eq!(stream.flow.change(run, 0, 0, &name, 1000), Some(Ok(())));
            Ok(Action::Continue)
        });
    }
    stream.headers();
    stream.seen();
    stream.data("12");
    stream.end("34");
    assert_eq!(stream.seen(), "0 \"12\", 0 \"1234\" end, 1 \"a1234\" end");
    stream.resume(1);
    assert_eq!(stream.seen(), "2 \"a1234\" end");
    stream.resume(2);
    assert_eq!(stream.seen(), "out \"a1234\" flush end");
}

#[test]
fn a_filter_changes_what_it_holds_outside_of_its_callback() {
    let stream = Stream::new(1);
    stream.answers(0, On::Body, [Action::Pause]);
    stream.headers();
    stream.end("abc");
    assert_eq!(stream.flow.change(0, 0, u32::MAX, b"new", 1000), Some(Ok(())));
    assert_eq!(stream.body(0).as_deref(), Some("new"));
    stream.resume(0);
    assert_eq!(stream.seen(), "0 headers, 0 \"abc\" end, out \"new\" flush end");
}

#[test]
fn a_part_of_the_body_can_be_read() {
    let stream = Stream::new(1);
    let parts = |stream: &Stream| {
        let mut out = b"|".to_vec();
        assert_eq!(stream.flow.read(0, 1, 2, &mut out), Some(Ok(())));
        assert_eq!(stream.flow.read(0, 3, 9, &mut out), Some(Ok(())));
        assert_eq!(stream.flow.read(0, 9, 9, &mut out), Some(Ok(())));
        assert_eq!(out, b"|bcd");
    };
    stream.does(0, On::Body, move |stream| {
        parts(stream);
        Ok(Action::Pause)
    });
    stream.headers();
    stream.data("abcd");
    parts(&stream);
}

#[test]
fn a_filter_has_no_body_before_it_is_shown_one_and_after_it_has_gone_on() {
    let stream = Stream::new(2);
    let none = |stream: &Stream, run: usize| {
        assert_eq!(stream.flow.body_len(run), None);
        assert_eq!(stream.flow.read(run, 0, 9, &mut Vec::new()), None);
        assert_eq!(stream.flow.change(run, 0, 9, b"x", 1000), None);
    };
    none(&stream, 0);
    stream.headers();
    stream.does(0, On::Body, move |stream| {
        none(stream, 1);
        none(stream, 7);
        Ok(Action::Continue)
    });
    stream.end("ab");
    none(&stream, 0);
    assert!(!stream.flow.is_changed());
}

#[test]
fn a_piece_that_cannot_be_read_passes_who_does_not_touch_it() {
    let stream = Stream::new(1);
    stream.headers();
    assert_eq!(stream.flow.data(&stream, 0, Part::Broken, Marks::default()), Ok(()));
    assert_eq!(stream.seen(), "0 headers, 0 \"\", out broken");
}

#[test]
fn a_piece_that_cannot_be_read_ends_the_stream_when_it_is_to_be_held_or_dropped() {
    for action in [Action::Pause, Action::PauseAndDrop] {
        let stream = Stream::new(1);
        stream.answers(0, On::Body, [action]);
        stream.headers();
        let result = stream.flow.data(&stream, 0, Part::Broken, Marks::default());
        assert_eq!(result, Err(Stop::Fault(Fault::Unreadable)), "{action:?}");
    }
}

#[test]
fn a_filter_that_changes_what_cannot_be_read_is_told_and_the_stream_ends() {
    let stream = Stream::new(1);
    stream.does(0, On::Body, |stream| {
        assert_eq!(stream.flow.change(0, 0, 1, b"x", 1000), Some(Err(Fault::Unreadable)));
        Ok(Action::Continue)
    });
    stream.headers();
    let result = stream.flow.data(&stream, 0, Part::Broken, Marks::default());
    assert_eq!(result, Err(Stop::Fault(Fault::Unreadable)));
    assert_eq!(stream.seen(), "0 headers, 0 \"\"");
}
