//! `expr_create`, `expr_evaluate`, `expr_delete`: expressions of the Common Expression Language over properties. An
//! expression belongs to the root context whose filter made it, and is known by a number.

use super::Call;
use super::cel::Expression;
use crate::proxy_wasm::properties;
use crate::proxy_wasm::types::{LogLevel, Status};

/// How much of a reason goes to the log.
const MAX_REASON: usize = 300;

/// Takes the text of an expression, gives its number in 4 bytes.
pub(super) fn create(call: &mut Call<'_>, text: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let root = call.root()?;
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        Err(reason) => {
            log_failure(call, LogLevel::Info, "expr_create", &reason);
            return Err(Status::BadArgument);
        }
    };
    let table = call.state.foreign.expressions.0.entry(root).or_default();
    match table.add(expression, text.len()) {
        Ok(token) => out.extend(token.to_le_bytes()),
        Err(status) => {
            log_failure(
                call,
                LogLevel::Info,
                "expr_create",
                "the filter has too many expressions; expr_delete ends one",
            );
            return Err(status);
        }
    }
    Ok(())
}

/// Takes the number of an expression, gives its value in the form that properties have.
pub(super) fn evaluate(call: &mut Call<'_>, arguments: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let (root, token) = (call.root()?, token(arguments)?);
    let Call { state, host } = call;
    let found = state.foreign.expressions.0.get(&root).and_then(|table| table.live.get(&token));
    let (expression, _) = found.ok_or(Status::NotFound)?;
    let result = expression.evaluate(&mut |path, value| properties::read(state, *host, path, value), out);
    result.map_err(|failure| {
        log_failure(call, LogLevel::Debug, "expr_evaluate", &failure.reason);
        failure.status
    })
}

/// Takes the number of an expression; there may be none.
pub(super) fn delete(call: &mut Call<'_>, arguments: &[u8], _: &mut Vec<u8>) -> Result<(), Status> {
    let (root, token) = (call.root()?, token(arguments)?);
    if let Some(table) = call.state.foreign.expressions.0.get_mut(&root) {
        table.remove(token);
    }
    Ok(())
}

fn token(arguments: &[u8]) -> Result<u32, Status> {
    arguments.try_into().map(u32::from_le_bytes).map_err(|_| Status::BadArgument)
}

