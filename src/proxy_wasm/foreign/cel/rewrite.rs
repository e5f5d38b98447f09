//! Changes a parsed expression before it is kept: properties become names of our own, and what could cost much passes the
//! [`meter`].

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use regex::Regex;

use super::attributes::{self, Attribute};
use super::meter::{self, COST, MATCH, MATCHES, Patterns, SIZE};

/// The names of types, which are no properties.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "google",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// A name that no expression can say, since it begins with `@`.
pub(super) enum Name {
    Meter,
    Patterns,
    /// The value of the attribute with this number.
    Value(usize),
    /// Whether there is such an attribute.
    Presence(usize),
}

impl Name {
    pub fn parse(name: &str) -> Option<Name> {
        match name {
            "@meter" => Some(Name::Meter),
            "@patterns" => Some(Name::Patterns),
            _ => None
                .or_else(|| Some(Name::Value(name.strip_prefix("@value")?.parse().ok()?)))
                .or_else(|| Some(Name::Presence(name.strip_prefix("@has")?.parse().ok()?))),
        }
    }

    fn ident(&self) -> Expr {
        Expr::Ident(match self {
            Name::Meter => "@meter".to_owned(),
            Name::Patterns => "@patterns".to_owned(),
            Name::Value(place) => format!("@value{place}"),
            Name::Presence(place) => format!("@has{place}"),
        })
    }
}

/// Changes `root`, and gives what the names in it stand for.
pub(super) fn rewrite(root: &mut IdedExpr) -> Result<(Vec<Attribute>, Patterns), String> {
    let mut rewriter = Rewriter::default();
    rewriter.walk(root)?;
    Ok((rewriter.attributes, Patterns::new(rewriter.patterns)))
}

#[derive(Default)]
struct Rewriter {
    attributes: Vec<Attribute>,
    patterns: Vec<Regex>,
    /// The variables of the loops around, innermost last.
    variables: Vec<String>,
}

