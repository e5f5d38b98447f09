//! Programs that go on when their response is complete: it is as long as they said, or has no body. The request ends then, as clients do
//! not wait for more, and the program has some time for what it does behind it. Lines that it prints, and a bad end, go to the log of the
//! worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ngx_wasm::programs::{Ending, Run};

use super::environment;
use crate::config::program_conf::ProgramLocation;
use crate::nginx::{cycle, log};
use crate::process::guest_log::GuestLog;

struct Left {
    run: Arc<Run>,
    who: String,
    lines: Rc<GuestLog>,
}

thread_local! {
    /// By the tokens that their requests had.
    static LEFT: RefCell<HashMap<usize, Left>> = RefCell::default();
}

/// Leaves a run to itself, so long at most.
pub fn leave(token: usize, run: Arc<Run>, location: &ProgramLocation, longest: Duration) {
    run.leave(Instant::now() + longest);
    let (who, lines) = (location.who(), location.lines.clone());
    LEFT.with_borrow_mut(|left| left.insert(token, Left { run, who, lines }));
    // It may have ended meanwhile.
    look(token);
}

/// The run of a token has news.
pub fn look(token: usize) {
    let Some((who, news)) = LEFT.with_borrow(|all| {
        let left = all.get(&token)?;
        let news = left.run.look(true);
        for line in &news.lines {
            left.lines.guest(cycle::log(), environment::level(line.level), &line.text);
        }
        Some((left.who.clone(), news))
    }) else {
        return;
    };
    let Some(ending) = news.ending else { return };
    LEFT.with_borrow_mut(|left| left.remove(&token));
    let what = match ending {
        Ending::Done => return,
        Ending::Stopped => "was stopped: it went on for too long behind its response (wasm_program_timeout)".to_owned(),
        ending => format!("{ending}, behind its response"),
    };
    cycle::log().error(log::printable(&format!("{who}{what}")));
}
