//! What engines say of modules without compiling them.

use super::engine;
use crate::vm::{CompileError, EngineOptions, Outline};

#[test]
fn the_outline_of_a_module_is_what_it_says_when_it_is_compiled() {
    let engine = engine(EngineOptions::default());
    for wat in [
        "(module)",
        "(module (memory (export \"memory\") 1) (global $g (mut i32) (i32.const 0)) (func (export \"f\")))",
        // Functions are counted with those that are imported, among other imports.
        "(module
            (import \"a\" \"first\" (func (param i64 f32) (result i32)))
            (import \"a\" \"global\" (global i32))
            (import \"b\" \"second\" (func $second (param v128)))
            (table (export \"table\") 1 funcref)
            (global (export \"constant\") i32 (i32.const 1))
            (func $own (export \"own\") (param f64) (result i64 i64) (i64.const 1) (i64.const 2))
            (export \"again\" (func $second)))",
        // A memory that is imported, and exported under two names.
        "(module (import \"a\" \"memory\" (memory 1)) (export \"memory\" (memory 0)) (export \"other\" (memory 0)))",
    ] {
        let compiled = engine.compile(wat.as_bytes()).unwrap();
        let binary = wat::parse_str(wat).unwrap();
        for bytes in [wat.as_bytes(), &binary] {
            engine.validate(bytes).unwrap();
            assert_eq!(engine.outline(bytes), Some(Outline::of(compiled.as_ref())), "{wat}");
        }
    }
}

#[test]
fn what_the_compiler_refuses_is_not_valid() {
    let engine = engine(EngineOptions::default());
    let wat = "(module (func (export \"f\") (result i32) (i64.const 1)))";
    let binary = wat::parse_str(wat).unwrap();
    for bytes in [b"".as_slice(), b"hello", b"\x7fELF", b"(module (func (call $b)))", wat.as_bytes()] {
        assert!(matches!(engine.compile(bytes).map(drop), Err(CompileError::NotWasm(_) | CompileError::Invalid(_))));
        let refused = engine.validate(bytes).unwrap_err();
        assert!(matches!(refused, CompileError::NotWasm(_) | CompileError::Invalid(_)), "{refused}");
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
    for bytes in [b"\0asm".as_slice(), b"\0asm\x09\0\0\0", &binary, &binary[..binary.len() - 1]] {
        let refused = engine.validate(bytes).unwrap_err();
        assert!(matches!(refused, CompileError::Invalid(_) | CompileError::Truncated(_)), "{refused}");
    }
    let component = b"\0asm\x0d\0\x01\0";
    assert!(engine.validate(component).is_err());
    assert_eq!(engine.outline(component), None);
}

#[test]
fn what_is_broken_has_no_outline() {
    let engine = engine(EngineOptions::default());
    let binary = wat::parse_str("(module (import \"a\" \"b\" (func)) (memory (export \"memory\") 1))").unwrap();
    assert!(engine.outline(&binary).is_some());
    // Each part of it but the heads of sections, which are modules too.
    let cut = (0..binary.len()).filter(|len| engine.validate(&binary[..*len]).is_err());
    for len in cut {
        assert_eq!(engine.outline(&binary[..len]), None, "{len} bytes");
    }
    // An export of a function that is not there.
    let mut wrong = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let place = wrong.windows(3).position(|bytes| bytes == b"\x01f\0").unwrap() + 3;
    wrong[place] = 9;
    assert_eq!(engine.outline(&wrong), None);
}
