//! The statements of the guest `bodies`.

/// The callback in which a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Log,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Place::RequestHeaders => "request-headers",
            Place::RequestBody => "request-body",
            Place::RequestTrailers => "request-trailers",
            Place::ResponseHeaders => "response-headers",
            Place::ResponseBody => "response-body",
            Place::ResponseTrailers => "response-trailers",
            Place::Log => "log",
        }
    }

    pub fn is_request(self) -> bool {
        matches!(self, Place::RequestHeaders | Place::RequestBody | Place::RequestTrailers)
    }
}

#[derive(Clone, Debug)]
pub enum Verb {
    Hold,
    HoldUntilEnd,
    Sum,
    Prepend(String),
    Append(String),
    Replace(String),
    Range(usize, usize, String),
    Fill(usize),
    Upper,
    Show,
    Size,
    Resume,
    Close,
    Trap,
    Respond(u32, String),
    RespondIf(String, u32, String),
    Add(String, String, String),
    Set(String, String, String),
    Remove(String, String),
    Get(String, String),
}

#[derive(Clone, Debug)]
pub struct Statement {
    pub place: Place,
    /// Only when the callback is the last about its body.
    pub only_end: bool,
    /// Only at this call of the callback, the first being 1.
    pub call: Option<u32>,
    /// Not in the callback, but in the next tick.
    pub at_tick: bool,
    pub verb: Verb,
}

/// The first word of the text and what follows it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start())
}

impl Statement {
    /// None: it is wrong.
    pub fn parse(text: &str) -> Option<Statement> {
        let (place, mut rest) = word(text);
        let (place, only_end) = match place {
            "request-headers" => (Place::RequestHeaders, false),
            "request-body" => (Place::RequestBody, false),
            "request-end" => (Place::RequestBody, true),
            "request-trailers" => (Place::RequestTrailers, false),
            "response-headers" => (Place::ResponseHeaders, false),
            "response-body" => (Place::ResponseBody, false),
            "response-end" => (Place::ResponseBody, true),
            "response-trailers" => (Place::ResponseTrailers, false),
            "log" => (Place::Log, false),
            _ => return None,
        };
        let (mut call, mut at_tick) = (None, false);
        loop {
            let (first, others) = word(rest);
            if first == "at-tick" {
                at_tick = true;
            } else if let Some(number) = first.strip_prefix('#') {
                call = Some(number.parse().ok()?);
            } else {
                break;
            }
            rest = others;
        }
        Some(Statement { place, only_end, call, at_tick, verb: verb(rest)? })
    }
}

fn verb(text: &str) -> Option<Verb> {
    let (verb, rest) = word(text);
    let (first, others) = word(rest);
    let (second, third) = word(others);
    Some(match verb {
        "hold" => Verb::Hold,
        "hold-until-end" => Verb::HoldUntilEnd,
        "sum" => Verb::Sum,
        "prepend" => Verb::Prepend(rest.into()),
        "append" => Verb::Append(rest.into()),
        "replace" => Verb::Replace(rest.into()),
        "range" => Verb::Range(first.parse().ok()?, second.parse().ok()?, third.into()),
        "fill" => Verb::Fill(rest.parse().ok()?),
        "upper" => Verb::Upper,
        "show" => Verb::Show,
        "size" => Verb::Size,
        "resume" => Verb::Resume,
        "close" => Verb::Close,
        "trap" => Verb::Trap,
        "respond" => Verb::Respond(first.parse().ok()?, others.into()),
        "respond-if" => Verb::RespondIf(first.into(), second.parse().ok()?, third.into()),
        "add" => Verb::Add(first.into(), second.into(), third.into()),
        "set" => Verb::Set(first.into(), second.into(), third.into()),
        "remove" => Verb::Remove(first.into(), second.into()),
        "get" => Verb::Get(first.into(), second.into()),
        _ => return None,
    })
}
