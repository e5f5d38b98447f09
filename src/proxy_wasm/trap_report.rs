//! What the log says of a callback, or a start, that failed, in one entry: `ngx_module/src/http/host/` and `filters/root_host.rs` write
//! it. Nginx cuts long entries, so the guest's backtrace comes last, and has as many frames as fit.

use super::errors::{CallError, StartError};
use crate::vm::Trap;

impl CallError {
    /// What happened, then `after`, and as many frames of the guest as fit: the text has `room` bytes at most.
    pub fn report(&self, after: &str, room: usize) -> String {
        let CallError::Trap { callback, context, trap } = self else { return cut(format!("{self}{after}"), room) };
        let happened = format!("{} trapped in context {context}: {trap}", callback.name());
        with_frames(happened, trap, after, room)
    }
}

impl StartError {
    /// As [`CallError::report`].
    pub fn report(&self, after: &str, room: usize) -> String {
        match self {
            StartError::Call(err) => err.report(after, room),
            StartError::Instantiate { trap } => with_frames(trap.to_string(), trap, after, room),
            other => cut(format!("{other}{after}"), room),
        }
    }
}

fn with_frames(happened: String, trap: &Trap, after: &str, room: usize) -> String {
    let mut text = cut(happened, room.saturating_sub(after.len()));
    text.push_str(after);
    let text = cut(text, room);
    const BEGIN: &str = " (guest backtrace: ";
    const MORE: &str = " < ...";
    let mut trace = String::new();
    for (n, frame) in trap.backtrace().iter().enumerate() {
        let frame: String = frame.chars().map(|char| if char.is_control() { '?' } else { char }).collect();
        let between = if n == 0 { BEGIN } else { " < " };
        let is_last = n + 1 == trap.backtrace().len();
        let end = if is_last { 1 } else { MORE.len() + 1 };
        if text.len() + trace.len() + between.len() + frame.len() + end > room {
            if n > 0 {
                trace.push_str(MORE);
            }
            break;
        }
        trace.push_str(between);
        trace.push_str(&frame);
    }
    if !trace.is_empty() {
        trace.push(')');
    }
    text + &trace
}

/// The beginning of a text.
fn cut(mut text: String, room: usize) -> String {
    let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}
