//! Which host function serves each import of a module: by its name, and by the type that the module declares. The hosts of filters, of
//! programs and of plugins each have tables of their own, and ask here when they check a module.

use thiserror::Error;

use super::import_origin;
use super::{ExternType, FuncType, Import, LinkedImport, ValType};

/// The types of a host function as tables spell them: parameters and results, `i` for i32, `I` for i64.
pub(crate) type Types = &'static [(&'static str, &'static str)];

/// An error names so many imports.
const MOST_NAMED: usize = 8;

/// Why the imports of a module cannot be served.
#[derive(Debug, Error)]
pub enum ImportError {
    /// No host function serves these.
    #[error("unknown import {}{known}{}", named(.imports), .cause.map(|cause| format!("; {cause}")).unwrap_or_default())]
    Unknown {
        /// Each with both of its names, and the type that the module wants.
        imports: Vec<String>,
        /// What is known instead, to stand behind them.
        known: &'static str,
        /// Why the module wants them, as far as a name tells.
        cause: Option<&'static str>,
    },
    /// It is known with another type.
    #[error("its import \"{name}\" is {found}, but the host offers {offered}")]
    Type {
        /// Both names, joined by a dot.
        name: String,
        /// What the module declares.
        found: ExternType,
        /// What the host has.
        offered: String,
    },
}

/// Modules that were built for another host may want dozens: what to do about it must not be cut off behind them.
fn named(imports: &[String]) -> String {
    match imports.split_at_checked(MOST_NAMED) {
        Some((first, rest)) if !rest.is_empty() => format!("{}, and {} more", first.join(", "), rest.len()),
        _ => imports.join(", "),
    }
}

/// Finds the host function of each import. `find` has the numbers and types of those that there are.
pub(crate) fn resolve(
    imports: &[Import],
    known: &'static str,
    find: impl Fn(&Import) -> Option<(u32, Types)>,
) -> Result<Vec<LinkedImport>, ImportError> {
    let mut linked = Vec::with_capacity(imports.len());
    let mut unknown = Vec::new();
    for import in imports {
        let name = format!("{}.{}", import.module, import.name);
        let Some((function, types)) = find(import) else {
            unknown.push(import);
            continue;
        };
        match &import.ty {
            ExternType::Func(ty) if accepts(types, ty) => linked.push(LinkedImport {
                module: import.module.clone(),
                name: import.name.clone(),
                ty: ty.clone(),
                function,
            }),
            found => return Err(ImportError::Type { name, found: found.clone(), offered: offered(types) }),
        }
    }
    if unknown.is_empty() {
        return Ok(linked);
    }
    let cause = import_origin::cause(&unknown);
    let named = |import: &&Import| format!("\"{}.{}\" of type {}", import.module, import.name, import.ty);
    Err(ImportError::Unknown { imports: unknown.iter().map(named).collect(), known, cause })
}

/// Whether a module may import a function of these types as one of this.
pub(crate) fn accepts(types: Types, ty: &FuncType) -> bool {
    types.iter().any(|types| spelled(types) == *ty)
}

/// What [`accepts`] accepts, for an error message.
pub(crate) fn offered(types: Types) -> String {
    types.iter().map(|types| format!("func {}", spelled(types))).collect::<Vec<_>>().join(" or ")
}

fn spelled((params, results): &(&str, &str)) -> FuncType {
    let types =
        |letters: &str| letters.chars().map(|letter| if letter == 'I' { ValType::I64 } else { ValType::I32 }).collect();
    FuncType { params: types(params), results: types(results) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unknown_imports_are_named_and_the_rest_counted() {
        let imports = |count: usize| (0..count).map(|n| format!("\"{n}\"")).collect::<Vec<_>>();
        let text = |count| ImportError::Unknown { imports: imports(count), known: "; known", cause: None }.to_string();
        assert_eq!(text(2), "unknown import \"0\", \"1\"; known");
        assert!(text(MOST_NAMED).ends_with("\"6\", \"7\"; known"));
        assert!(text(MOST_NAMED + 16).ends_with("\"6\", \"7\", and 16 more; known"));
    }

    #[test]
    fn the_cause_stands_behind_them() {
        let import = |module: &str, name: &str| Import {
            module: module.into(),
            name: name.into(),
            ty: ExternType::Func(FuncType { params: Vec::new(), results: Vec::new() }),
        };
        let text = resolve(&[import("env", "puts"), import("wbg", "f")], "; known", |_| None).unwrap_err().to_string();
        assert!(
            text.starts_with(
                "unknown import \"env.puts\" of type func () -> (), \"wbg.f\" of type func () -> (); known; "
            ),
            "{text}"
        );
        assert!(text.contains("wasm-bindgen"), "{text}");
    }
}
