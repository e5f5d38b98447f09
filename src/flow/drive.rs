//! Headers, pieces of the body and trailers on their way from stage to stage.
//!
//! A filter that is called reaches the flow too: what is known of a stage before a callback is looked at again after it.

use super::stage::Released;
use super::{Exit, Fault, Flow, Hold, Marks, Piece, Stage};
use crate::proxy_wasm::Action;

impl<P: Piece> Flow<P> {
    /// Shows headers to the stages that have not let them through, until one holds them.
    pub fn headers<E: Exit<Piece = P>>(&self, exit: &E) -> Result<(), E::Stop> {
        loop {
            let n = self.headers.get();
            let facts = self.at(n, |stage| {
                let (is_held, is_skipped) = (stage.is_held(), stage.is_skipped.get());
                if !is_held && !is_skipped {
                    stage.resumed.set(false);
                }
                (stage.run, is_held, is_skipped, stage.ignores_headers)
            });
            let Some((run, is_held, is_skipped, ignores)) = facts else { return Ok(()) };
            if is_held {
                return Ok(());
            }
            if ignores && !is_skipped {
                exit.headers_go_by(run)?;
            } else if !is_skipped {
                let end = exit.ends_with_headers();
                let action = exit.on_headers(run, end)?;
                let shows_body = action != Action::Continue && !end && exit.shows_body(action);
                if self.at(n, |stage| stage.after_headers(action, shows_body)) != Some(true) {
                    return Ok(());
                }
            }
            self.headers.set(n + 1);
        }
    }

    /// Sends a piece of the body through the stages from number `first` on.
    pub fn data<E: Exit<Piece = P>>(&self, exit: &E, first: usize, piece: P, marks: Marks) -> Result<(), E::Stop> {
        let (mut piece, mut n) = (piece, first);
        loop {
            let facts = self.at(n, |stage| {
                (stage.is_to_go_on(), stage.hold.get(), stage.keeps_body_unseen(), stage.wants_body.get())
            });
            let Some((goes_on, hold, keeps, wants)) = facts else { return exit.pass(piece, marks) };
            if goes_on {
                self.go_on(exit, n)?;
                continue;
            }
            if keeps {
                self.at(n, |stage| stage.end.set(stage.end.get() | marks.last));
                return self.keep(exit, n, piece);
            }
            if !wants || (piece.is_empty() && !marks.last) {
                // Only the end, or something to show, is worth a callback.
                if hold != Hold::Open {
                    return Ok(());
                }
                n += 1;
                continue;
            }
            if hold != Hold::Open {
                self.keep(exit, n, piece)?;
                piece = self.at(n, |stage| stage.held.take()).unwrap_or_default().into();
            }
            let action = self.show_body(exit, n, &mut piece, marks.last)?;
            if self.at(n, |stage| stage.after_body(action, marks.last)) != Some(true) {
                if action == Action::PauseAndDrop {
                    self.changed.set(true);
                    piece.into_bytes().map_err(Fault::from)?;
                    return Ok(());
                }
                return self.keep(exit, n, piece);
            }
            if hold == Hold::HeadersOnly {
                self.go_on_with_headers(exit, n)?;
            }
            n += 1;
        }
    }

    /// Shows trailers, which end the stream, to the stages from number `first` on.
    pub fn trailers<E: Exit<Piece = P>>(&self, exit: &E, first: usize) -> Result<(), E::Stop> {
        let mut n = first;
        loop {
            let facts =
                self.at(n, |stage| (stage.is_to_go_on(), stage.run, stage.hold.get(), stage.wants_trailers.get()));
            let Some((goes_on, run, hold, wants)) = facts else { break };
            if goes_on {
                self.go_on(exit, n)?;
                continue;
            }
            if hold == Hold::Headers || (hold == Hold::HeadersOnly && !wants) {
                self.at(n, |stage| stage.trailers.set(true));
                return Ok(());
            }
            self.at(n, |stage| stage.resumed.set(false));
            let action = if wants { exit.on_trailers(run)? } else { Action::Continue };
            self.check_changes()?;
            if self.at(n, |stage| stage.after_trailers(action)) != Some(true) {
                return Ok(());
            }
            self.let_go(exit, n)?;
            n += 1;
        }
        exit.pass(Vec::new().into(), Marks { last: true, ..Marks::default() })
    }

    /// Goes on where filters have asked for it.
    pub fn resume<E: Exit<Piece = P>>(&self, exit: &E) -> Result<(), E::Stop> {
        self.check_changes()?;
        for n in 0..self.len() {
            if self.at(n, Stage::is_to_go_on) == Some(true) {
                self.go_on(exit, n)?;
            }
        }
        Ok(())
    }

    /// Lets go what stage number `n` holds, as its filter has asked.
    fn go_on<E: Exit<Piece = P>>(&self, exit: &E, n: usize) -> Result<(), E::Stop> {
        self.check_changes()?;
        self.let_go(exit, n)
    }

    /// Opens a stage, and sends on what it holds.
    fn let_go<E: Exit<Piece = P>>(&self, exit: &E, n: usize) -> Result<(), E::Stop> {
        let Some(Released { hold, body, end, trailers }) = self.at(n, Stage::release) else { return Ok(()) };
        if hold != Hold::Open {
            self.go_on_with_headers(exit, n)?;
        }
        // Its filter has seen the rest, unless that is behind headers that it held.
        let next = if hold == Hold::Headers { n } else { n + 1 };
        if !body.is_empty() || end {
            self.data(exit, next, body.into(), Marks::of_held(end))?;
        }
        if trailers { self.trailers(exit, next) } else { Ok(()) }
    }

    /// Stage number `n` lets the headers go, if it had them.
    fn go_on_with_headers<E: Exit<Piece = P>>(&self, exit: &E, n: usize) -> Result<(), E::Stop> {
        if self.headers.get() > n {
            return Ok(());
        }
        self.headers.set(n + 1);
        self.headers(exit)?;
        if self.headers_passed() { exit.headers_passed() } else { Ok(()) }
    }

    /// Adds a piece to what a stage holds.
    fn keep<E: Exit<Piece = P>>(&self, exit: &E, n: usize, piece: P) -> Result<(), E::Stop> {
        let Some((run, held)) = self.at(n, |stage| (stage.run, stage.held_len())) else { return Ok(()) };
        if !exit.may_hold(run, held.saturating_add(piece.len())) {
            return Err(Fault::TooLarge.into());
        }
        let bytes = piece.into_bytes().map_err(Fault::from)?;
        self.at(n, |stage| stage.hold_more(bytes));
        Ok(())
    }

    /// Runs a callback about the body; the filter may change `piece`.
    fn show_body<E: Exit<Piece = P>>(&self, exit: &E, n: usize, piece: &mut P, end: bool) -> Result<Action, E::Stop> {
        let run = self.at(n, |stage| {
            stage.resumed.set(false);
            stage.run
        });
        let Some(run) = run else { return Ok(Action::Continue) };
        let size = piece.len();
        self.show(n, std::mem::replace(piece, Vec::new().into()));
        let result = exit.on_body(run, size, end);
        if let Some(now) = self.take_shown(n) {
            *piece = now;
        }
        let action = result?;
        self.check_changes()?;
        Ok(action)
    }

    /// Ends the stream when a filter could not change the body: nobody else is to see what it wanted to change.
    fn check_changes(&self) -> Result<(), Fault> {
        self.spoiled.take().map_or(Ok(()), Err)
    }
}
