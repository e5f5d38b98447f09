//! A filter, as one direction of a stream sees it: what it holds back, and what its answers do to that.

use std::cell::Cell;

use crate::proxy_wasm::Action;

/// What a stage holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    #[default]
    Open,
    /// Headers and everything behind them; nothing of that is shown to the filter.
    Headers,
    /// Headers; the body is shown to the filter, and held back too (`proxy_wasm_headers_stop_iteration`, plugins for Higress).
    HeadersOnly,
    /// The body.
    Body,
    /// Trailers, and what it held when they came: the body, or headers and body. The filter has seen all of it.
    Trailers,
}

/// A filter in one direction of a stream.
#[derive(Default)]
pub struct Stage {
    pub(super) run: usize,
    pub(super) hold: Cell<Hold>,
    /// The body that it holds back.
    pub(super) held: Cell<Vec<u8>>,
    /// The end of the body is among what it holds back.
    pub(super) end: Cell<bool>,
    /// Trailers are among what it holds back.
    pub(super) trailers: Cell<bool>,
    /// The filter has asked to go on, in the callback that runs or since it paused.
    pub(super) resumed: Cell<bool>,
    /// The filter is not asked about headers.
    pub(super) is_skipped: Cell<bool>,
    pub(super) ignores_headers: bool,
    pub(super) wants_body: Cell<bool>,
    pub(super) wants_trailers: Cell<bool>,
}

/// What a stage has let go.
pub(super) struct Released {
    pub hold: Hold,
    pub body: Vec<u8>,
    pub end: bool,
    pub trailers: bool,
}

impl Stage {
    /// The stage of a filter, which is number `run` of those of the stream, and may have a callback about the body and one about
    /// trailers.
    pub fn new(run: usize, wants_body: bool, wants_trailers: bool) -> Stage {
        Stage { run, wants_body: wants_body.into(), wants_trailers: wants_trailers.into(), ..Stage::default() }
    }

    /// The same of a filter that has no callback about headers: they go by as if it had let them through.
    pub fn ignoring_headers(self) -> Stage {
        Stage { ignores_headers: true, ..self }
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.get() != Hold::Open
    }

    /// Whether the filter has asked to go on, since it paused. What it holds goes before all that comes.
    pub(super) fn is_to_go_on(&self) -> bool {
        self.is_held() && self.resumed.get()
    }

    /// Whether what comes of the body waits here without being shown to the filter.
    pub(super) fn keeps_body_unseen(&self) -> bool {
        match self.hold.get() {
            Hold::Headers | Hold::Trailers => true,
            Hold::HeadersOnly | Hold::Body => !self.wants_body.get(),
            Hold::Open => false,
        }
    }

    /// The filter has answered to headers. Whether they go on.
    pub(super) fn after_headers(&self, action: Action, shows_body: bool) -> bool {
        let is_resumed = self.resumed.take();
        if action == Action::Continue || is_resumed {
            return true;
        }
        // Without a callback about the body, nothing of it could make the headers go on.
        self.hold.set(if shows_body && self.wants_body.get() { Hold::HeadersOnly } else { Hold::Headers });
        false
    }

    /// The filter has answered to a part of the body, of which the end may be one. Whether it goes on; it is for the caller to
    /// keep it otherwise.
    pub(super) fn after_body(&self, action: Action, end: bool) -> bool {
        let is_resumed = self.resumed.take();
        let pauses = matches!(action, Action::Pause | Action::PauseAll | Action::PauseAndDrop);
        if !pauses || is_resumed {
            self.hold.set(Hold::Open);
            return true;
        }
        if self.hold.get() == Hold::Open {
            self.hold.set(Hold::Body);
        }
        self.end.set(self.end.get() | end);
        false
    }

    /// The filter has answered to trailers. Whether they go on, and with them what the stage holds.
    pub(super) fn after_trailers(&self, action: Action) -> bool {
        let is_resumed = self.resumed.take();
        if action == Action::Continue || is_resumed {
            return true;
        }
        self.hold.set(Hold::Trailers);
        self.trailers.set(true);
        false
    }

    /// Lets go what it holds.
    pub(super) fn release(&self) -> Released {
        self.resumed.set(false);
        Released {
            hold: self.hold.take(),
            body: self.held.take(),
            end: self.end.take(),
            trailers: self.trailers.take(),
        }
    }

    /// How many bytes of the body it holds.
    pub(super) fn held_len(&self) -> usize {
        let held = self.held.take();
        let len = held.len();
        self.held.set(held);
        len
    }

    /// Adds to the body that it holds.
    pub(super) fn hold_more(&self, bytes: Vec<u8>) {
        let mut held = self.held.take();
        if held.is_empty() {
            held = bytes;
        } else {
            held.extend_from_slice(&bytes);
        }
        self.held.set(held);
    }

    /// Does without the filter from now on. What it holds is to go on.
    pub(super) fn skip(&self) {
        self.is_skipped.set(true);
        self.wants_body.set(false);
        self.wants_trailers.set(false);
        self.resumed.set(self.resumed.get() | self.is_held());
    }
}
