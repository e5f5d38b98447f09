//! What the rest of the host relies on, through the traits of `vm`: the same for each engine. Tests have one engine in a process:
//! Wasmtime, or WasmEdge in a build without it. `NGX_WASM_TEST_ENGINE=pulley` has Wasmtime's interpreter in its place (`make test-unit`),
//! `NGX_WASM_TEST_OPTIMIZE=off` code of WasmEdge as it is made of large modules.

mod fuel;
mod outline;
mod start_clock;
mod types;

use std::sync::Arc;
use std::time::Duration;

use crate::vm::{
    Caller, CompileError, Engine, EngineOptions, ExternType, HostFunctions, Import, Instance, InstanceLimits,
    LinkError, LinkedImport, Program, Trap,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Whether it is Wasmtime that tests run. What other engines do otherwise is in docs/engines.md.
pub(crate) const IS_WASMTIME: bool = cfg!(feature = "wasmtime");

/// The engine that tests run.
pub(crate) fn engine(options: EngineOptions) -> Arc<dyn Engine> {
    #[cfg(feature = "wasmtime")]
    let engine = crate::vm::wasmtime::tests::engine_of_tests(options);
    #[cfg(all(feature = "wasmedge", not(feature = "wasmtime")))]
    let engine = crate::vm::wasmedge::WasmEdgeEngine::new(crate::vm::wasmedge::tests::optimized(options))
        .unwrap_or_else(|err| panic!("{err}"));
    Arc::new(engine)
}

/// Notes the calls that reach it, and answers with what `answer` makes of them.
pub(super) struct Recorder<F> {
    pub(super) calls: Vec<(u32, Vec<u64>)>,
    answer: F,
}

impl<F: FnMut(u32, &mut dyn Caller) -> Result<u64, Trap>> HostFunctions for Recorder<F> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        self.calls.push((function, args.to_vec()));
        (self.answer)(function, caller)
    }
}

pub(super) fn recorder<F: FnMut(u32, &mut dyn Caller) -> Result<u64, Trap>>(answer: F) -> Recorder<F> {
    Recorder { calls: Vec::new(), answer }
}

/// Gives every import its number, from 0 on.
pub(super) fn linked(imports: Vec<Import>) -> Vec<LinkedImport> {
    let linked = |(function, import): (usize, Import)| {
        let ExternType::Func(ty) = import.ty else { panic!("{} is no function", import.name) };
        LinkedImport { module: import.module, name: import.name, ty, function: function as u32 }
    };
    imports.into_iter().enumerate().map(linked).collect()
}

