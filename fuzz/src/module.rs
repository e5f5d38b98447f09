//! Any bytes as a module: looked at, compiled, checked, linked, and started when they are one.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ngx_wasm::proxy_wasm::{Host, LogLevel, Module, ModuleError, RootConfig, Vm, VmConfig};
use ngx_wasm::vm::wasmtime::WasmtimeEngine;
use ngx_wasm::vm::{Activity, Engine, EngineOptions, Outline, Ticker};

/// How long a guest's start may take: its deadline, and what stops it is never so late.
const TIMEOUT: Duration = Duration::from_millis(50);
/// Far more than an input of so many bytes needs, on a busy machine and with everything instrumented, too; only what does not
/// end, or takes much longer than its size explains, reaches it.
fn bound(bytes: usize) -> Duration {
    Duration::from_secs(20) + Duration::from_millis(bytes as u64)
}

struct Nowhere;

impl Host for Nowhere {
    fn timeout(&self) -> Duration {
        TIMEOUT
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Trace
    }
}

static ENGINE: LazyLock<(Arc<dyn Engine>, Ticker)> = LazyLock::new(|| {
    let engine: Arc<dyn Engine> = Arc::new(WasmtimeEngine::new(EngineOptions::default()).expect("an engine"));
    let ticker = Ticker::start(Activity::global()).expect("a thread");
    ticker.serve(&engine);
    (engine, ticker)
});

/// Any bytes as a module.
pub fn module(data: &[u8]) {
    let engine = ENGINE.0.as_ref();
    let bound = bound(data.len());
    let begin = Instant::now();
    let compiled = engine.compile(data);
    assert!(begin.elapsed() < bound, "compiling {} bytes took {:?}", data.len(), begin.elapsed());
    if let Ok(compiled) = &compiled {
        engine.validate(data).expect("what is compiled is valid");
        if let Some(outline) = engine.outline(data) {
            assert_eq!(outline, Outline::of(compiled.as_ref()));
        }
    }
    let module = match compiled.map_err(ModuleError::from).and_then(Module::of) {
        Ok(module) => Arc::new(module),
        Err(err) => return assert!(!err.to_string().is_empty()),
    };
    let mut config = VmConfig::default();
    config.limits.memory = 4 << 20;
    let limit = config.limits.memory;
    let begin = Instant::now();
    if let Ok(mut vm) = Vm::start(&module, config, &mut Nowhere) {
        let _ = vm.create_root(RootConfig::default(), &mut Nowhere);
        assert!(vm.stats().memory <= limit);
    }
    assert!(begin.elapsed() < bound, "starting {} bytes took {:?}", data.len(), begin.elapsed());
}
