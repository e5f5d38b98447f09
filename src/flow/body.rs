//! The body, as a filter sees it whose callback runs, or who holds it.

use super::{Fault, Flow, Hold, Piece, Unreadable, piece};
use crate::proxy_wasm::splice;

impl<P: Piece> Flow<P> {
    /// The size of what a filter can look at: what its callback is about, or what it holds. `None`: there is nothing now.
    pub fn body_len(&self, run: usize) -> Option<usize> {
        let n = self.stage_of(run)?;
        match self.take_shown(n) {
            Some(piece) => {
                let len = piece.len();
                self.show(n, piece);
                Some(len)
            }
            None => self.at(n, |stage| stage.lets_look().then(|| stage.held_len()))?,
        }
    }

    /// Appends up to `len` bytes, from `start` on, of what a filter can look at to `out`. `None`: there is nothing now.
    pub fn read(&self, run: usize, start: usize, len: usize, out: &mut Vec<u8>) -> Option<Result<(), Unreadable>> {
        let n = self.stage_of(run)?;
        match self.take_shown(n) {
            Some(piece) => {
                let result = piece.read(start, len, out);
                self.show(n, piece);
                Some(result)
            }
            None => self.at(n, |stage| {
                stage.lets_look().then(|| {
                    let held = stage.held.take();
                    piece::read(&held, start, len, out);
                    stage.held.set(held);
                    Ok(())
                })
            })?,
        }
    }

    /// Puts `bytes` in the place of `size` bytes from `start` on of what a filter can look at, as
    /// [`splice`](crate::proxy_wasm::splice) does. `None`: there is nothing now.
    ///
    /// A filter may make of it what has `limit` bytes, or as much as there is. When it wants more, or the body cannot be read,
    /// nothing is changed, and the stream ends when the callback does, or when it is to go on.
    pub fn change(&self, run: usize, start: u32, size: u32, bytes: &[u8], limit: usize) -> Option<Result<(), Fault>> {
        let len = self.body_len(run)?;
        let n = self.stage_of(run)?;
        let replaced = len.saturating_sub(start as usize).min(size as usize);
        if (len - replaced).saturating_add(bytes.len()) > limit.max(len) {
            return Some(Err(self.spoil(Fault::TooLarge)));
        }
        self.changed.set(true);
        if let Some(piece) = self.take_shown(n) {
            let Ok(mut own) = piece.into_bytes() else { return Some(Err(self.spoil(Fault::Unreadable))) };
            splice(&mut own, start, size, bytes);
            self.show(n, own.into());
            return Some(Ok(()));
        }
        self.at(n, |stage| {
            let mut held = stage.held.take();
            splice(&mut held, start, size, bytes);
            stage.held.set(held);
            Ok(())
        })
    }

    fn spoil(&self, fault: Fault) -> Fault {
        self.spoiled.set(Some(fault));
        fault
    }

    /// Has the filter of stage `n` look at a piece.
    pub(super) fn show(&self, n: usize, piece: P) {
        self.shown.set(Some((n, piece)));
    }

    /// What the filter of stage `n` looks at, if its callback runs.
    pub(super) fn take_shown(&self, n: usize) -> Option<P> {
        match self.shown.take() {
            Some((shown, piece)) if shown == n => Some(piece),
            other => {
                self.shown.set(other);
                None
            }
        }
    }
}

impl super::Stage {
    /// Whether its filter can look at what it holds of the body.
    fn lets_look(&self) -> bool {
        match self.hold.get() {
            Hold::HeadersOnly | Hold::Body | Hold::Trailers => true,
            Hold::Open | Hold::Headers => false,
        }
    }
}
