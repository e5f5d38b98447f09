//! Filters of a request that are no part of the chain of nginx.conf: those that Lua runs. `host/` serves both kinds; what
//! differs is here as traits, and `lua/` implements them.

use std::any::Any;
use std::rc::Rc;

use ngx_wasm::proxy_wasm::{BufferType, ContextId};

use crate::config::direction::Direction;
use crate::filters::instances::Filter;
use crate::http::request::Request;
use crate::process::guest_log::GuestLog;

/// A filter that somebody else runs. It may have several contexts in one request.
pub trait Seat: Filter {
    /// The lines that it may log.
    fn lines(&self) -> &Rc<GuestLog>;
    /// Whether it has the ABI of Higress.
    fn of_higress(&self) -> bool;

    /// Shows `look` the body that its context looks at, or holds; without one, `look` is not called. It does nothing but look at
    /// the body, and change it.
    fn body(&self, request: &Request, context: ContextId, look: &mut dyn FnMut(&mut SeatBody));

    /// Its context asked the request to go on.
    fn resume(&self, request: &Request, context: ContextId, direction: Direction);
}

/// A body, or a part of it, that such a filter is shown.
pub struct SeatBody {
    pub buffer: BufferType,
    pub bytes: Vec<u8>,
    pub is_changed: bool,
    /// Who shows it has not all of it any more: the filter held a part.
    pub was_held: bool,
    /// A filter made it larger than the configuration allows.
    pub is_too_large: bool,
}

/// What is kept in a request for those who run filters in it.
pub trait Seats: Any {
    /// Wakes up who waits for something that has been decided now: about the whole request, when `is_decided`. Nobody goes on
    /// before the caller is done.
    fn wake(&mut self, is_decided: bool);

    /// Ends all contexts, in the log phase. The request does not have them any more.
    fn end(self: Box<Self>, request: &Request);
}
