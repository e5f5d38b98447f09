//! What directives say about filters one by one: what happens when a filter fails, in which instances it runs, what it may do.
//!
//! Such a directive stands in http, server or location, for all filters that are declared there or further in, or with
//! `filter=NAME` for those of that name. A filter goes by the level that declares it: what is said for its name there comes
//! first, then what is said for all, then the next level outwards. `directives/rules.rs` fills [`Rules`], `conf.rs` looks
//! into it once all levels are merged.

use std::path::Path;
use std::time::Duration;

use ngx_wasm::proxy_wasm::{Capabilities, LogLevel};

use crate::config::level::{Level, Levels};
use crate::nginx::complex_value::ComplexValue;
use crate::nginx::conf_position::ConfPosition;
use crate::nginx::request::HttpRequest;

/// What becomes of requests while a filter cannot do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// They fail with 503.
    Closed,
    /// They go on, as if the filter were not there.
    Open,
}

/// What happens when a callback of a filter traps, or takes too long, or when the filter does not start in a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The filter is not started again in this worker; requests do without it.
    Stay(Without),
    /// The request fails, and the next one gets a new instance. While that has to wait, requests do without.
    Reload(Without),
}

/// Which requests share an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All of a worker.
    Worker,
    /// None: each has its own, which is put back afterwards to what it was when it had started.
    Request,
    /// None: each has its own, which starts for it.
    FreshRequest,
}

/// When an instance that has grown is replaced by a new one, between requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recycle {
    Off,
    /// Near its memory limit.
    AtLimit,
    /// At so many bytes.
    At(usize),
}

impl Recycle {
    /// From how many bytes on, for an instance that may have `limit`; `None` is never.
    pub fn threshold(self, limit: usize) -> Option<usize> {
        match self {
            Recycle::Off => None,
            Recycle::AtLimit => Some(limit / 8 * 7),
            Recycle::At(size) => Some(size),
        }
    }
}

/// How long a filter that keeps failing waits for its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartDelay {
    pub first: Duration,
    pub longest: Duration,
    /// So many failures in a row cost no wait.
    pub at_once: u32,
}

impl Default for RestartDelay {
    fn default() -> Self {
        RestartDelay { first: Duration::from_secs(1), longest: Duration::from_secs(60), at_once: 10 }
    }
}

/// Whether a filter's callbacks are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    Off,
    /// All of them.
    On,
    /// Those about requests in which this is not empty, and not "0".
    If(ComplexValue),
}

impl Trace {
    /// Whether those about a request are.
    pub fn is_on_in(self, r: HttpRequest<'_>) -> bool {
        match self {
            Trace::Off => false,
            Trace::On => true,
            Trace::If(value) => value.of(r).is_some_and(|value| !matches!(value, b"" | b"0")),
        }
    }
}

const DEFAULT_LOG_RATE: u32 = 1000;

/// All that is said about one filter but what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub on_error: OnError,
    pub isolation: Isolation,
    pub recycle: Recycle,
    pub restart_delay: RestartDelay,
    /// From which level on it logs; `None`: from that of the log.
    pub log_level: Option<LogLevel>,
    /// Lines that it may log in a second; `None` is any number.
    pub log_rate: Option<u32>,
    /// What all callbacks about a request may use up together, if that is limited.
    pub fuel: Option<u64>,
    pub trace: Trace,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            on_error: OnError::Reload(Without::Closed),
            isolation: Isolation::Worker,
            recycle: Recycle::AtLimit,
            restart_delay: RestartDelay::default(),
            log_level: None,
            log_rate: Some(DEFAULT_LOG_RATE),
            fuel: None,
            trace: Trace::Off,
        }
    }
}

impl Policy {
    /// What requests do that cannot have the filter, because it has failed before.
    pub fn without(&self) -> Without {
        match self.on_error {
            OnError::Stay(without) | OnError::Reload(without) => without,
        }
    }

