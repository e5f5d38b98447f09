//! Functions, which WasmEdge looks at its token in loops of alone: a guest could go on for ever by calls that use no stack. Such are tail
//! calls, and calls that LLVM makes loops of. So before a module is compiled each function that calls another begins with a loop of no
//! rounds. `engine.rs` calls this, `deadline.rs` says what the token is for.

use std::borrow::Cow;
use std::ops::Range;

use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use crate::vm::sections::{self, write_number};

const CODE_SECTION: u8 = 10;

/// A loop without parameters and results, and its end.
const LOOP: [u8; 3] = [0x03, 0x40, 0x0b];

/// The module with the token looked at where its functions begin.
pub fn watched(module: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match find(module).map_err(|err| err.to_string())? {
        Some(code) => Ok(sections::replace(module, code.section, CODE_SECTION, &code.content).into()),
        None => Ok(module.into()),
    }
}

/// The section of code.
struct Code {
    /// With its head.
    section: Range<usize>,
    /// What is to be in it.
    content: Vec<u8>,
}

/// `None`: there is none.
fn find(module: &[u8]) -> Result<Option<Code>, BinaryReaderError> {
    // Behind the section before.
    let mut end = 8;
    let mut found: Option<Code> = None;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::CodeSectionStart { count, range, .. } => {
                let mut content = Vec::with_capacity(range.len() + 5 * *count as usize);
                write_number(&mut content, (*count).into());
                found = Some(Code { section: end..range.end, content });
            }
            Payload::CodeSectionEntry(body) => {
                if let Some(code) = &mut found {
                    write_body(&mut code.content, module, body)?;
                }
            }
            payload => {
                if let Some((_, range)) = payload.as_section() {
                    end = range.end;
                }
            }
        }
    }
    Ok(found)
}

fn write_body(content: &mut Vec<u8>, module: &[u8], body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
    let range = body.range();
    let start = body.get_operators_reader()?.original_position();
    let inserted: &[u8] = if calls(body)? { &LOOP } else { &[] };
    write_number(content, (range.len() + inserted.len()) as u64);
    content.extend_from_slice(&module[range.start..start]);
    content.extend_from_slice(inserted);
    content.extend_from_slice(&module[start..range.end]);
    Ok(())
}

/// Whether a function calls anything. What calls nothing has its end, or loops.
fn calls(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched_text(wat: &str) -> (Vec<u8>, Vec<u8>) {
        let module = wat::parse_str(wat).unwrap();
        let watched = watched(&module).unwrap().into_owned();
        (module, watched)
    }

    /// For each function whether it begins with the loop.
    fn begins(module: &[u8]) -> Vec<bool> {
        let bodies = Parser::new(0).parse_all(module).filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        });
        bodies
            .map(|body| module[body.get_operators_reader().unwrap().original_position()..].starts_with(&LOOP))
            .collect()
    }

    /// Reads each function to its end.
    fn read_all(module: &[u8]) {
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let mut operators = body.get_operators_reader().unwrap();
                while !operators.eof() {
                    operators.read().unwrap();
                }
                operators.finish().unwrap();
            }
        }
    }

    #[test]
    fn functions_that_call_look_at_the_token_and_others_are_as_they_were() {
        let (_, watched) = watched_text(
            "(module (type $t (func)) (import \"host\" \"f\" (func $host)) (memory 1) (table 1 funcref)
            (func $leaf (param i32) (result i32) (local i64 i32) (local.get 0))
            (func $calls (local i64 f64) (call $host))
            (func $indirect (call_indirect (type $t) (i32.const 0)))
            (func $tail (return_call $tail))
            (func $tail_indirect (block (return_call_indirect (type $t) (i32.const 0))))
            (data (i32.const 0) \"behind\"))",
        );
        assert_eq!(begins(&watched), [false, true, true, true, true]);
        read_all(&watched);
    }

    #[test]
    fn what_calls_nothing_is_not_changed() {
        for wat in ["(module (memory 1))", "(module (func (param i32) (loop (br_if 0 (local.get 0)))))"] {
            let (module, watched) = watched_text(wat);
            assert_eq!(module, watched);
        }
    }

    #[test]
    fn sizes_grow_with_what_is_put_in() {
        // A body of 127 bytes, whose size is a byte more then, as that of the section is.
        let (module, watched) = watched_text(&format!("(module (func $f {} (call $f)))", "(nop)".repeat(122)));
        assert_eq!(begins(&watched), [true]);
        read_all(&watched);
        assert!(watched.len() > module.len() + LOOP.len());
    }
}
