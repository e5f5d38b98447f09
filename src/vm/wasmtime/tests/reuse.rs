//! Compiled modules as bytes.

use super::*;
use crate::vm::{Optimize, PoolOptions, TrustedCode};

fn engine(options: EngineOptions) -> WasmtimeEngine {
    engine_of_tests(options)
}

/// The options that make a difference, one by one.
fn kinds() -> Vec<EngineOptions> {
    let plain = EngineOptions::default();
    vec![
        plain,
        EngineOptions { fuel: true, ..plain },
        EngineOptions { backtrace_details: true, ..plain },
        EngineOptions { saves_address_space: true, ..plain },
        EngineOptions { optimize: Optimize::Off, ..plain },
        EngineOptions { pool: Some(PoolOptions { instances: 1, memory: 1 << 20 }), ..plain },
    ]
}

const ANSWER: &str = "(module (func (export \"answer\") (result i32) (i32.const 42)))";

/// Loads bytes that come from `Module::serialize` of an engine in this process, or are refused for their head.
fn load(engine: &WasmtimeEngine, bytes: &[u8]) -> Result<Arc<dyn crate::vm::Module>, CompileError> {
    engine.load(&TrustedCode::of_test(bytes))
}

#[test]
fn a_module_goes_from_one_engine_to_another_with_the_same_options() {
    for options in kinds() {
        let bytes = engine(options).compile(ANSWER.as_bytes()).unwrap().serialize().unwrap();
        let other = engine(options);
        let program = load(&other, &bytes).unwrap().link(&[], &["answer"]).unwrap();
        let limits = InstanceLimits { pooled: true, ..InstanceLimits::default() };
        let host = &mut recorder(|_, _| Ok(0));
        let mut instance = program.instantiate(limits, None, SECOND.into(), host).unwrap();
        assert_eq!(instance.stats().pooled, options.pool.is_some());
        assert_eq!(instance.call(0, &[], SECOND, host).unwrap(), 42);
    }
}

#[test]
fn fingerprints_are_the_same_for_the_same_options_only() {
    for (n, options) in kinds().into_iter().enumerate() {
        for (m, other) in kinds().into_iter().enumerate() {
            assert_eq!(engine(options).fingerprint() == engine(other).fingerprint(), n == m, "{options:?} {other:?}");
        }
    }
}

#[test]
fn what_is_no_compiled_module_is_refused_on_one_line() {
    let other = engine(EngineOptions::default()).compile(ANSWER.as_bytes()).unwrap().serialize().unwrap();
    for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0\0", &other[..other.len() / 2], &other] {
        let counting = engine(EngineOptions { fuel: true, ..EngineOptions::default() });
        let Err(err) = load(&counting, bytes) else { panic!("loaded {} bytes", bytes.len()) };
        assert!(matches!(err, CompileError::Compiled(_)), "{err}");
        assert!(!err.to_string().contains('\n'), "{err}");
    }
}
