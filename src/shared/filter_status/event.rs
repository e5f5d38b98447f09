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
    /// A filter answered itself, with a status 2xx.
    AnswerSuccess,
    /// The same with 3xx.
    AnswerRedirect,
    /// The same with 4xx.
    AnswerClientError,
    /// The same with 5xx.
    AnswerServerError,
    /// The same with any other number.
    AnswerOther,
}

/// How many kinds of events there are.
pub const EVENTS: usize = Event::AnswerOther as usize + 1;

/// How an event is shown: in JSON, and with `_total` behind it to Prometheus; with what it says there.
pub struct Shown {
    /// The event.
    pub event: Event,
    /// Its name.
    pub name: &'static str,
    /// What it counts of filters, if it does.
    pub of_filters: Option<&'static str>,
    /// The same of programs.
    pub of_programs: Option<&'static str>,
}

const fn shown(
    event: Event,
    name: &'static str,
    of_filters: Option<&'static str>,
    of_programs: Option<&'static str>,
) -> Shown {
    Shown { event, name, of_filters, of_programs }
}

/// How many kinds of events there are beside answers.
const PLAIN: usize = Event::NoThread as usize + 1;

impl Event {
    /// All but the answers, in their order, with what operators see of them.
    pub const ALL: [Shown; PLAIN] = [
        shown(Event::Call, "calls", Some("Callbacks that were run."), None),
        shown(
            Event::Request,
            "requests",
            Some("Requests that have got a context of the filter."),
            Some("Requests that the program was begun for."),
        ),
        shown(
            Event::Trap,
            "traps",
            Some("Callbacks that trapped, other than by a limit of time or fuel."),
            Some("Runs that trapped, other than by a limit of time or fuel."),
        ),
        shown(
            Event::Timeout,
            "timeouts",
            Some("Callbacks that took longer than wasm_timeout."),
            Some("Runs that took longer than wasm_timeout or wasm_program_timeout."),
        ),
        shown(
            Event::OutOfFuel,
            "out_of_fuel",
            Some("Callbacks that ended because wasm_fuel was used up."),
            Some("Runs that ended because wasm_fuel was used up."),
        ),
        shown(Event::Restart, "restarts", Some("New instances in the place of failed ones."), None),
        shown(
            Event::StartFailure,
            "start_failures",
            Some("Instances that did not start."),
            Some("Instances of the program that did not start."),
        ),
        shown(
            Event::Recycle,
            "recycled",
            Some("New instances in the place of ones that had grown (proxy_wasm_recycle)."),
            None,
        ),
        shown(
            Event::RefusedGrowth,
            "refused_growth",
            Some("Times that wasm_memory_limit refused memory."),
            Some("Times that wasm_memory_limit refused memory."),
        ),
        shown(
            Event::Closed,
            "failed_requests",
            Some("Requests that failed because of the filter."),
            Some("Requests that failed because of the program."),
        ),
        shown(Event::Open, "bypassed_requests", Some("Requests that went on without the filter."), None),
        shown(Event::Pooled, "pooled", Some("Instances for requests that came from the pool (instance_pool)."), None),
        shown(
            Event::PoolExhausted,
            "pool_exhausted",
            Some("Instances for requests that did not come from the pool because it was empty."),
            None,
        ),
        shown(Event::PutBack, "put_back", Some("Instances of requests that were put back for the next one."), None),
        shown(Event::NotPutBack, "not_put_back", Some("Instances of requests that could not be put back."), None),
        shown(Event::Denied, "denied", Some("Calls that proxy_wasm_allow refused."), None),
        shown(
            Event::DroppedLine,
            "dropped_lines",
            Some("Lines that proxy_wasm_log_rate kept from the log."),
            Some("Lines that proxy_wasm_log_rate kept from the log."),
        ),
        shown(
            Event::NoThread,
            "no_thread",
            None,
            Some("Requests whose program did not begin because all threads were busy."),
        ),
    ];
    /// Answers of filters by the class of their status, with its name.
    pub const ANSWERS: [(Event, &'static str); EVENTS - PLAIN] = [
        (Event::AnswerSuccess, "2xx"),
        (Event::AnswerRedirect, "3xx"),
        (Event::AnswerClientError, "4xx"),
        (Event::AnswerServerError, "5xx"),
        (Event::AnswerOther, "other"),
    ];

    /// That a filter has answered with this status.
    pub fn of_answer(status: u32) -> Event {
        match status {
            200..=299 => Event::AnswerSuccess,
            300..=399 => Event::AnswerRedirect,
            400..=499 => Event::AnswerClientError,
            500..=599 => Event::AnswerServerError,
            _ => Event::AnswerOther,
        }
    }
}
