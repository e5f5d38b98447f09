//! How the words of a directive are read, and what is said of one that does not fit: in one way for all directives.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::directive::{Directive, shown};
use crate::nginx::conf;
use crate::nginx::conf_position::ConfPosition;

impl Directive<'_> {
    /// Stores what it says, which can be said once on a level.
    pub fn set<T>(&self, place: &mut Option<T>, said: Result<T, String>) -> Result<(), String> {
        if place.is_some() {
            return Err(self.duplicate());
        }
        *place = Some(said?);
        Ok(())
    }

    /// The first argument as a number.
    pub fn number<T: FromStr + PartialOrd + Display>(&self, range: RangeInclusive<T>) -> Result<T, String> {
        let word = self.word(1).unwrap_or_default();
        number(word)
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.invalid(word, &format!("a number from {} to {}", range.start(), range.end())))
    }

    /// Argument number `n` as a size.
    pub fn size(&self, n: usize, range: RangeInclusive<usize>, example: &str) -> Result<usize, String> {
        let word = self.word(n).unwrap_or_default();
        conf::parse_size(word)
            .filter(|size| range.contains(size))
            .ok_or_else(|| self.invalid(word, &sizes(&range, example)))
    }

    /// The first argument as a time above 0.
    pub fn time(&self) -> Result<Duration, String> {
        let word = self.word(1).unwrap_or_default();
        time(word).ok_or_else(|| self.invalid(word, "a time above 0, such as 1s or 50ms"))
    }

    /// The first argument as one of these words: what it stands for.
    pub fn choice<T: Copy>(&self, known: &[(&str, T)]) -> Result<T, String> {
        let word = self.word(1).unwrap_or_default();
        let found = known.iter().find(|(name, _)| name.as_bytes() == word);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
            self.invalid(word, &format!("{} or {last}", others.join(", ")))
        })
    }

    /// The first argument as a switch.
    pub fn switch(&self) -> Result<bool, String> {
        self.choice(&[("off", false), ("on", true)])
    }

    /// The error for an argument, or several, that does not fit.
    pub fn invalid(&self, said: &[u8], wanted: &str) -> String {
        format!("invalid value \"{}\" of \"{}\": it takes {wanted}", shown(said), self.name())
    }

    /// The error for an argument in the form NAME=VALUE, which can be left out, that does not fit.
    pub fn invalid_parameter(&self, said: &[u8], wanted: &str) -> String {
        format!("invalid parameter \"{}\" of \"{}\": it takes {wanted}", shown(said), self.name())
    }

    /// The error for a directive that stands twice on a level.
    pub fn duplicate(&self) -> String {
        format!("\"{}\" directive is duplicate", self.name())
    }

    /// The error for a block that stands twice.
    pub fn duplicate_block(&self, first: &ConfPosition) -> String {
        format!("\"{}\" block is duplicate, the first is in {first}", self.name())
    }
}

/// A number, if that is what the word is.
pub fn number<T: FromStr>(word: &[u8]) -> Option<T> {
    str::from_utf8(word).ok()?.parse().ok()
}

/// A time above 0, if that is what the word is.
pub fn time(word: &[u8]) -> Option<Duration> {
    conf::parse_time(word).filter(|time| !time.is_zero())
}

/// What an argument takes that is a size.
pub fn sizes(range: &RangeInclusive<usize>, example: &str) -> String {
    format!("a size from {} to {}, such as {example}", in_units(*range.start()), in_units(*range.end()))
}

/// A size as one writes it, rounded down to its unit.
fn in_units(size: usize) -> String {
    match size {
        1_048_576.. => format!("{}m", size >> 20),
        1024.. => format!("{}k", size >> 10),
        bytes => bytes.to_string(),
    }
}
