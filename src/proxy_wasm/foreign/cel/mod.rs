//! The Common Expression Language, for `expressions.rs`. The crate `cel` parses and evaluates; here expressions get to know
//! properties, and bounds on what a hostile guest can make them cost.
//!
//! [`rewrite`] changes a parsed expression: paths of properties become names that are asked for when evaluation comes by
//! them, loops and values that grow pass a [`meter`].

mod attributes;
mod meter;
mod outcome;
mod rewrite;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::parser::Parser;
use cel::{Context, DeclarationError, Env, IdedExpr, Value};

use crate::proxy_wasm::types::Status;
use attributes::{Attribute, Load, Loaded};
use meter::{Meter, Patterns};

/// The longest text. A chain of operators is as deep as it is long; one of this length takes 2 MiB of stack.
const MAX_LENGTH: usize = 4096;
/// The most bytes of a text that are no letters, digits or blanks: all operators but `in` have one.
const MAX_SYMBOLS: usize = 1024;
/// How deep brackets, calls and conditions may be nested.
const MAX_NESTING: u16 = 32;
/// What an evaluation may cost, in steps of about 100 ns.
const FUEL: u64 = 1_000_000;

/// A compiled expression.
pub(super) struct Expression {
    root: IdedExpr,
    attributes: Vec<Attribute>,
    patterns: Patterns,
}

/// Why there is no value.
#[derive(Debug)]
pub(super) struct Failure {
    pub status: Status,
    pub reason: String,
}

static ENV: LazyLock<Result<Arc<Env>, DeclarationError>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    meter::declare(&mut env)?;
    Ok(Arc::new(env))
});

impl Expression {
    /// Parses and checks a text.
    pub fn compile(text: &[u8]) -> Result<Expression, String> {
        let text = std::str::from_utf8(text).map_err(|err| err.to_string())?;
        let symbols = text.bytes().filter(|byte| !byte.is_ascii_alphanumeric() && !byte.is_ascii_whitespace()).count();
        if text.len() > MAX_LENGTH || symbols > MAX_SYMBOLS {
            return Err(format!(
                "the expression is larger than {MAX_LENGTH} bytes, or has more than {MAX_SYMBOLS} symbols"
            ));
        }
        // The parser is of others, and so are its assertions.
        let parsed = catch_unwind(|| Parser::new().max_recursion_depth(MAX_NESTING).parse(text));
        let mut root = match parsed {
            Ok(parsed) => parsed.map_err(|err| err.to_string())?,
            Err(_) => return Err("the expression cannot be parsed".to_owned()),
        };
        let (attributes, patterns) = rewrite::rewrite(&mut root)?;
        Ok(Expression { root, attributes, patterns })
    }

    /// How many regular expressions it keeps.
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Appends the value to `out`, in the form that properties have. Properties are loaded when evaluation needs them.
    pub fn evaluate(&self, load: &mut Load<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let env = ENV.as_ref().map_err(|err| Failure::internal(err.to_string()))?;
        let mut known =
            KnownAttributes { values: BTreeMap::new(), wanted: Mutex::default(), meter: Meter::new(FUEL), of: self };
        loop {
            // A host cannot be reached from inside of the evaluation, which asks that everything may go to other threads.
            // So it ends at a property that is not known yet, and starts again with it. What `&&`, `||` and the like make
            // of the error that stands for it is right: they absorb errors that do not matter.
            let evaluated = catch_unwind(AssertUnwindSafe(|| {
                let mut context = Context::with_env(Arc::clone(env));
                context.set_variable_resolver(&known);
                let value =
                    Value::resolve_val(&self.root, &context).map_err(|err| Failure::internal(err.to_string()))?;
                let mut bytes = Vec::new();
                outcome::encode(value.as_ref(), &mut bytes)
                    .map_err(|status| Failure { status, reason: "the value has no form in bytes".to_owned() })?;
                Ok(bytes)
            }));
            let wanted = std::mem::take(known.wanted.get_mut().unwrap_or_else(PoisonError::into_inner));
            match evaluated {
                Ok(Ok(bytes)) => {
                    out.extend(bytes);
                    return Ok(());
                }
                Ok(Err(_)) if known.meter.is_empty() => {
                    return Err(Failure::internal("the evaluation costs too much".to_owned()));
                }
                Ok(Err(failure)) if wanted.is_empty() => return Err(failure),
                Ok(Err(_)) => {
                    // Of several the first: it may decide that the others are not needed.
                    for place in wanted.into_iter().take(1) {
                        known.values.insert(place, self.attributes.get(place).and_then(|wanted| wanted.load(load)));
                    }
                }
                Err(_) => return Err(Failure::internal("the evaluation failed an assertion".to_owned())),
            }
        }
    }
}

impl Failure {
    fn internal(reason: String) -> Failure {
        Failure { status: Status::InternalFailure, reason }
    }
}

/// What the names in a rewritten expression stand for.
struct KnownAttributes<'a> {
    /// The attributes that were loaded, with their sizes; `None` for those that are not there.
    values: BTreeMap<usize, Option<Loaded>>,
    /// Those that were asked for in vain.
    wanted: Mutex<Vec<usize>>,
    meter: Meter,
    of: &'a Expression,
}

static ABSENT: LazyLock<CelBool> = LazyLock::new(|| CelBool::from(false));
static PRESENT: LazyLock<CelBool> = LazyLock::new(|| CelBool::from(true));

impl VariableResolver for KnownAttributes<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let (kind, place) = match rewrite::Name::parse(name)? {
            rewrite::Name::Meter => return Some(CowVal::Borrowed(&self.meter)),
            rewrite::Name::Patterns => return Some(CowVal::Borrowed(&self.of.patterns)),
            rewrite::Name::Value(place) => (false, place),
            rewrite::Name::Presence(place) => (true, place),
        };
        match (self.values.get(&place), kind) {
            (None, _) => {
                self.wanted.lock().unwrap_or_else(PoisonError::into_inner).push(place);
                None
            }
            (Some(None), true) => Some(CowVal::Borrowed(&*ABSENT)),
            (Some(Some(_)), true) => Some(CowVal::Borrowed(&*PRESENT)),
            (Some(None), false) => None,
            (Some(Some((value, size))), false) => {
                self.meter.charge_bytes(*size).ok()?;
                Some(CowVal::Borrowed(value.as_ref()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
