//! One direction of a request on its way through the filters: the state machine of the library ([`ngx_wasm::flow`]), and beside it
//! what nginx has to know of the direction. `phases/` brings the pieces ([`drive`]) and takes what comes out behind the last stage.

pub mod drive;

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Deref;

use crate::http::body_limit::{Asked, Limit};
use crate::http::request::Request;
use crate::nginx::event::Event;

pub use crate::config::direction::Direction;
pub use crate::nginx::chain::Chain;
pub use crate::nginx::chunk::Chunk;
pub use crate::nginx::output::Output;
pub use ngx_wasm::flow::{Hold, Marks, Piece};

/// One direction of a request.
pub struct Way {
    /// The stages, and what they hold.
    flow: ngx_wasm::flow::Flow<Chunk>,
    /// The length of the body that was known before the filters saw the headers; `None`: none, or nobody has looked.
    pub known_length: Cell<Option<u64>>,
    /// The length that filters have given a body.
    pub told_length: Cell<Option<u64>>,
    /// Bytes behind the last stage.
    pub passed: Cell<u64>,
    /// The end has come from nginx.
    pub has_come: Cell<bool>,
    /// The end has passed the last stage.
    pub ended: Cell<bool>,
    /// How much of a body filters may hold in this request, when one of them has said so.
    pub asked: Cell<Option<Asked>>,
    /// The limit that a filter has passed.
    pub exceeded: Cell<Option<Limit>>,
    /// The filter for which it is counted that the direction waits, by its place in `MainConf::filters`.
    pub waits_for: Cell<Option<usize>>,
    /// Armed or posted when a stage holds the stream, or has let it go.
    pub event: OnceCell<Event<Request>>,
    /// What leaves the last stage and is not nginx's own.
    pub output: RefCell<Output>,
}

impl Deref for Way {
    type Target = ngx_wasm::flow::Flow<Chunk>;

    fn deref(&self) -> &Self::Target {
        &self.flow
    }
}

impl Default for Way {
    /// It is made in its place, not moved there.
    #[inline(always)]
    fn default() -> Self {
        Way {
            flow: ngx_wasm::flow::Flow::new(),
            known_length: Cell::new(None),
            told_length: Cell::new(None),
            passed: Cell::new(0),
            has_come: Cell::new(false),
            ended: Cell::new(false),
            asked: Cell::new(None),
            exceeded: Cell::new(None),
            waits_for: Cell::new(None),
            event: OnceCell::new(),
            output: RefCell::default(),
        }
    }
}

impl Way {
    /// Begins again with other filters. What is under way behind the last stage stays.
    pub fn restart(&self) {
        self.flow.restart();
        self.known_length.set(None);
        self.told_length.set(None);
        self.passed.set(0);
        self.has_come.set(false);
        self.ended.set(false);
        self.asked.set(None);
        self.exceeded.set(None);
    }
}