impl Rewriter {
    /// Changes an expression and what is in it. The answer is its weight: how many steps it takes at most, without loops
    /// that are in it.
    fn walk(&mut self, expr: &mut IdedExpr) -> Result<u64, String> {
        if let Some(name) = self.attribute(&expr.expr) {
            expr.expr = name.ident();
            return Ok(1);
        }
        let mut weight = 1;
        match &mut expr.expr {
            Expr::Literal(literal) => weight += size_of_literal(literal) / 32,
            Expr::Ident(name) => {
                // A variable is used as often as the loops around it like, so its size counts each time.
                if self.variables.contains(name) {
                    wrap(expr, SIZE, vec![]);
                    weight += 2;
                }
            }
            Expr::Select(select) => weight += self.walk(&mut select.operand)?,
            Expr::Call(call) => {
                for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                    weight += self.walk(part)?;
                }
                if call.func_name == "matches" {
                    weight += 8;
                    self.matches(call)?;
                } else if call.func_name == operators::ADD && !adds_to_result(call) {
                    wrap(expr, SIZE, vec![]);
                    weight += 2;
                }
            }
            Expr::List(list) => {
                for element in &mut list.elements {
                    weight += self.walk(element)?;
                }
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err("a field in a map".to_owned());
                    };
                    weight += self.walk(&mut entry.key)? + self.walk(&mut entry.value)?;
                }
            }
            Expr::Comprehension(comprehension) => weight += self.comprehension(comprehension)?,
            Expr::Struct(message) => return Err(format!("messages like {} are not supported", message.type_name)),
            Expr::Unspecified => return Err("a part of the expression is missing".to_owned()),
        }
        Ok(weight)
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) -> Result<u64, String> {
        let outside = self.walk(&mut comprehension.iter_range)? + self.walk(&mut comprehension.accu_init)?;
        let known = self.variables.len();
        self.variables.push(comprehension.iter_var.clone());
        self.variables.extend(comprehension.iter_var2.clone());
        let step = self.walk(&mut comprehension.loop_cond)? + self.walk(&mut comprehension.loop_step)?;
        let result = self.walk(&mut comprehension.result)?;
        self.variables.truncate(known);
        let step = i64::try_from(step).map_err(|_| "the expression is too large".to_owned())?;
        wrap(&mut comprehension.iter_range, COST, vec![literal(step)]);
        Ok(outside + result + 2)
    }

    /// `text.matches(pattern)` and `matches(text, pattern)`.
    fn matches(&mut self, call: &mut CallExpr) -> Result<(), String> {
        let mut args: Vec<IdedExpr> = call.target.take().map(|target| *target).into_iter().collect();
        args.append(&mut call.args);
        let [text, new] =
            <[IdedExpr; 2]>::try_from(args).map_err(|_| "matches takes a text and a pattern".to_owned())?;
        if let Expr::Literal(LiteralValue::String(pattern)) = &new.expr {
            call.func_name = MATCHES.to_owned();
            call.args = vec![
                bare(Name::Meter.ident()),
                bare(Name::Patterns.ident()),
                literal(self.patterns.len() as i64),
                text,
            ];
            self.patterns.push(meter::pattern(pattern.inner())?);
        } else {
            call.func_name = MATCH.to_owned();
            call.args = vec![bare(Name::Meter.ident()), text, new];
        }
        Ok(())
    }

    /// The name for an expression that is the whole path of a property, or asks whether there is one.
    fn attribute(&mut self, expr: &Expr) -> Option<Name> {
        let (segments, presence) = match expr {
            Expr::Select(select) if select.test => {
                let mut segments = self.segments(&select.operand.expr)?;
                segments.push(&select.field);
                (segments, true)
            }
            _ => (self.segments(expr)?, false),
        };
        let kind = attributes::kind(&segments)?;
        let path = segments.join("\0").into_bytes();
        let place = self.attributes.iter().position(|known| known.path == path).unwrap_or_else(|| {
            self.attributes.push(Attribute { path, kind });
            self.attributes.len() - 1
        });
        Some(if presence { Name::Presence(place) } else { Name::Value(place) })
    }

    /// `a.b`, `a["b"]`, and the like: their segments, when `a` is no variable and there are not too many.
    fn segments<'e>(&self, expr: &'e Expr) -> Option<Vec<&'e str>> {
        let mut segments = Vec::new();
        let mut expr = expr;
        loop {
            let (inner, segment) = match expr {
                Expr::Ident(name) => {
                    let name = name.strip_prefix('.').unwrap_or(name);
                    let is_free = !name.starts_with('@') && !self.variables.iter().any(|variable| variable == name);
                    segments.push(name);
                    segments.reverse();
                    return (is_free && !TYPES.contains(&name)).then_some(segments);
                }
                Expr::Select(select) if !select.test => (&select.operand.expr, select.field.as_str()),
                Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                    [inner, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] => {
                        (&inner.expr, key.inner())
                    }
                    _ => return None,
                },
                _ => return None,
            };
            if segments.len() + 1 >= attributes::LONGEST || segment.contains('\0') {
                return None;
            }
            segments.push(segment);
            expr = inner;
        }
    }
}

/// `@result + …` in the step of a loop: the evaluator appends in place when it sees this form.
fn adds_to_result(call: &CallExpr) -> bool {
    matches!(call.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name == "@result")
}

fn size_of_literal(literal: &LiteralValue) -> u64 {
    match literal {
        LiteralValue::String(text) => text.inner().len() as u64,
        LiteralValue::Bytes(bytes) => bytes.inner().len() as u64,
        _ => 0,
    }
}

/// Puts a call of a function of the meter around an expression.
fn wrap(expr: &mut IdedExpr, function: &str, between: Vec<IdedExpr>) {
    let id = expr.id;
    let inner = std::mem::take(expr);
    let mut args = vec![bare(Name::Meter.ident())];
    args.extend(between);
    args.push(inner);
    *expr = IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) };
}

fn literal(number: i64) -> IdedExpr {
    bare(Expr::Literal(LiteralValue::Int(number.into())))
}

fn bare(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}
