//! What a flow asks of whoever has the stream and the VMs.

use super::{Marks, Piece, Unreadable};
use crate::proxy_wasm::Action;

/// The world outside of a flow. A filter is named by the number that its stage got ([`Stage::new`](super::Stage::new)).
///
/// A callback answers `Err` when the stream does not go on: the filter has answered itself, has failed, has closed the stream.
/// The flow does nothing more then, and hands the reason on. A filter that has failed, and that the stream goes on without,
/// is skipped ([`Flow::skip`](super::Flow::skip)), and its callback answers [`Action::Continue`].
pub trait Exit {
    /// What bodies are made of.
    type Piece: Piece;
    /// Why the stream does not go on.
    type Stop: From<Fault>;

    /// Whether the stream ends with its headers, as they are now.
    fn ends_with_headers(&self) -> bool;

    /// Runs the callback about headers; `end` is what [`Exit::ends_with_headers`] said right before.
    fn on_headers(&self, run: usize, end: bool) -> Result<Action, Self::Stop>;

    /// Headers are about to go by a filter that has no callback about them.
    fn headers_go_by(&self, _run: usize) -> Result<(), Self::Stop> {
        Ok(())
    }

    /// Runs the callback about the body, of which the filter is shown `size` bytes. They are in the flow meanwhile
    /// ([`Flow::read`](super::Flow::read)).
    fn on_body(&self, run: usize, size: usize, end: bool) -> Result<Action, Self::Stop>;

    /// Runs the callback about trailers.
    fn on_trailers(&self, run: usize) -> Result<Action, Self::Stop>;

    /// Whether a filter that has answered `action` to headers, and holds them, is shown the body nevertheless. Not when no body
    /// is to follow that filters could see.
    fn shows_body(&self, action: Action) -> bool;

    /// Whether a filter may hold so many bytes. `false` ends the stream with [`Fault::TooLarge`].
    fn may_hold(&self, run: usize, bytes: usize) -> bool;

    /// All stages have let the headers through, of which at least one had held them. Those that none of them holds have passed
    /// when [`Flow::headers`](super::Flow::headers) returns, and this is not called.
    fn headers_passed(&self) -> Result<(), Self::Stop>;

    /// Takes what leaves the last stage. Nothing more is brought to the same flow before it returns: what comes later would
    /// overtake what a stage has just let go.
    fn pass(&self, piece: Self::Piece, marks: Marks) -> Result<(), Self::Stop>;
}

/// Why a flow itself ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A filter would hold more of the body than it may, or has made it larger.
    TooLarge,
    /// A piece could not be read.
    Unreadable,
}

impl From<Unreadable> for Fault {
    fn from(_: Unreadable) -> Fault {
        Fault::Unreadable
    }
}
