//! One run of a program, as both sides see it: the loop that serves requests gives input and takes output without ever waiting, and
//! the program on its thread waits for either. What lies between them is bounded, so that a slow client stops the program, and a slow
//! program the client.
//!
//! The loop is told of news by [`Bell`]: when there is so much output that it pays, when the program waits for something, when it has
//! ended, and each [`crate::vm::TICK`] as long as it computes. So small writes go out together, and none of them waits for long.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::ending::Ending;
use super::head::Head;
use crate::extism::{HttpRequest, HttpResponse, Level};
use crate::vm::{Activity, cpu_time};
use crate::wasi::Ready;

/// So many bytes are on their way in each direction at most.
pub const ROOM: usize = 64 << 10;

/// So much output is worth waking the loop for.
const ENOUGH: usize = 16 << 10;

/// So long may what runs without a request wait, whatever time of the processor it uses.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// So many bytes of lines wait for the log at most; then the program waits.
const MOST_LINES: usize = 64 << 10;

/// A run of a program.
pub struct Run {
    state: Mutex<State>,
    changed: Condvar,
    bell: Arc<Bell>,
    token: usize,
}

#[derive(Default)]
struct State {
    /// What has come of the body of the request, and has not been read.
    input: Vec<u8>,
    /// So much of that has been read.
    input_read: usize,
    input_ended: bool,
    /// The loop wants to know when there is room for input.
    input_wanted: bool,
    output: Vec<u8>,
    /// The headers of a response that are not in the output.
    head: Option<Head>,
    /// A call that the loop is to make.
    call: Option<HttpRequest>,
    /// How many calls there have been.
    calls: u64,
    /// What has come of the last one.
    answer: Option<Result<HttpResponse, String>>,
    /// What the program has printed for the log.
    lines: Vec<Line>,
    line_bytes: usize,
    /// How often the program has read or written.
    signs: u64,
    ending: Option<Ending>,
    has_ended: bool,
    is_stopped: bool,
    /// The time that it uses is wanted.
    is_measured: bool,
    /// What its thread had used when it began, once it has and that is wanted.
    begun: Option<Duration>,
    usage: Usage,
    /// The response is complete: the program goes on by itself, up to this time.
    left_until: Option<Instant>,
    /// The loop has been told, and has not looked.
    is_rung: bool,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Without its end.
    pub text: Vec<u8>,
}

/// What a run has used, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time of the processor, up to the last bytes that it has written; `None`: it has not begun, or nobody has asked ([`Run::measure`]).
    pub cpu_time: Option<Duration>,
    /// Units, once it has ended, if they are limited.
    pub fuel: Option<u64>,
    /// How often it has not got more memory, once it has ended.
    pub refused_growth: u64,
}

/// What the loop finds when it looks.
#[derive(Default)]
pub struct News {
    /// Headers of the response, before what is in `output`.
    pub head: Option<Head>,
    /// What the program has written.
    pub output: Vec<u8>,
    /// A call to be made, by a number for [`Run::answer`].
    pub call: Option<(u64, HttpRequest)>,
    /// Lines for the log.
    pub lines: Vec<Line>,
    /// A number that changes when the program reads or writes.
    pub signs: u64,
    /// There, once the program has ended and all of its output has been taken.
    pub ending: Option<Ending>,
}

