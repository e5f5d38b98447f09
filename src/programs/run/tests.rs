//! What the loop and a thread see of a run, each from its side.

use std::thread;
use std::time::Duration;

use super::*;

fn run() -> (Arc<Bell>, Arc<Run>) {
    let bell = Arc::new(Bell::new().unwrap());
    (bell.clone(), Run::new(bell, 1))
}

/// Waits until the loop is told.
fn told(bell: &Bell) {
    while bell.take().is_empty() {
        thread::yield_now();
    }
}

#[test]
fn input_is_taken_as_far_as_there_is_room_and_read_in_order() {
    let (_, run) = run();
    let bytes: Vec<u8> = (0..ROOM + 10).map(|n| n as u8).collect();
    assert_eq!(run.give(&bytes), ROOM);
    assert_eq!(run.give(&bytes[ROOM..]), 0);
    let mut read = vec![0; ROOM];
    assert_eq!(run.read(&mut read[..10]), Ok(10));
    assert_eq!(run.give(&bytes[ROOM..]), 10);
    assert_eq!(run.read(&mut read[10..]), Ok(ROOM - 10));
    assert_eq!(read, bytes[..ROOM]);
    run.end_input();
    let mut rest = [0; 20];
    assert_eq!((run.read(&mut rest), run.read(&mut rest[10..])), (Ok(10), Ok(0)));
    assert_eq!(rest[..10], bytes[ROOM..]);
}

#[test]
fn the_loop_is_told_when_there_is_room_that_it_wanted() {
    let (bell, run) = run();
    run.give(&[0; ROOM]);
    assert_eq!(run.read(&mut [0; 10]), Ok(10));
    assert!(bell.take().is_empty());
    run.look(true);
    assert_eq!(run.give(&[0; 11]), 10);
    assert_eq!(run.read(&mut [0; 10]), Ok(10));
    assert_eq!(bell.take(), [1]);
}

#[test]
fn small_output_waits_for_more_and_is_told_of_when_the_program_waits() {
    let (bell, run) = run();
    assert_eq!(run.write(b"a"), Ok(1));
    assert!(bell.take().is_empty());
    assert!(run.flush());
    assert_eq!(bell.take(), [1]);
    // Once is enough until the loop has looked.
    assert!(run.flush());
    assert!(bell.take().is_empty());
    assert_eq!(run.look(true).output, b"a");
    assert_eq!(run.write(&[0; ENOUGH]), Ok(ENOUGH));
    assert_eq!(bell.take(), [1]);
}

#[test]
fn a_program_waits_for_the_loop_and_not_the_other_way_round() {
    let (bell, run) = run();
    let writer = thread::spawn({
        let run = run.clone();
        move || {
            Activity::global().enter_thread();
            let mut written = 0;
            while written < 3 * ROOM {
                written += run.write(&vec![b'x'; 3 * ROOM - written]).unwrap();
            }
            run.end(Ending::Done);
            Activity::global().leave_thread();
        }
    });
    told(&bell);
    let news = run.look(false);
    assert!(news.output.is_empty() && news.ending.is_none());
    let mut output = 0;
    loop {
        let news = run.look(true);
        assert!(news.output.len() <= ROOM);
        output += news.output.len();
        if news.ending.is_some() {
            break;
        }
        told(&bell);
    }
    assert_eq!(output, 3 * ROOM);
    writer.join().unwrap();
}

#[test]
fn whoever_waits_is_woken_when_the_run_is_stopped() {
    let (bell, run) = run();
    let reader = thread::spawn({
        let run = run.clone();
        move || {
            Activity::global().enter_thread();
            let results = (run.read(&mut [0; 1]), run.write(b"x"), run.wait(Ready::default(), None), run.flush());
            Activity::global().leave_thread();
            results
        }
    });
    told(&bell);
    run.stop();
    assert_eq!(reader.join().unwrap(), (Err(Stopped), Err(Stopped), Err(Stopped), false));
}

#[test]
fn a_program_that_is_left_goes_on_by_itself_for_some_time() {
    let (_, run) = run();
    run.write(&[0; ROOM]).unwrap();
    run.leave(Instant::now() + Duration::from_secs(1000));
    assert_eq!(run.write(&[0; 3 * ROOM]), Ok(3 * ROOM));
    assert_eq!(run.read(&mut [0; 3]), Ok(0));
    assert!(run.flush());
    let news = run.look(true);
    assert!(news.output.is_empty() && news.ending.is_none());
    run.leave(Instant::now());
    assert!(!run.flush());
    assert_eq!(run.write(b"x"), Err(Stopped));
}

#[test]
fn the_loop_is_told_of_the_end_of_a_program_that_was_stopped_when_nobody_looked() {
    let (bell, run) = run();
    run.write(b"x").unwrap();
    run.flush();
    assert_eq!(bell.take(), [1]);
    run.stop();
    run.end(Ending::Stopped);
    assert_eq!(bell.take(), [1]);
    run.end(Ending::Stopped);
    assert!(bell.take().is_empty());
}

#[test]
fn a_wait_ends_at_its_time_or_when_something_can_go_on() {
    let (_, run) = run();
    let both = Ready { input: true, output: true };
    let wait = |wanted, until| {
        Activity::global().enter_thread();
        let ready = run.wait(wanted, Some(until));
        Activity::global().leave_thread();
        ready
    };
    assert_eq!(wait(Ready { output: false, ..both }, Instant::now()), Ok(Ready::default()));
    let far = Instant::now() + Duration::from_secs(1000);
    assert_eq!(wait(both, far), Ok(Ready { input: false, output: true }));
    run.end_input();
    assert_eq!(wait(both, far), Ok(both));
}

#[test]
fn a_call_waits_for_its_own_answer() {
    let (bell, run) = run();
    let request = || HttpRequest {
        method: http::Method::GET,
        uri: "http://a/".parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: None,
        most_body: 10,
        until: None,
    };
    let caller = thread::spawn({
        let run = run.clone();
        move || {
            Activity::global().enter_thread();
            let late = run.call(HttpRequest { until: Some(Instant::now()), ..request() });
            let answered = run.call(request());
            Activity::global().leave_thread();
            (late, answered)
        }
    });
    let number = loop {
        told(&bell);
        if let Some((number @ 2, _)) = run.look(true).call {
            break number;
        }
    };
    run.answer(number - 1, Err("of another call".into()));
    run.answer(number, Ok(HttpResponse { status: 204, ..HttpResponse::default() }));
    let (late, answered) = caller.join().unwrap();
    assert_eq!(late.unwrap_err(), "no answer in time");
    assert_eq!(answered.unwrap().status, 204);
}

#[test]
fn the_ending_comes_behind_the_output() {
    let (_, run) = run();
    run.write(b"last").unwrap();
    run.print(Level::Error, b"line").unwrap();
    run.end(Ending::Done);
    let news = run.look(false);
    assert!(news.ending.is_none());
    assert_eq!(news.lines, [Line { level: Level::Error, text: b"line".to_vec() }]);
    let news = run.look(true);
    assert_eq!(news.output, b"last");
    assert!(matches!(news.ending, Some(Ending::Done)));
}
