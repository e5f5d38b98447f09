//! Programs that run without a request. They go on when their response is complete: it is as long as they said, or has no body. The request
//! ends then, as clients do not wait for more, and the program has some time for what it does behind it. And they start before there
//! are any requests (`ready.rs`). Lines that they print, and a bad end, go to the log of the worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ngx_wasm::programs::{Ending, Run};

use super::{environment, served};
use crate::config::program_conf::ProgramLocation;
use crate::nginx::{cycle, log};
use crate::process::guest_log::GuestLog;

struct Left {
    run: Arc<Run>,
    who: String,
    lines: Rc<GuestLog>,
    when: When,
}

/// When it runs.
#[derive(Clone, Copy)]
enum When {
    BehindResponse,
    BeforeRequests,
}

thread_local! {
    /// By the tokens that their requests had.
    static LEFT: RefCell<HashMap<usize, Left>> = RefCell::default();
}

/// Leaves a run to itself, so long at most.
pub fn leave(token: usize, run: Arc<Run>, location: &ProgramLocation, longest: Duration) {
    run.leave(Instant::now() + longest);
    keep(token, run, location, When::BehindResponse);
    // It may have ended meanwhile.
    look(token);
}

/// Looks after a run that is for no request, and has not begun.
pub fn expect(token: usize, run: Arc<Run>, location: &ProgramLocation) {
    keep(token, run, location, When::BeforeRequests);
}

fn keep(token: usize, run: Arc<Run>, location: &ProgramLocation, when: When) {
    let (who, lines) = (location.who(), location.lines.clone());
    LEFT.with_borrow_mut(|left| left.insert(token, Left { run, who, lines, when }));
}

/// The run of a token has news.
pub fn look(token: usize) {
    let Some((who, when, news)) = LEFT.with_borrow(|all| {
        let left = all.get(&token)?;
        let news = left.run.look(true);
        for line in &news.lines {
            left.lines.guest(cycle::log(), environment::level(line.level), &line.text);
        }
        Some((left.who.clone(), left.when, news))
    }) else {
        return;
    };
    let Some(ending) = news.ending else { return };
    LEFT.with_borrow_mut(|left| left.remove(&token));
    if matches!(when, When::BeforeRequests) {
        served::forget_run_of_nobody(token);
    }
    let what = match (ending, when) {
        (Ending::Done, _) => return,
        (Ending::Stopped, When::BehindResponse) => {
            "was stopped: it went on for too long behind its response (wasm_program_timeout)".to_owned()
        }
        (ending, When::BehindResponse) => format!("{ending}, behind its response"),
        (Ending::Stopped, When::BeforeRequests) => {
            "was stopped when its worker started: it waited for too long; the first request starts it anew".to_owned()
        }
        (ending, When::BeforeRequests) => {
            format!("{ending}, when its worker started; the first request starts it anew")
        }
    };
    cycle::log().error(log::printable(&format!("{who}{what}")));
}
