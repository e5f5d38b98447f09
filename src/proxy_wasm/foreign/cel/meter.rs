//! What an evaluation may cost: functions that [`rewrite`](super::rewrite) puts around loops and values that grow, and
//! `matches`, whose regular expressions are compiled once and bounded.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::types::{
    CelBool, CelBytes, CelInt, CelList, CelMap, CelString, DYN_TYPE, INT_TYPE, STRING_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use regex::{Regex, RegexBuilder};

/// `@cost(meter, weight, range)`: a loop over `range` whose step has so many parts.
pub(super) const COST: &str = "@cost";
/// `@size(meter, value)`: a value that has just been made or is about to be copied.
pub(super) const SIZE: &str = "@size";
/// `@matches(meter, patterns, place, text)`.
pub(super) const MATCHES: &str = "@matches";
/// `@match(meter, text, pattern)`, for a pattern that is not known before.
pub(super) const MATCH: &str = "@match";

/// The largest value.
const MAX_SIZE: usize = 1 << 20;
/// Bytes that are looked at or copied for a step.
const BYTES_A_STEP: usize = 32;
/// Compiled size of a regular expression, and the cost of compiling one.
const MAX_PATTERN: usize = 256 << 10;
const PATTERN_COST: u64 = 20_000;

static METER: Type = Type::new_unspecified_type("@meter");
static PATTERNS: Type = Type::new_unspecified_type("@patterns");

/// What is left to spend.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub fn new(fuel: u64) -> Meter {
        Meter(Arc::new(AtomicU64::new(fuel)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    pub fn charge(&self, steps: u64) -> Result<(), ExecutionError> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(steps);
        self.0.store(left, Ordering::Relaxed);
        if left == 0 { Err(ExecutionError::function_error("expression", "it costs too much")) } else { Ok(()) }
    }

    pub fn charge_bytes(&self, bytes: usize) -> Result<(), ExecutionError> {
        self.charge(1 + (bytes / BYTES_A_STEP) as u64)
    }
}

impl Val for Meter {
    fn get_type(&self) -> &Type {
        &METER
    }

    fn cel_type() -> &'static Type {
        &METER
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Meter {}

/// The regular expressions of an expression that are literals.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns(Arc<Vec<Regex>>);

impl Patterns {
    pub fn new(patterns: Vec<Regex>) -> Patterns {
        Patterns(Arc::new(patterns))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Val for Patterns {
    fn get_type(&self) -> &Type {
        &PATTERNS
    }

    fn cel_type() -> &'static Type {
        &PATTERNS
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Patterns {}

/// Compiles a regular expression, unless it becomes too large.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .nest_limit(32)
        .build()
        .map_err(|err| err.to_string())
}

/// Makes the functions known. Their names are none that an expression can say.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(COST, COST, vec![METER.to_owned(), INT_TYPE, DYN_TYPE], cost)?;
    env.add_overload(SIZE, SIZE, vec![METER.to_owned(), DYN_TYPE], size)?;
    env.add_overload(MATCHES, MATCHES, vec![METER.to_owned(), PATTERNS.to_owned(), INT_TYPE, STRING_TYPE], matches)?;
    env.add_overload(MATCH, MATCH, vec![METER.to_owned(), STRING_TYPE, STRING_TYPE], match_new)
}

fn cost<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let range = args.pop().ok_or_else(misused)?;
    let (meter, weight) = (argument::<Meter>(&args, 0)?, argument::<CelInt>(&args, 1)?);
    let items = range.as_sizer().map_or(0, |range| *range.size().inner());
    // Each round evaluates the step, and has an item of its own.
    meter.charge((*weight.inner() as u64).saturating_mul(items as u64))?;
    meter.charge_bytes(size_of_value(range.as_ref()))?;
    Ok(range)
}

fn size<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args.pop().ok_or_else(misused)?;
    let size = size_of_value(value.as_ref());
    argument::<Meter>(&args, 0)?.charge_bytes(size)?;
    if size > MAX_SIZE {
        return Err(ExecutionError::function_error("expression", "a value is too large"));
    }
    Ok(value)
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (patterns, place) = (argument::<Patterns>(&args, 1)?, argument::<CelInt>(&args, 2)?);
    let pattern = usize::try_from(*place.inner()).ok().and_then(|place| patterns.0.get(place)).ok_or_else(misused)?;
    let text = args.get(3).and_then(|text| text.downcast_ref::<CelString>()).ok_or_else(misused)?;
    search(argument::<Meter>(&args, 0)?, pattern, text.inner())
}

fn match_new<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let meter = argument::<Meter>(&args, 0)?;
    let text = args.get(1).and_then(|text| text.downcast_ref::<CelString>()).ok_or_else(misused)?;
    let new = args.get(2).and_then(|text| text.downcast_ref::<CelString>()).ok_or_else(misused)?;
    meter.charge(PATTERN_COST)?;
    let new = pattern(new.inner()).map_err(|reason| ExecutionError::function_error("matches", reason))?;
    search(meter, &new, text.inner())
}

fn search<'b, 'v>(meter: &Meter, pattern: &Regex, text: &str) -> Result<CowVal<'b, 'v>, ExecutionError> {
    // In the worst case each byte is looked at by a machine as large as the pattern.
    meter.charge(1 + text.len() as u64)?;
    Ok(CowVal::owned(CelBool::from(pattern.is_match(text))))
}

fn argument<'a, T: StaticVal>(args: &'a [CowVal<'_, '_>], n: usize) -> Result<&'a T, ExecutionError> {
    args.get(n).and_then(|value| value.as_any()).and_then(|value| value.downcast_ref::<T>()).ok_or_else(misused)
}

fn misused() -> ExecutionError {
    ExecutionError::function_error("expression", "a function of the host was misused")
}

/// Roughly the memory that a value takes. Values are no deeper than the expression that made them.
fn size_of_value(value: &dyn Val) -> usize {
    const EACH: usize = 32;
    if let Some(text) = value.downcast_ref::<CelString>() {
        EACH + text.inner().len()
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        EACH + bytes.inner().len()
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        EACH + list.inner().iter().map(|item| size_of_value(item.as_ref())).sum::<usize>()
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        let entries = map.inner().iter();
        EACH + entries.map(|(key, value)| size_of_value(key.inner()) + size_of_value(value.as_ref())).sum::<usize>()
    } else {
        EACH
    }
}