/// Nobody waits for what the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl Run {
    /// A run that has not begun. The bell is rung with this token.
    pub fn new(bell: Arc<Bell>, token: usize) -> Arc<Run> {
        Arc::new(Run { state: Mutex::default(), changed: Condvar::new(), bell, token })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the time measured that the program uses. Before it begins.
    pub fn measure(&self) {
        self.state().is_measured = true;
    }

    /// What has been used so far.
    pub fn usage(&self) -> Usage {
        self.state().usage
    }

    /// The program begins, on this thread.
    pub(super) fn start(&self) {
        let mut state = self.state();
        state.begun = state.is_measured.then(cpu_time);
        state.note_time();
    }

    /// Notes what it has used, when it has ended.
    pub(super) fn note_used(&self, fuel: Option<u64>, refused_growth: u64) {
        let mut state = self.state();
        (state.usage.fuel, state.usage.refused_growth) = (fuel, refused_growth);
    }

    /// Gives input, as much of it as there is room for. How many bytes that is.
    pub fn give(&self, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let taken = bytes.len().min(state.input_room());
        if taken > 0 {
            if state.input_read == state.input.len() {
                state.input.clear();
                state.input_read = 0;
            }
            state.input.extend_from_slice(&bytes[..taken]);
            self.changed.notify_all();
        }
        state.input_wanted = taken < bytes.len();
        taken
    }

    /// There is no more input.
    pub fn end_input(&self) {
        self.state().input_ended = true;
        self.changed.notify_all();
    }

    /// What there is for the loop. Without `wants_output` that stays where it is, and the program waits once there is no room for
    /// more.
    pub fn look(&self, wants_output: bool) -> News {
        let mut state = self.state();
        state.is_rung = false;
        let mut news = News { signs: state.signs, ..News::default() };
        let may_have_waited = state.output.len() >= ROOM || state.line_bytes >= MOST_LINES;
        news.lines = std::mem::take(&mut state.lines);
        state.line_bytes = 0;
        if wants_output {
            news.head = state.head.take();
            news.output = std::mem::take(&mut state.output);
        }
        let number = state.calls;
        news.call = state.call.take().map(|call| (number, call));
        if state.output.is_empty() && state.head.is_none() {
            news.ending = state.ending.take();
        }
        if may_have_waited {
            self.changed.notify_all();
        }
        news
    }

    /// Gives the answer to a call.
    pub fn answer(&self, call: u64, answer: Result<HttpResponse, String>) {
        let mut state = self.state();
        // The program may have given up waiting, and made another one.
        if state.calls == call {
            state.answer = Some(answer);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// A number that changes when the program reads or writes.
    pub fn signs(&self) -> u64 {
        self.state().signs
    }

    /// Nobody waits for what the program does any more: it ends within a tick.
    pub fn stop(&self) {
        self.state().is_stopped = true;
        self.changed.notify_all();
    }

    /// The response is complete, and so the request: what the program still does is its own business, up to this time. What it
    /// writes goes nowhere, and there is no more for it to read.
    pub fn leave(&self, until: Instant) {
        let mut state = self.state();
        state.left_until = Some(until);
        state.input_ended = true;
        state.output.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// Nobody looks at what it writes, and it is not to wait for anything for ever: for what runs without a request.
    pub(super) fn leave_to_itself(&self) {
        self.leave(Instant::now() + LONGEST_WAIT);
    }

    /// Whether it is to stop.
    pub fn is_stopped(&self) -> bool {
        self.state().is_stopped
    }

    /// Tells the loop that there are news, unless it knows.
    fn tell(&self, state: &mut State) {
        if !state.is_rung {
            state.is_rung = true;
            self.bell.ring(self.token);
        }
    }

    /// Has the loop look if there is something for it. The program computes, or is about to wait. Whether it may go on.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.state();
        if !state.output.is_empty() || !state.lines.is_empty() || state.head.is_some() {
            self.tell(&mut state);
        }
        !state.may_not_go_on()
    }

    /// Reads input, waiting until there is some. 0 is the end.
    pub(super) fn read(&self, into: &mut [u8]) -> Result<usize, Stopped> {
        if into.is_empty() {
            return Ok(0);
        }
        let mut state = self.wait_until(None, |state| state.has_input())?;
        let unread = &state.input[state.input_read..];
        let read = unread.len().min(into.len());
        into[..read].copy_from_slice(&unread[..read]);
        state.input_read += read;
        state.signs += 1;
        if state.input_wanted {
            state.input_wanted = false;
            self.tell(&mut state);
        }
        Ok(read)
    }

    /// Writes output, waiting until there is room. How many of the bytes it took.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<usize, Stopped> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut state = self.wait_until(None, |state| state.output.len() < ROOM)?;
        if state.left_until.is_some() {
            return Ok(bytes.len());
        }
        state.note_time();
        let written = bytes.len().min(ROOM - state.output.len());
        state.output.extend_from_slice(&bytes[..written]);
        state.signs += 1;
        if state.output.len() >= ENOUGH {
            self.tell(&mut state);
        }
        Ok(written)
    }

    /// Says what the headers of the response are, which are not in the output then. The body is written behind them.
    pub(super) fn begin(&self, head: Head) {
        let mut state = self.state();
        if state.left_until.is_none() {
            state.head = Some(head);
        }
    }

    /// Has the loop make a call, and waits for the answer, up to this time.
    pub(super) fn call(&self, request: HttpRequest) -> Result<HttpResponse, String> {
        let until = request.until;
        {
            let mut state = self.state();
            if state.left_until.is_some() {
                return Err("the response is complete, and no call is made behind it".into());
            }
            state.calls += 1;
            state.signs += 1;
            (state.call, state.answer) = (Some(request), None);
        }
        let state = self.wait_until(until, |state| state.answer.is_some());
        let mut state = state.map_err(|Stopped| "nobody waits for it".to_owned())?;
        state.signs += 1;
        state.call = None;
        state.answer.take().unwrap_or_else(|| Err("no answer in time".into()))
    }

    /// Prints a line for the log, waiting until there is room.
    pub(super) fn print(&self, level: Level, line: &[u8]) -> Result<(), Stopped> {
        let mut state = self.wait_until(None, |state| state.line_bytes < MOST_LINES || state.left_until.is_some())?;
        if state.line_bytes >= MOST_LINES {
            // Nobody may look again.
            return Ok(());
        }
        state.lines.push(Line { level, text: line.to_vec() });
        state.line_bytes += line.len().max(1);
        state.signs += 1;
        Ok(())
    }

    /// Notes that the program does something.
    pub(super) fn sign(&self) {
        self.state().signs += 1;
    }

    /// Waits until one of what is wanted can go on, or until this time.
    pub(super) fn wait(&self, wanted: Ready, until: Option<Instant>) -> Result<Ready, Stopped> {
        let ready = |state: &State| Ready {
            input: wanted.input && state.has_input(),
            output: wanted.output && state.output.len() < ROOM,
        };
        let state = self.wait_until(until, |state| ready(state) != Ready::default())?;
        Ok(ready(&state))
    }

    /// Waits until this is so, or until this time. Before that the loop is told what there is for it.
    fn wait_until(
        &self,
        until: Option<Instant>,
        is_so: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'_, State>, Stopped> {
        let mut state = self.state();
        if state.may_not_go_on() {
            return Err(Stopped);
        }
        // Whoever only looks does not wait, and nobody need know.
        if is_so(&state) || until.is_some_and(|until| until <= Instant::now()) {
            return Ok(state);
        }
        self.tell(&mut state);
        // Nothing of the guest runs meanwhile, and nobody need count ticks for it.
        let activity = Activity::global();
        activity.leave_thread();
        loop {
            let until = until.into_iter().chain(state.left_until).min();
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            if state.is_stopped || is_so(&state) {
                break;
            }
        }
        activity.enter_thread();
        if state.may_not_go_on() { Err(Stopped) } else { Ok(state) }
    }

    /// Whether the program has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    /// The program has ended. Only the first ending counts.
    pub(super) fn end(&self, ending: Ending) {
        let mut state = self.state();
        if std::mem::replace(&mut state.has_ended, true) {
            return;
        }
        state.note_time();
        state.ending = Some(ending);
        // Nobody may have looked when it was told before, and the loop keeps count of who is there.
        state.is_rung &= !state.is_stopped;
        self.tell(&mut state);
    }
}

impl State {
    /// Whether it has been stopped, or its time is up.
    fn may_not_go_on(&self) -> bool {
        self.is_stopped || self.left_until.is_some_and(|until| Instant::now() >= until)
    }

    /// On the thread of the program.
    fn note_time(&mut self) {
        if let Some(begun) = self.begun {
            self.usage.cpu_time = Some(cpu_time().saturating_sub(begun));
        }
    }

    fn has_input(&self) -> bool {
        self.input_read < self.input.len() || self.input_ended
    }

    fn input_room(&self) -> usize {
        ROOM.saturating_sub(self.input.len() - self.input_read)
    }
}

#[cfg(test)]
mod tests;