fn log_failure(call: &mut Call<'_>, level: LogLevel, function: &str, reason: &str) {
    if call.host.log_level() <= level {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        call.host.guest_log(level, format!("{function}: {reason}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::context::Context;
    use crate::proxy_wasm::foreign::expression_table::{MAX_EXPRESSIONS, MAX_PATTERNS, MAX_TEXT};
    use crate::proxy_wasm::foreign::tests_support::Fixture;
    use crate::proxy_wasm::ids::ContextId;

    fn number(bytes: Result<Vec<u8>, Status>) -> u32 {
        u32::from_le_bytes(bytes.unwrap().try_into().unwrap())
    }

    #[test]
    fn expressions_are_numbered_from_0() {
        let mut fixture = Fixture::default();
        assert_eq!(number(fixture.call("expr_create", b"1")), 0);
        assert_eq!(number(fixture.call("expr_create", b"2")), 1);
        assert_eq!(fixture.call("expr_evaluate", &1u32.to_le_bytes()), Ok(2i64.to_le_bytes().to_vec()));
        assert_eq!(fixture.call("expr_evaluate", &0u32.to_le_bytes()), Ok(1i64.to_le_bytes().to_vec()));
    }

    #[test]
    fn an_expression_sees_the_properties_of_the_stream_and_of_the_vm() {
        let mut fixture = Fixture::default();
        fixture.stream().set_property(b"request\0path", b"/a");
        let token = fixture.call("expr_create", b"request.path + ' ' + plugin_name").unwrap();
        assert_eq!(fixture.call("expr_evaluate", &token), Ok(b"/a name".to_vec()));
        fixture.stream().set_property(b"request\0path", b"/b");
        assert_eq!(fixture.call("expr_evaluate", &token), Ok(b"/b name".to_vec()));
    }

    #[test]
    fn an_expression_sees_what_filters_set() {
        let mut fixture = Fixture::default();
        fixture.stream().knows_no_property = true;
        properties::keep(&fixture.state, &mut fixture.host, b"mine", b"1").unwrap();
        let token = fixture.call("expr_create", b"mine == b'1' && filter_state['wasm.mine'] == mine").unwrap();
        assert_eq!(fixture.call("expr_evaluate", &token), Ok(vec![1]));
    }

    #[test]
    fn a_bad_expression_is_a_bad_argument_and_the_log_says_why() {
        let mut fixture = Fixture::default();
        assert_eq!(fixture.call("expr_create", b"1 +"), Err(Status::BadArgument));
        assert_eq!(fixture.call("expr_create", b"'\xff'"), Err(Status::BadArgument));
        let logged = fixture.host.logged(LogLevel::Info);
        assert!(logged.len() == 2 && logged.iter().all(|line| line.starts_with("expr_create: ")), "{logged:?}");
    }

    #[test]
    fn what_cannot_be_evaluated_is_an_internal_failure_and_the_log_says_why() {
        let mut fixture = Fixture::default();
        let token = fixture.call("expr_create", b"1 / 0").unwrap();
        assert_eq!(fixture.call("expr_evaluate", &token), Err(Status::InternalFailure));
        assert!(fixture.host.logged(LogLevel::Debug)[0].starts_with("expr_evaluate: Division by zero"));
        let token = fixture.call("expr_create", b"null").unwrap();
        assert_eq!(fixture.call("expr_evaluate", &token), Err(Status::SerializationFailure));
    }

    #[test]
    fn a_number_has_four_bytes() {
        let mut fixture = Fixture::default();
        for function in ["expr_evaluate", "expr_delete"] {
            for bytes in [&b""[..], b"\0\0\0", b"\0\0\0\0\0"] {
                assert_eq!(fixture.call(function, bytes), Err(Status::BadArgument), "{function} {bytes:?}");
            }
        }
    }

    #[test]
    fn an_expression_ends_with_expr_delete_which_may_come_again() {
        let mut fixture = Fixture::default();
        let token = fixture.call("expr_create", b"1").unwrap();
        for _ in 0..2 {
            assert_eq!(fixture.call("expr_delete", &token), Ok(vec![]));
            assert_eq!(fixture.call("expr_evaluate", &token), Err(Status::NotFound));
        }
    }

    #[test]
    fn expressions_belong_to_a_root_context_and_end_with_it() {
        let mut fixture = Fixture::default();
        let token = fixture.call("expr_create", b"1").unwrap();
        let other = fixture.state.contexts.insert(Context::Root(Box::default()), |_| true);
        let (root, stream) = (fixture.root, fixture.stream);
        fixture.state.set_effective(other);
        assert_eq!(fixture.call("expr_evaluate", &token), Err(Status::NotFound));
        fixture.state.set_effective(root);
        assert!(fixture.call("expr_evaluate", &token).is_ok());
        fixture.state.foreign.forget(root);
        fixture.state.set_effective(stream);
        assert_eq!(fixture.call("expr_evaluate", &token), Err(Status::NotFound));
        fixture.state.set_effective(ContextId(0));
        assert_eq!(fixture.call("expr_create", b"1"), Err(Status::InternalFailure));
    }

    #[test]
    fn expressions_are_bounded_in_number_text_and_patterns() {
        let mut fixture = Fixture::default();
        for _ in 0..MAX_EXPRESSIONS {
            fixture.call("expr_create", b"1").unwrap();
        }
        assert_eq!(fixture.call("expr_create", b"1"), Err(Status::InternalFailure));
        fixture.call("expr_delete", &7u32.to_le_bytes()).unwrap();
        assert_eq!(number(fixture.call("expr_create", b"1")), MAX_EXPRESSIONS as u32);

        let mut fixture = Fixture::default();
        let long = format!("'{}'", "a".repeat(4094));
        for _ in 0..MAX_TEXT / 4096 {
            fixture.call("expr_create", long.as_bytes()).unwrap();
        }
        assert_eq!(fixture.call("expr_create", b"1"), Err(Status::InternalFailure));

        let mut fixture = Fixture::default();
        for _ in 0..MAX_PATTERNS {
            fixture.call("expr_create", b"'a'.matches('a')").unwrap();
        }
        assert_eq!(fixture.call("expr_create", b"'a'.matches('a')"), Err(Status::InternalFailure));
        fixture.call("expr_delete", &0u32.to_le_bytes()).unwrap();
        assert!(fixture.call("expr_create", b"'a'.matches('a')").is_ok());
    }
}
