//! The way of a stream through its filters, without I/O: headers, then the body piece by piece, then trailers. Each filter is
//! a stage, which lets everything through or holds it back, and what leaves the last stage goes on to the network. The rules
//! are Envoy's filter manager's, as the reference host shows them to Proxy-Wasm filters.
//!
//! A [`Flow`] is one direction of a stream: requests and responses have one each. Whoever has the network brings what comes
//! ([`Flow::headers`], [`Flow::data`], [`Flow::trailers`]) and calls [`Flow::resume`] when a filter has asked to go on outside
//! of its callback. What the flow needs from outside, it asks of an [`Exit`]: to run a callback of a filter, and to take what
//! leaves the last stage. A body is in pieces of a type of their own ([`Piece`]), so that a proxy can pass its buffers on as
//! they are when no filter holds or changes them.
//!
//! While a callback runs, its filter reaches the same flow through the host calls: it asks to go on ([`Flow::ask_to_go_on`]),
//! looks at the body and changes it ([`Flow::body_len`], [`Flow::read`], [`Flow::change`]). So all of this takes `&self`, and
//! nothing of a flow is borrowed while an [`Exit`] or a [`Piece`] is called.
//!
//! | file | |
//! | --- | --- |
//! | `stage.rs` | one filter: what it holds, and what its answers do to that |
//! | `direction.rs` | [`Flow`]: all stages of a direction, and what can be asked about them |
//! | `drive.rs` | headers, pieces, trailers on their way from stage to stage |
//! | `body.rs` | the body as the filter sees it whose callback runs, or who holds it |
//! | `exit.rs`, `piece.rs` | what is asked of whoever uses this |

mod body;
mod direction;
mod drive;
mod exit;
mod piece;
mod stage;
#[cfg(test)]
mod tests;

pub use direction::Flow;
pub use exit::{Exit, Fault};
pub use piece::{Marks, Piece, Unreadable};
pub use stage::{Hold, Stage};
