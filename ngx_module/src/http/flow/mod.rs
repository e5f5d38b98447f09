//! How one direction of a request goes through its filters: headers, then the body piece by piece, then trailers. Each
//! filter is a stage, which lets everything through or holds it back.
//!
//! The order of stages is that in which the direction passes them. `phases/` brings the pieces ([`drive::headers`],
//! [`drive::data`], [`drive::trailers`], [`drive::resume`]) and takes what comes out behind the last stage.

pub mod drive;

use nginx_sys::ngx_event_t;
use smallvec::SmallVec;

use crate::http::body_limit::{Asked, Limit};

pub use crate::config::direction::Direction;
pub use crate::nginx::chunk::{Chunk, Marks, Unreadable, buf_len, consume, free_links};
pub use crate::nginx::output::Output;

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
    /// Trailers, and what it held of the body.
    Trailers,
}

/// A filter, as one direction sees it.
#[derive(Default)]
pub struct Stage {
    /// Its place among the filters of the request.
    pub run: usize,
    pub hold: Hold,
    /// The body that it holds back.
    pub held: Vec<u8>,
    /// The end of the body is among what it holds back.
    pub end: bool,
    /// Trailers have come while it held the headers.
    pub trailers: bool,
    /// The filter has asked to go on, in the callback that runs or since it paused.
    pub resumed: bool,
    /// The filter has not seen the request that is being answered, so it does not see the answer.
    pub is_skipped: bool,
    /// The filter has a callback about the body.
    pub wants_body: bool,
    /// The filter has a callback about trailers.
    pub wants_trailers: bool,
    /// The filter has the ABI of Higress.
    pub of_higress: bool,
}

/// One direction of a request.
pub struct Flow {
    pub stages: SmallVec<[Stage; 2]>,
    /// The stages that have let the headers through.
    pub headers: usize,
    /// The stages that have seen the body.
    pub body: usize,
    /// What the callback that runs can look at, and whose callback it is.
    pub current: Option<(usize, Chunk)>,
    /// A filter changed the body.
    pub changed: bool,
    /// The length of the body that was known before the filters saw the headers; -1: none.
    pub known_length: i64,
    /// The length that filters have given a body.
    pub told_length: Option<u64>,
    /// Bytes behind the last stage.
    pub passed: u64,
    /// The end has passed the last stage.
    pub ended: bool,
    /// A filter made the body larger than it may be.
    pub too_large: bool,
    /// How much of a body filters may hold in this request, when one of them has said so.
    pub asked: Option<Asked>,
    /// The limit that a filter has passed.
    pub exceeded: Option<Limit>,
    /// Armed or posted when a stage holds the stream, or has let it go; null before the first time.
    pub event: *mut ngx_event_t,
    /// What leaves the last stage and is not nginx's own.
    pub output: Output,
}

impl Default for Flow {
    fn default() -> Self {
        Flow {
            stages: SmallVec::new(),
            headers: 0,
            body: 0,
            current: None,
            changed: false,
            known_length: -1,
            told_length: None,
            passed: 0,
            ended: false,
            too_large: false,
            asked: None,
            exceeded: None,
            event: std::ptr::null_mut(),
            output: Output::default(),
        }
    }
}

impl Flow {
    /// Begins again with other filters. What is under way behind the last stage stays.
    pub fn restart(&mut self) {
        self.stages.clear();
        self.headers = 0;
        self.body = 0;
        self.current = None;
        self.changed = false;
        self.known_length = -1;
        self.told_length = None;
        self.passed = 0;
        self.ended = false;
        self.too_large = false;
        self.asked = None;
        self.exceeded = None;
    }

    /// Whether all stages have let the headers through.
    pub fn headers_passed(&self) -> bool {
        self.headers == self.stages.len()
    }

    /// Whether pieces of the body must go through the stages.
    pub fn wants_body(&self) -> bool {
        self.stages.iter().any(|stage| stage.wants_body)
    }

    /// Whether a filter looks at trailers.
    pub fn wants_trailers(&self) -> bool {
        self.stages.iter().any(|stage| stage.wants_trailers)
    }

    /// Whether a stage holds anything back.
    pub fn is_held(&self) -> bool {
        self.stages.iter().any(|stage| stage.hold != Hold::Open)
    }

    /// Whether only a filter can make the stream go on: it holds the headers back, or the end of the body.
    pub fn waits_for_filter(&self) -> bool {
        self.stages.iter().any(|stage| match stage.hold {
            Hold::Open => false,
            Hold::Headers | Hold::Trailers => true,
            Hold::HeadersOnly | Hold::Body => stage.end,
        })
    }

    /// The filter that the stream waits for.
    pub fn holder(&self) -> Option<usize> {
        self.stages.iter().find(|stage| stage.hold != Hold::Open).map(|stage| stage.run)
    }

    /// Whether a stage that holds something has been told to go on.
    pub fn is_resumed(&self) -> bool {
        self.stages.iter().any(|stage| stage.resumed && stage.hold != Hold::Open)
    }

    /// Stage number `n`.
    pub fn stage(&mut self, n: usize) -> Option<&mut Stage> {
        self.stages.get_mut(n)
    }

    /// The stage of a filter.
    pub fn stage_of(&self, run: usize) -> Option<usize> {
        self.stages.iter().position(|stage| stage.run == run)
    }
}