pub(super) fn program(wat: &str, exports: &[&'static str]) -> Result<Arc<dyn Program>, LinkError> {
    let module = engine(EngineOptions::default()).compile(wat.as_bytes()).unwrap();
    module.link(&linked(module.imports()), exports)
}

pub(super) fn instance(wat: &str, exports: &[&'static str]) -> Box<dyn Instance> {
    let host = &mut recorder(|_, _| Ok(0));
    program(wat, exports).unwrap().instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap()
}

pub(super) fn compile_error(bytes: &[u8]) -> CompileError {
    engine(EngineOptions::default()).compile(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn what_is_no_module_is_told_from_a_broken_one_on_one_line() {
    for bytes in [&b""[..], b"hello", b"(module (func $a (call $b)))", b"\x7fELF", b"\xff\xfe"] {
        let err = compile_error(bytes);
        assert!(matches!(err, CompileError::NotWasm(_)), "{err}");
        assert!(!err.to_string().contains('\n'), "{err}");
    }
    for bytes in [&b"\0asm"[..], b"\0asm\x01\0\0\0\x01", b"\0asm\x01\0\0\0\xff\xff"] {
        let err = compile_error(bytes);
        assert!(matches!(err, CompileError::Truncated(_)), "{err}");
    }
    for bytes in
        [&b"\0asm\x09\0\0\0"[..], b"\0asm\x01\0\0\0\x01\x02\xff\xff", b"(module (func (result i32) (i64.const 1)))"]
    {
        let err = compile_error(bytes);
        assert!(matches!(err, CompileError::Invalid(_)), "{err}");
        assert!(!err.to_string().contains('\n'), "{err}");
    }
}

#[test]
fn a_module_says_what_it_wants_and_offers() {
    let module = engine(EngineOptions::default())
        .compile(
            b"(module (import \"a\" \"b\" (func (param i32 i64 f32 f64) (result i32)))
                (import \"a\" \"g\" (global i32)) (memory (export \"memory\") 1) (table (export \"t\") 1 funcref))",
        )
        .unwrap();
    let imports: Vec<_> = module.imports().iter().map(|i| format!("{}.{} {}", i.module, i.name, i.ty)).collect();
    assert_eq!(imports, ["a.b func (i32, i64, f32, f64) -> (i32)", "a.g global"]);
    let exports: Vec<_> = module.exports().iter().map(|export| format!("{} {}", export.name, export.ty)).collect();
    assert_eq!(exports, ["memory memory", "t table"]);
}

#[test]
fn arguments_and_results_keep_their_bits() {
    let wat = "(module
        (import \"h\" \"wide\" (func $wide (param i64 i32) (result i64)))
        (import \"h\" \"narrow\" (func $narrow (param i32) (result i32)))
        (import \"h\" \"nothing\" (func $nothing (param i32)))
        (func (export \"go\") (param i32) (result i32)
            (call $nothing (local.get 0))
            (if (i64.ne (call $wide (i64.const -2) (i32.const -1)) (i64.const -3)) (then unreachable))
            (call $narrow (i32.const 7))))";
    let mut host = recorder(|_, _| Ok((-3i64) as u64));
    let result = instance(wat, &["go"]).call(0, &[u32::MAX], SECOND, &mut host).unwrap();
    assert_eq!(result, (-3i32) as u32);
    let minus_1 = u64::from(u32::MAX);
    assert_eq!(host.calls, [(2, vec![minus_1]), (0, vec![u64::MAX - 1, minus_1]), (1, vec![7])]);
}

#[test]
fn a_host_function_has_no_floats_and_16_parameters_at_most() {
    for ty in ["(param f32)", "(result f64)", "(param v128)", &format!("(param {})", "i32 ".repeat(17))] {
        let Err(err) = program(&format!("(module (import \"a\" \"b\" (func {ty})))"), &[]) else { panic!("{ty}") };
        assert_eq!(err.to_string(), "cannot link: a.b has an unusable type");
    }
    let most = format!("(module (import \"a\" \"b\" (func (param {}))))", "i32 ".repeat(16));
    assert!(program(&most, &[]).is_ok());
}

#[test]
fn an_export_that_cannot_be_called_traps() {
    let wat = "(module (func (export \"wide\") (param i64)) (func (export \"ok\")) (memory (export \"m\") 1))";
    let mut instance = instance(wat, &["missing", "wide", "m", "ok"]);
    let host = &mut recorder(|_, _| Ok(0));
    for (export, args) in [(0, &[][..]), (1, &[1]), (2, &[]), (3, &[1]), (99, &[])] {
        assert!(matches!(instance.call(export, args, SECOND, host), Err(Trap::Guest { .. })), "{export}");
    }
    assert_eq!(instance.call(3, &[], SECOND, host).unwrap(), 0);
}

const OUTER_AND_INNER: &str = "(module (import \"h\" \"f\" (func $f (result i32)))
    (func (export \"outer\") (result i32) (drop (call $f)) (call $f))
    (func (export \"inner\") (result i32) (call $f)))";

#[test]
fn a_call_back_into_the_guest_has_a_host_of_its_own_and_gives_the_outer_one_back() {
    let mut instance = instance(OUTER_AND_INNER, &["outer", "inner"]);
    let mut inner_calls = 0;
    let mut host = recorder(|_, caller| {
        let mut inner = recorder(|_, _| Ok(5));
        let result = caller.call(1, &[], &mut inner)?;
        inner_calls += inner.calls.len();
        Ok(u64::from(result) + 1)
    });
    assert_eq!(instance.call(0, &[], SECOND, &mut host).unwrap(), 6);
    assert_eq!(host.calls.len(), 2);
    assert_eq!(inner_calls, 2);
}

#[test]
fn a_trap_of_the_host_passes_through_the_guest() {
    let mut instance = instance(OUTER_AND_INNER, &["outer", "inner"]);
    let host = &mut recorder(|_, _| Err(Trap::host("enough")));
    let trap = instance.call(0, &[], SECOND, host).unwrap_err();
    assert_eq!(trap.to_string(), "enough");
    assert_eq!(!trap.backtrace().is_empty(), IS_WASMTIME);
}

#[test]
fn a_trap_of_an_inner_call_is_the_hosts_to_hide() {
    let wat = "(module (import \"h\" \"f\" (func $f (result i32)))
        (func (export \"outer\") (result i32) (call $f)) (func (export \"inner\") unreachable))";
    let host = &mut recorder(|_, caller| {
        assert!(caller.call(1, &[], &mut recorder(|_, _| Ok(0))).is_err());
        Ok(9)
    });
    assert_eq!(instance(wat, &["outer", "inner"]).call(0, &[], SECOND, host).unwrap(), 9);
}

#[test]
fn a_guest_without_memory_shows_none_and_one_with_it_shows_it_from_the_start_section_on() {
    let start = "(import \"h\" \"f\" (func $f)) (func $go (call $f)) (start $go)";
    for (memory, size) in [("", 0), ("(memory (export \"memory\") 2)", 2 << 16), ("(memory (export \"m\") 1)", 0)] {
        let program = program(&format!("(module {start} {memory})"), &[]).unwrap();
        let host = &mut recorder(|_, caller| {
            assert_eq!(caller.memory().check(0, size), Ok(()));
            assert!(caller.memory().check(0, size + 1).is_err());
            Ok(0)
        });
        let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
        assert_eq!(instance.stats().memory as u64, size);
    }
}

/// For tests about the whole process: whether it runs this test alone. If not, it has made such a process, which has passed it.
pub(super) fn is_alone() -> bool {
    const ALONE: &str = "NGX_WASM_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let output =
        std::process::Command::new(std::env::current_exe().unwrap()).args(["--exact", &name]).env(ALONE, "1").output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}