    /// What the request does whose callback has failed.
    pub fn without_for_failed(&self) -> Without {
        match self.on_error {
            OnError::Stay(without) => without,
            OnError::Reload(_) => Without::Closed,
        }
    }
}

/// One thing that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    OnError(OnError),
    Isolation(Isolation),
    Recycle(Recycle),
    RestartDelay(RestartDelay),
    LogLevel(LogLevel),
    /// Lines in a second; `None` is any number.
    LogRate(Option<u32>),
    /// Units for a request; `None` is no limit.
    Fuel(Option<u64>),
    Trace(Trace),
    /// The words of `proxy_wasm_allow`.
    Allow(Vec<Vec<u8>>),
    /// What `proxy_wasm_env` says.
    Environment(Vec<EnvironmentVariable>),
}

impl Setting {
    /// Whether it asks for lines that are written at level info.
    pub fn asks_for_info(&self) -> bool {
        match self {
            Setting::LogLevel(level) => matches!(level, LogLevel::Trace | LogLevel::Debug | LogLevel::Info),
            Setting::Trace(trace) => *trace != Trace::Off,
            _ => false,
        }
    }
}

/// A variable for the environment of filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentVariable {
    pub name: Vec<u8>,
    /// `None`: that of nginx has no variable of this name, and those of filters have none, either.
    pub value: Option<Vec<u8>>,
    pub place: ConfPosition,
}

impl Setting {
    /// The directive that says so.
    pub fn directive(&self) -> &'static str {
        match self {
            Setting::OnError(_) => "proxy_wasm_on_error",
            Setting::Isolation(_) => "proxy_wasm_isolation",
            Setting::Recycle(_) => "proxy_wasm_recycle",
            Setting::RestartDelay(_) => "proxy_wasm_restart_delay",
            Setting::LogLevel(_) => "proxy_wasm_log_level",
            Setting::LogRate(_) => "proxy_wasm_log_rate",
            Setting::Fuel(_) => "wasm_fuel",
            Setting::Trace(_) => "proxy_wasm_trace",
            Setting::Allow(_) => "proxy_wasm_allow",
            Setting::Environment(_) => "proxy_wasm_env",
        }
    }

    /// Whether both are of one kind.
    fn is_like(&self, other: &Setting) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A directive.
pub struct Rule {
    pub level: Level,
    /// The filters that it is about; `None` is all.
    pub filter: Option<Vec<u8>>,
    pub setting: Setting,
    pub place: ConfPosition,
}

impl Rule {
    /// Those of `proxy_wasm_allow`.
    fn words(&self) -> Option<&[Vec<u8>]> {
        match &self.setting {
            Setting::Allow(words) => Some(words),
            _ => None,
        }
    }

    /// Those of `proxy_wasm_env`.
    fn variables(&self) -> Option<&[EnvironmentVariable]> {
        match &self.setting {
            Setting::Environment(variables) => Some(variables),
            _ => None,
        }
    }

    /// Whether programs of locations go by it, too.
    pub fn is_for_programs(&self) -> bool {
        use Setting::{Allow, Fuel, LogLevel, LogRate};
        matches!(self.setting, LogLevel(_) | LogRate(_) | Fuel(_) | Allow(_))
    }
}

fn parse(words: &[Vec<u8>], place: &ConfPosition, base: &Path) -> Result<Capabilities, String> {
    let parsed = Capabilities::parse(words.iter().map(Vec::as_slice), base);
    parsed.map_err(|reason| format!("{reason} in \"proxy_wasm_allow\" in {place}"))
}

