//! The Wasmtime backend, and the only file of this crate with `unsafe`: raw calls in both directions, which spare the
//! cost of Wasmtime's typed wrappers, and the pointer through which a host function finds the host of the call.

#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use wasmtime as wt;

use super::{
    Activity, Caller, CompileError, Engine, Export, ExternType, FuncType, GuestMemory, HostFunctions, Import, Instance,
    InstanceLimits, LinkError, LinkedImport, Module, Program, TICK, Trap, ValType,
};

/// No host function has more parameters (`proxy_grpc_call` has 12).
const MAX_ARGS: usize = 16;

/// No function that the host calls has more parameters (`proxy_on_http_call_response` has 5). At least 1, for a result.
const MAX_CALLBACK_ARGS: usize = 5;

/// Compilers make one table, of the functions that are called through pointers: some ten thousand in large Go programs.
const MAX_TABLES: usize = 8;
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// Frames in the backtrace of a trap, as many as the C++ reference host gives.
const MAX_FRAMES: usize = 20;

/// Wasmtime, compiling ahead of time with Cranelift.
pub struct WasmtimeEngine {
    engine: wt::Engine,
    activity: Arc<Activity>,
}

impl WasmtimeEngine {
    /// Makes an engine. It installs Wasmtime's signal handlers and starts no thread.
    pub fn new() -> Result<Self, LinkError> {
        let mut config = wt::Config::new();
        config.epoch_interruption(true);
        let engine = wt::Engine::new(&config).map_err(|err| LinkError(one_line(&err)))?;
        Ok(WasmtimeEngine { engine, activity: Arc::new(Activity::default()) })
    }
}

impl Engine for WasmtimeEngine {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn compile(&self, bytes: &[u8]) -> Result<Arc<dyn Module>, CompileError> {
        const MAGIC: &[u8] = b"\0asm";
        if bytes.is_empty() {
            return Err(CompileError::NotWasm("the file is empty".into()));
        }
        match wt::Module::new(&self.engine, bytes) {
            Ok(module) => Ok(Arc::new(WasmtimeModule { module, activity: self.activity.clone() })),
            Err(err) if bytes.starts_with(MAGIC) => Err(CompileError::Invalid(one_line(&err))),
            Err(err) => Err(CompileError::NotWasm(one_line(&err))),
        }
    }

    fn tick(&self) {
        self.engine.increment_epoch();
    }

    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

struct WasmtimeModule {
    module: wt::Module,
    activity: Arc<Activity>,
}

impl Module for WasmtimeModule {
    fn imports(&self) -> Vec<Import> {
        self.module
            .imports()
            .map(|import| Import {
                module: import.module().to_owned(),
                name: import.name().to_owned(),
                ty: extern_type(&import.ty()),
            })
            .collect()
    }

    fn exports(&self) -> Vec<Export> {
        self.module
            .exports()
            .map(|export| Export { name: export.name().to_owned(), ty: extern_type(&export.ty()) })
            .collect()
    }

