//! Statements: `[@CALLBACK] [CONDITION...] TEXT`, separated by `;` or newlines; `name NAME` names the filter.

/// What happens now: a callback, how often it has come to this instance, how often any about a stream has, and which start
/// of the filter this instance is.
pub struct Moment {
    pub callback: &'static str,
    pub count: u32,
    pub any: u32,
    pub start: u32,
}

#[derive(Clone)]
pub struct Statement {
    callback: String,
    conditions: Vec<Condition>,
    pub text: String,
}

#[derive(Clone, Copy)]
enum Condition {
    Every(u32),
    Nth(u32),
    From(u32),
    Start(u32),
    StartFrom(u32),
    StartUntil(u32),
}

impl Condition {
    fn parse(word: &str) -> Option<Condition> {
        let (name, number) = word.split_once(':')?;
        let number = number.parse().ok()?;
        Some(match name {
            "every" if number > 0 => Condition::Every(number),
            "nth" => Condition::Nth(number),
            "from" => Condition::From(number),
            "start" => Condition::Start(number),
            "start-from" => Condition::StartFrom(number),
            "start-until" => Condition::StartUntil(number),
            _ => return None,
        })
    }

    fn holds(self, count: u32, start: u32) -> bool {
        match self {
            Condition::Every(n) => count % n == 0,
            Condition::Nth(n) => count == n,
            Condition::From(n) => count >= n,
            Condition::Start(n) => start == n,
            Condition::StartFrom(n) => start >= n,
            Condition::StartUntil(n) => start <= n,
        }
    }
}

impl Statement {
    pub fn is_due(&self, moment: &Moment) -> bool {
        let count = match self.callback.as_str() {
            "any" if moment.any > 0 && is_about_streams(moment.callback) => moment.any,
            callback if callback == moment.callback => moment.count,
            _ => return false,
        };
        self.conditions.iter().all(|condition| condition.holds(count, moment.start))
    }
}

/// Whether `@any` means this callback, too.
pub fn is_about_streams(callback: &str) -> bool {
    callback.starts_with("request-")
        || callback.starts_with("response-")
        || matches!(callback, "done" | "log" | "delete")
}

/// The name, if the text has one, and its statements.
pub fn parse(text: &str) -> (Option<String>, Vec<Statement>) {
    let mut name = None;
    let mut statements = Vec::new();
    for text in text.split([';', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
        match text.strip_prefix("name ") {
            Some(told) => name = Some(told.into()),
            None => statements.push(statement(text)),
        }
    }
    (name, statements)
}

fn statement(mut rest: &str) -> Statement {
    let mut callback = "request-headers";
    let mut conditions = Vec::new();
    loop {
        let (word, others) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some(name) = word.strip_prefix('@') {
            callback = name;
        } else if let Some(condition) = Condition::parse(word) {
            conditions.push(condition);
        } else {
            return Statement { callback: callback.into(), conditions, text: rest.into() };
        }
        rest = others.trim_start();
    }
}