/// All of a configuration.
#[derive(Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Adds what a level says. Answers false when it has said such a thing about the same filters before; words of
    /// `proxy_wasm_allow` add up, and variables of `proxy_wasm_env`.
    pub fn add(&mut self, level: Level, filter: Option<Vec<u8>>, setting: Setting, place: ConfPosition) -> bool {
        let is_same = |rule: &&mut Rule| rule.level == level && rule.filter == filter && rule.setting.is_like(&setting);
        if let Some(rule) = self.0.iter_mut().find(is_same) {
            match (&mut rule.setting, setting) {
                (Setting::Allow(words), Setting::Allow(more)) => words.extend(more),
                (Setting::Environment(variables), Setting::Environment(more)) => variables.extend(more),
                _ => return false,
            }
            return true;
        }
        self.0.push(Rule { level, filter, setting, place });
        true
    }

    /// The variable of this name that the level has given to the same filters.
    pub fn variable(&self, level: Level, filter: Option<&[u8]>, name: &[u8]) -> Option<&EnvironmentVariable> {
        let rules = self.0.iter().filter(|rule| rule.level == level && rule.filter.as_deref() == filter);
        rules.flat_map(|rule| rule.variables().unwrap_or_default()).find(|variable| variable.name == name)
    }

    /// The environment of a filter that `declared` declares: `NAME=VALUE`, each, once levels are merged.
    pub fn environment(&self, levels: &Levels, declared: Option<Level>, name: &[u8]) -> Vec<Vec<u8>> {
        let said = self.find(levels, declared, name, Rule::variables).unwrap_or_default();
        let string = |variable: &EnvironmentVariable| Some([&variable.name, variable.value.as_deref()?].join(&b'='));
        said.iter().filter_map(string).collect()
    }

    /// What is said nearest to a filter that `declared` declares, of those settings that `choose` knows, once levels are merged.
    pub fn find<'a, T>(
        &'a self,
        levels: &Levels,
        declared: Option<Level>,
        name: &[u8],
        choose: impl Fn(&'a Rule) -> Option<T>,
    ) -> Option<T> {
        levels.outwards(declared).find_map(|level| {
            let of_level = || self.0.iter().filter(|rule| rule.level == level);
            let own = of_level().filter(|rule| rule.filter.as_deref() == Some(name)).find_map(&choose);
            own.or_else(|| of_level().filter(|rule| rule.filter.is_none()).find_map(&choose))
        })
    }

    /// What is said about a filter that `declared` declares, once levels are merged.
    pub fn policy(&self, levels: &Levels, declared: Option<Level>, name: &[u8]) -> Policy {
        let mut policy = Policy::default();
        macro_rules! take {
            ($($kind:ident => $field:ident),*) => {
                $(
                    let found = self.find(levels, declared, name, |rule| match &rule.setting {
                        Setting::$kind(value) => Some(*value),
                        _ => None,
                    });
                    policy.$field = found.unwrap_or(policy.$field);
                )*
            };
        }
        take!(OnError => on_error, Isolation => isolation, Recycle => recycle, RestartDelay => restart_delay,
              LogRate => log_rate, Fuel => fuel, Trace => trace);
        policy.log_level = self.find(levels, declared, name, |rule| match &rule.setting {
            Setting::LogLevel(level) => Some(*level),
            _ => None,
        });
        policy
    }

    /// What a filter that `declared` declares may do, by the words of `proxy_wasm_allow`; `None` when nothing is said. Host
    /// paths among them are below `base`.
    pub fn capabilities(
        &self,
        levels: &Levels,
        declared: Option<Level>,
        name: &[u8],
        base: &Path,
    ) -> Result<Option<Capabilities>, String> {
        let rule = self.find(levels, declared, name, |rule| rule.words().map(|words| (words, &rule.place)));
        rule.map(|(words, place)| parse(words, place, base)).transpose()
    }

    /// Finds mistakes in words of `proxy_wasm_allow`, also where they are about no filter.
    pub fn wrong_words(&self, base: &Path) -> impl Iterator<Item = String> {
        let words = self.0.iter().filter_map(|rule| Some((rule.words()?, &rule.place)));
        words.filter_map(move |(words, place)| parse(words, place, base).err())
    }

    /// All directives.
    pub fn all(&self) -> &[Rule] {
        &self.0
    }
}