    fn link(&self, imports: &[LinkedImport], exports: &[&'static str]) -> Result<Arc<dyn Program>, LinkError> {
        let engine = self.module.engine();
        let mut linker = wt::Linker::<StoreData>::new(engine);
        linker.allow_shadowing(true);
        for import in imports {
            let ty = wt::FuncType::new(
                engine,
                import.ty.params.iter().map(|ty| wasmtime_type(*ty)),
                import.ty.results.iter().map(|ty| wasmtime_type(*ty)),
            );
            let shape = Shape::of(&import.ty)
                .ok_or_else(|| LinkError(format!("{}.{} has an unusable type", import.module, import.name)))?;
            let function = import.function;
            // SAFETY: `Func::new_unchecked` wants the closure to read and write the slots as `ty` declares them;
            // `shape` was made from the same type.
            unsafe {
                linker.func_new_unchecked(&import.module, &import.name, ty, move |caller, slots| {
                    host_call(caller, function, shape, slots).map_err(wt::Error::from)
                })
            }
            .map_err(|err| LinkError(one_line(&err)))?;
        }
        let pre = linker.instantiate_pre(&self.module).map_err(|err| LinkError(one_line(&err)))?;
        let lookup = |name: &str| self.module.get_export_index(name);
        Ok(Arc::new(WasmtimeProgram {
            pre,
            exports: exports.iter().map(|name| lookup(name)).collect(),
            memory: lookup("memory"),
            activity: self.activity.clone(),
        }))
    }
}

struct WasmtimeProgram {
    pre: wt::InstancePre<StoreData>,
    exports: Vec<Option<wt::ModuleExport>>,
    memory: Option<wt::ModuleExport>,
    activity: Arc<Activity>,
}

impl Program for WasmtimeProgram {
    fn instantiate(
        &self,
        limits: InstanceLimits,
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<Box<dyn Instance>, Trap> {
        let data = StoreData {
            host: None,
            memory: None,
            exports: Box::default(),
            // A second memory, and tables, would be ways around the cap on memory.
            limits: wt::StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .instances(1)
                .memories(1)
                .tables(MAX_TABLES)
                .table_elements(MAX_TABLE_ELEMENTS)
                .build(),
        };
        let mut store = wt::Store::new(self.pre.module().engine(), data);
        store.limiter(|data| &mut data.limits);
        let instance = guest_call(&mut store, &self.activity, timeout, host, |store| self.pre.instantiate(store))
            .map_err(|trap| match trap {
                Trap::Guest { reason, .. } => Trap::Instantiate(reason),
                other => other,
            })?;

        let mut exports = Vec::with_capacity(self.exports.len());
        for export in &self.exports {
            exports.push(match export {
                Some(export) => instance
                    .get_module_export(&mut store, export)
                    .and_then(wt::Extern::into_func)
                    .and_then(|func| Exported::new(func, &store)),
                None => None,
            });
        }
        let memory = match &self.memory {
            Some(export) => instance.get_module_export(&mut store, export).and_then(wt::Extern::into_memory),
            None => None,
        };
        store.data_mut().exports = exports.into();
        store.data_mut().memory = memory;
        Ok(Box::new(WasmtimeInstance { store, activity: self.activity.clone() }))
    }
}

struct WasmtimeInstance {
    store: wt::Store<StoreData>,
    activity: Arc<Activity>,
}

impl Instance for WasmtimeInstance {
    fn call(
        &mut self,
        export: usize,
        args: &[u32],
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<u32, Trap> {
        let exported = Exported::find(self.store.data(), export)?;
        guest_call(&mut self.store, &self.activity, timeout, host, |store| exported.call(store, args))
    }

    fn memory_size(&mut self) -> usize {
        self.store.data().memory.map_or(0, |memory| memory.data_size(&self.store))
    }
}

/// What every store carries.
struct StoreData {
    /// The host of the call that is running, and nothing between calls.
    host: Option<NonNull<dyn HostFunctions>>,
    memory: Option<wt::Memory>,
    exports: Box<[Option<Exported>]>,
    limits: wt::StoreLimits,
}

/// Runs `call` with `host` in place and the deadline set.
fn guest_call<R>(
    store: &mut wt::Store<StoreData>,
    activity: &Activity,
    timeout: Duration,
    host: &mut dyn HostFunctions,
    call: impl FnOnce(&mut wt::Store<StoreData>) -> wt::Result<R>,
) -> Result<R, Trap> {
    // One tick more, because the first may come at once.
    let ticks = timeout.as_nanos().div_ceil(TICK.as_nanos()) as u64 + 1;
    store.set_epoch_deadline(ticks);
    store.data_mut().host = Some(erase(host));
    activity.enter();
    let result = call(store);
    activity.leave();
    store.data_mut().host = None;
    result.map_err(|err| into_trap(err, timeout))
}

/// Forgets how long the host lives. Sound only because each user clears the pointer before the borrow ends.
fn erase(host: &mut dyn HostFunctions) -> NonNull<dyn HostFunctions> {
    // SAFETY: only the lifetime in the trait object's type changes.
    unsafe { mem::transmute::<NonNull<dyn HostFunctions + '_>, NonNull<dyn HostFunctions>>(NonNull::from(host)) }
}

/// A function that can be called: all its parameters are i32, and it has at most one result, an i32.
#[derive(Clone, Copy)]
struct Exported {
    func: wt::Func,
    params: usize,
    has_result: bool,
}

impl Exported {
    fn new(func: wt::Func, store: impl wt::AsContext) -> Option<Exported> {
        let ty = func.ty(store);
        let params = ty.params().len();
        let results = ty.results().len();
        let fits = params <= MAX_CALLBACK_ARGS && results <= 1 && ty.params().chain(ty.results()).all(|ty| ty.is_i32());
        fits.then_some(Exported { func, params, has_result: results == 1 })
    }

    fn find(data: &StoreData, export: usize) -> Result<Exported, Trap> {
        match data.exports.get(export) {
            Some(Some(exported)) => Ok(*exported),
            _ => Err(Trap::host(format!("the module has no usable function number {export}"))),
        }
    }

    fn call(self, mut store: impl wt::AsContextMut, args: &[u32]) -> wt::Result<u32> {
        if args.len() != self.params {
            return Err(wt::Error::from(Trap::host("called with a wrong number of arguments")));
        }
        let mut slots = [wt::ValRaw::u32(0); MAX_CALLBACK_ARGS];
        for (slot, arg) in slots.iter_mut().zip(args) {
            *slot = wt::ValRaw::u32(*arg);
        }
        // SAFETY: the slots hold as many i32 as the function takes, and there is room for its result; `new` looked at
        // its type.
        unsafe { self.func.call_unchecked(&mut store, &raw mut slots[..])? };
        Ok(if self.has_result { slots[0].get_u32() } else { 0 })
    }
}

/// The types of a host function, in the form in which its calls need them.
#[derive(Clone, Copy)]
struct Shape {
    params: usize,
    /// Bit n is set when parameter n is an i64.
    wide: u32,
    result: Option<ValType>,
}

impl Shape {
    fn of(ty: &FuncType) -> Option<Shape> {
        if ty.params.len() > MAX_ARGS || ty.results.len() > 1 {
            return None;
        }
        let mut wide = 0;
        for (n, param) in ty.params.iter().enumerate() {
            match param {
                ValType::I32 => {}
                ValType::I64 => wide |= 1 << n,
                _ => return None,
            }
        }
        let result = ty.results.first().copied();
        matches!(result, None | Some(ValType::I32 | ValType::I64)).then_some(Shape {
            params: ty.params.len(),
            wide,
            result,
        })
    }
}

fn host_call(
    mut caller: wt::Caller<'_, StoreData>,
    function: u32,
    shape: Shape,
    slots: &mut [MaybeUninit<wt::ValRaw>],
) -> Result<(), Trap> {
    let Some(mut host) = caller.data().host else {
        return Err(Trap::host("host call outside of a guest call"));
    };
    let mut args = [0u64; MAX_ARGS];
    for (n, slot) in slots.iter().take(shape.params).enumerate() {
        // SAFETY: Wasmtime initialises the slots of the parameters.
        let slot = unsafe { slot.assume_init_ref() };
        args[n] = if shape.wide & (1 << n) == 0 { u64::from(slot.get_u32()) } else { slot.get_u64() };
    }
    // SAFETY: `guest_call` or `Caller::call` put the pointer there and holds the exclusive borrow behind it until the
    // guest returns. While this reference lives, nobody else follows the pointer: guest code runs again only through
    // `Caller::call`, which replaces it by the borrow that it was given.
    let host = unsafe { host.as_mut() };
    let result = host.call(function, &mut WasmtimeCaller(&mut caller), &args[..shape.params])?;
    match shape.result {
        None => {}
        Some(ValType::I64) => {
            slots[0].write(wt::ValRaw::u64(result));
        }
        Some(_) => {
            slots[0].write(wt::ValRaw::u32(result as u32));
        }
    }
    Ok(())
}

struct WasmtimeCaller<'a, 'b>(&'a mut wt::Caller<'b, StoreData>);

impl Caller for WasmtimeCaller<'_, '_> {
    fn memory(&mut self) -> GuestMemory<'_> {
        // Before the instance is complete (a start function is running) the memory is not in the store yet.
        let memory = match self.0.data().memory {
            Some(memory) => Some(memory),
            None => self.0.get_export("memory").and_then(wt::Extern::into_memory),
        };
        match memory {
            Some(memory) => GuestMemory::new(memory.data_mut(&mut *self.0)),
            None => GuestMemory::new(&mut []),
        }
    }

    fn call(&mut self, export: usize, args: &[u32], host: &mut dyn HostFunctions) -> Result<u32, Trap> {
        let exported = Exported::find(self.0.data(), export)?;
        let outer = self.0.data_mut().host.replace(erase(host));
        let result = exported.call(&mut *self.0, args);
        self.0.data_mut().host = outer;
        result.map_err(|err| into_trap(err, Duration::ZERO))
    }
}

/// Finds the reason behind Wasmtime's error.
fn into_trap(err: wt::Error, timeout: Duration) -> Trap {
    let backtrace = err
        .downcast_ref::<wt::WasmBacktrace>()
        .map(|trace| trace.frames().iter().take(MAX_FRAMES).map(frame).collect())
        .unwrap_or_default();
    let err = match err.downcast::<Trap>() {
        Ok(Trap::Guest { reason, backtrace: inner }) => {
            return Trap::Guest { reason, backtrace: if inner.is_empty() { backtrace } else { inner } };
        }
        Ok(Trap::Timeout(_)) => return Trap::Timeout(timeout),
        Ok(trap) => return trap,
        Err(err) => err,
    };
    match err.downcast_ref::<wt::Trap>() {
        Some(wt::Trap::Interrupt) => Trap::Timeout(timeout),
        Some(trap) => Trap::Guest { reason: trap.to_string(), backtrace },
        None => Trap::Guest { reason: one_line(&err), backtrace },
    }
}

fn frame(frame: &wt::FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => wt_demangle(name),
        None => format!("function #{}", frame.func_index()),
    }
}

fn wt_demangle(name: &str) -> String {
    // Rust's and C++'s long names are cut: the error log has 2 KiB for an entry.
    name.chars().take(120).collect()
}

/// The chain of causes on one line.
fn one_line(err: &wt::Error) -> String {
    let text = err
        .chain()
        .map(|cause| cause.to_string())
        // The backtrace is a link of the chain too; `into_trap` has taken it out already.
        .filter(|cause| !cause.starts_with("error while executing at wasm backtrace"))
        .collect::<Vec<_>>()
        .join(": ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn extern_type(ty: &wt::ExternType) -> ExternType {
    match ty {
        wt::ExternType::Func(ty) => ExternType::Func(FuncType {
            params: ty.params().map(|ty| val_type(&ty)).collect(),
            results: ty.results().map(|ty| val_type(&ty)).collect(),
        }),
        wt::ExternType::Memory(_) => ExternType::Memory,
        wt::ExternType::Global(_) => ExternType::Other("global"),
        wt::ExternType::Table(_) => ExternType::Other("table"),
        wt::ExternType::Tag(_) => ExternType::Other("tag"),
    }
}

fn val_type(ty: &wt::ValType) -> ValType {
    match ty {
        wt::ValType::I32 => ValType::I32,
        wt::ValType::I64 => ValType::I64,
        wt::ValType::F32 => ValType::F32,
        wt::ValType::F64 => ValType::F64,
        _ => ValType::Other,
    }
}

fn wasmtime_type(ty: ValType) -> wt::ValType {
    match ty {
        ValType::I64 => wt::ValType::I64,
        ValType::F32 => wt::ValType::F32,
        ValType::F64 => wt::ValType::F64,
        // `Shape::of` refuses what is left.
        ValType::I32 | ValType::Other => wt::ValType::I32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Notes the calls that reach it, and answers with what `answer` makes of them.
    struct Recorder<F> {
        calls: Vec<(u32, Vec<u64>)>,
        answer: F,
    }

    impl<F: FnMut(u32, &mut dyn Caller) -> Result<u64, Trap>> HostFunctions for Recorder<F> {
        fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
            self.calls.push((function, args.to_vec()));
            (self.answer)(function, caller)
        }
    }

    fn recorder<F: FnMut(u32, &mut dyn Caller) -> Result<u64, Trap>>(answer: F) -> Recorder<F> {
        Recorder { calls: Vec::new(), answer }
    }

    /// Links every import, with numbers from 0 on.
    fn program(wat: &str, exports: &[&'static str]) -> Result<Arc<dyn Program>, LinkError> {
        let module = WasmtimeEngine::new().unwrap().compile(wat.as_bytes()).unwrap();
        let linked = |(function, import): (usize, Import)| {
            let ExternType::Func(ty) = import.ty else { panic!("{} is no function", import.name) };
            LinkedImport { module: import.module, name: import.name, ty, function: function as u32 }
        };
        let imports: Vec<_> = module.imports().into_iter().enumerate().map(linked).collect();
        module.link(&imports, exports)
    }

    fn instance(wat: &str, exports: &[&'static str]) -> Box<dyn Instance> {
        let host = &mut recorder(|_, _| Ok(0));
        program(wat, exports).unwrap().instantiate(InstanceLimits::default(), SECOND, host).unwrap()
    }

    fn compile_error(bytes: &[u8]) -> CompileError {
        WasmtimeEngine::new().unwrap().compile(bytes).map(|_| ()).unwrap_err()
    }

    #[test]
    fn what_is_no_module_is_told_from_a_broken_one_on_one_line() {
        for bytes in [&b""[..], b"hello", b"(module (func $a (call $b)))", b"\x7fELF", b"\xff\xfe"] {
            let err = compile_error(bytes);
            assert!(matches!(err, CompileError::NotWasm(_)), "{err}");
            assert!(!err.to_string().contains('\n'), "{err}");
        }
        for bytes in [&b"\0asm"[..], b"\0asm\x01\0\0\0\x01", b"\0asm\x01\0\0\0\xff\xff", b"\0asm\x09\0\0\0"] {
            let err = compile_error(bytes);
            assert!(matches!(err, CompileError::Invalid(_)), "{err}");
            assert!(!err.to_string().contains('\n'), "{err}");
        }
    }

    #[test]
    fn a_module_says_what_it_wants_and_offers() {
        let module = WasmtimeEngine::new()
            .unwrap()
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
        assert!(!trap.backtrace().is_empty());
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
            let mut instance = program.instantiate(InstanceLimits::default(), SECOND, host).unwrap();
            assert_eq!(instance.memory_size() as u64, size);
        }
    }
}
