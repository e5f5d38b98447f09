//! What is counted for each filter.

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// A callback was run.
    Call,
    /// A request has got a context of the filter.
    Request,
    /// A callback trapped, other than by the two below.
    Trap,
    /// A callback took longer than `wasm_timeout`.
    Timeout,
    /// A request used up its `wasm_fuel`.
    OutOfFuel,
    /// A new instance took the place of one that had failed.
    Restart,
    /// An instance did not start.
    StartFailure,
    /// A new instance took the place of one that had grown.
    Recycle,
    /// The memory limit refused growth.
    RefusedGrowth,
    /// A request failed because the filter had failed, or was not there.
    Closed,
    /// A request went on without the filter.
    Open,
    /// An instance for a request came from the pool.
    Pooled,
    /// The pool was empty, and an instance was made without it.
    PoolExhausted,
    /// The instance of a request was put back for another one.
    PutBack,
    /// It could not be, and has ended.
    NotPutBack,
    /// `proxy_wasm_allow` kept the filter from something.
    Denied,
    /// A line was not logged because of `proxy_wasm_log_rate`.
    DroppedLine,
    /// A program did not begin, because all threads were busy and the queue was full.
    NoThread,
}

impl Event {
    /// All, with the names that operators see.
    pub const ALL: [(Event, &'static str); EVENTS] = [
        (Event::Call, "calls"),
        (Event::Request, "requests"),
        (Event::Trap, "traps"),
        (Event::Timeout, "timeouts"),
        (Event::OutOfFuel, "out_of_fuel"),
        (Event::Restart, "restarts"),
        (Event::StartFailure, "start_failures"),
        (Event::Recycle, "recycled"),
        (Event::RefusedGrowth, "refused_growth"),
        (Event::Closed, "failed_requests"),
        (Event::Open, "bypassed_requests"),
        (Event::Pooled, "pooled"),
        (Event::PoolExhausted, "pool_exhausted"),
        (Event::PutBack, "put_back"),
        (Event::NotPutBack, "not_put_back"),
        (Event::Denied, "denied"),
        (Event::DroppedLine, "dropped_lines"),
        (Event::NoThread, "no_thread"),
    ];
}

/// How many kinds of events there are.
pub const EVENTS: usize = Event::NoThread as usize + 1;
