//! The library of WasmEdge, which is opened when an engine is made for the first time, and the functions of its C API that this backend
//! calls. Nothing links against it: without it the module works, with the other engine.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::mem;
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library as OpenLibrary, RTLD_LOCAL, RTLD_NOW};

use super::types::{
    AstModule, Async, Bytes, CallingFrame, Compiler, Configure, Executor, ExportType, FunctionInstance, FunctionType,
    HostFunction, ImportType, Loader, LogCallback, LogMessage, MemoryInstance, ModuleInstance, NumberTypes, Outcome,
    RawType, Statistics, Store, Text, Validator, Value, WARNINGS,
};

/// The name under which the system finds it: that of its interface, which the number belongs to.
const NAME: &str = "libwasmedge.so.0";

/// The versions whose headers the declarations below were made from. Others have the same name and other structures.
const VERSION: (u32, u32) = (0, 17);

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($arg:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions, by what they do.
        pub struct Functions {
            $(pub $name: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        impl Functions {
            /// Looks all of them up.
            ///
            /// # Safety
            ///
            /// The library has the interface of [`VERSION`], and is never closed.
            unsafe fn find(library: &OpenLibrary) -> Result<Functions, String> {
                Ok(Functions {
                    // SAFETY: the types are those of the headers of this version, of which the caller says that the library is.
                    $($name: unsafe { find(library, $symbol)? },)*
                })
            }
        }
    };
}

functions! {
    log_callback = "WasmEdge_LogSetCallback": fn(LogCallback);
    log_level = "WasmEdge_LogSetLevel": fn(c_int);
    message = "WasmEdge_ResultGetMessage": fn(Outcome) -> *const c_char;

    type_i32 = "WasmEdge_ValTypeGenI32": fn() -> RawType;
    type_i64 = "WasmEdge_ValTypeGenI64": fn() -> RawType;
    is_i32 = "WasmEdge_ValTypeIsI32": fn(RawType) -> bool;
    is_i64 = "WasmEdge_ValTypeIsI64": fn(RawType) -> bool;
    is_f32 = "WasmEdge_ValTypeIsF32": fn(RawType) -> bool;
    is_f64 = "WasmEdge_ValTypeIsF64": fn(RawType) -> bool;

    configure_create = "WasmEdge_ConfigureCreate": fn() -> *mut Configure;
    configure_standard = "WasmEdge_ConfigureSetWASMStandard": fn(*mut Configure, c_int);
    configure_add = "WasmEdge_ConfigureAddProposal": fn(*mut Configure, c_int);
    configure_mode = "WasmEdge_ConfigureSetRunMode": fn(*mut Configure, c_int);
    configure_pages = "WasmEdge_ConfigureSetMaxMemoryPage": fn(*mut Configure, u64);
    configure_format = "WasmEdge_ConfigureCompilerSetOutputFormat": fn(*mut Configure, c_int);
    configure_optimization = "WasmEdge_ConfigureCompilerSetOptimizationLevel": fn(*mut Configure, c_int);
    configure_interruptible = "WasmEdge_ConfigureCompilerSetInterruptible": fn(*mut Configure, bool);
    configure_cost = "WasmEdge_ConfigureStatisticsSetCostMeasuring": fn(*mut Configure, bool);
    configure_delete = "WasmEdge_ConfigureDelete": fn(*mut Configure);

    statistics_create = "WasmEdge_StatisticsCreate": fn() -> *mut Statistics;
    statistics_limit = "WasmEdge_StatisticsSetCostLimit": fn(*mut Statistics, u64);
    statistics_cost = "WasmEdge_StatisticsGetTotalCost": fn(*const Statistics) -> u64;
    statistics_clear = "WasmEdge_StatisticsClear": fn(*mut Statistics);
    statistics_delete = "WasmEdge_StatisticsDelete": fn(*mut Statistics);

    compiler_create = "WasmEdge_CompilerCreate": fn(*const Configure) -> *mut Compiler;
    compiler_compile = "WasmEdge_CompilerCompileFromBytes": fn(*mut Compiler, Bytes, *const c_char) -> Outcome;

    loader_create = "WasmEdge_LoaderCreate": fn(*const Configure) -> *mut Loader;
    loader_parse = "WasmEdge_LoaderParseFromBytes": fn(*mut Loader, *mut *mut AstModule, Bytes) -> Outcome;
    loader_delete = "WasmEdge_LoaderDelete": fn(*mut Loader);
    validator_create = "WasmEdge_ValidatorCreate": fn(*const Configure) -> *mut Validator;
    validator_validate = "WasmEdge_ValidatorValidate": fn(*mut Validator, *const AstModule) -> Outcome;
    validator_delete = "WasmEdge_ValidatorDelete": fn(*mut Validator);

    module_imports_len = "WasmEdge_ASTModuleListImportsLength": fn(*const AstModule) -> u32;
    module_imports = "WasmEdge_ASTModuleListImports": fn(*const AstModule, *mut *const ImportType, u32) -> u32;
    module_exports_len = "WasmEdge_ASTModuleListExportsLength": fn(*const AstModule) -> u32;
    module_exports = "WasmEdge_ASTModuleListExports": fn(*const AstModule, *mut *const ExportType, u32) -> u32;
    module_delete = "WasmEdge_ASTModuleDelete": fn(*mut AstModule);
    import_kind = "WasmEdge_ImportTypeGetExternalType": fn(*const ImportType) -> c_int;
    import_module = "WasmEdge_ImportTypeGetModuleName": fn(*const ImportType) -> Text;
    import_name = "WasmEdge_ImportTypeGetExternalName": fn(*const ImportType) -> Text;
    import_function = "WasmEdge_ImportTypeGetFunctionType": fn(*const AstModule, *const ImportType) -> *const FunctionType;
    export_kind = "WasmEdge_ExportTypeGetExternalType": fn(*const ExportType) -> c_int;
    export_name = "WasmEdge_ExportTypeGetExternalName": fn(*const ExportType) -> Text;
    export_function = "WasmEdge_ExportTypeGetFunctionType": fn(*const AstModule, *const ExportType) -> *const FunctionType;
    function_type_create = "WasmEdge_FunctionTypeCreate": fn(*const RawType, u32, *const RawType, u32) -> *mut FunctionType;
    function_type_params_len = "WasmEdge_FunctionTypeGetParametersLength": fn(*const FunctionType) -> u32;
    function_type_params = "WasmEdge_FunctionTypeGetParameters": fn(*const FunctionType, *mut RawType, u32) -> u32;
    function_type_returns_len = "WasmEdge_FunctionTypeGetReturnsLength": fn(*const FunctionType) -> u32;
    function_type_returns = "WasmEdge_FunctionTypeGetReturns": fn(*const FunctionType, *mut RawType, u32) -> u32;
    function_type_delete = "WasmEdge_FunctionTypeDelete": fn(*mut FunctionType);

    executor_create = "WasmEdge_ExecutorCreate": fn(*const Configure, *mut Statistics) -> *mut Executor;
    executor_import = "WasmEdge_ExecutorRegisterImport": fn(*mut Executor, *mut Store, *const ModuleInstance) -> Outcome;
    executor_instantiate = "WasmEdge_ExecutorInstantiate":
        fn(*mut Executor, *mut *mut ModuleInstance, *mut Store, *const AstModule) -> Outcome;
    executor_invoke = "WasmEdge_ExecutorInvoke":
        fn(*mut Executor, *const FunctionInstance, *const Value, u32, *mut Value, u32) -> Outcome;
    executor_invoke_async = "WasmEdge_ExecutorAsyncInvoke":
        fn(*mut Executor, *const FunctionInstance, *const Value, u32) -> *mut Async;
    executor_delete = "WasmEdge_ExecutorDelete": fn(*mut Executor);
    async_wait = "WasmEdge_AsyncWait": fn(*const Async);
    async_cancel = "WasmEdge_AsyncCancel": fn(*mut Async);
    async_delete = "WasmEdge_AsyncDelete": fn(*mut Async);
    store_create = "WasmEdge_StoreCreate": fn() -> *mut Store;
    store_delete = "WasmEdge_StoreDelete": fn(*mut Store);

    instance_create = "WasmEdge_ModuleInstanceCreate": fn(Text) -> *mut ModuleInstance;
    instance_add = "WasmEdge_ModuleInstanceAddFunction": fn(*mut ModuleInstance, Text, *mut FunctionInstance);
    instance_function = "WasmEdge_ModuleInstanceFindFunction": fn(*const ModuleInstance, Text) -> *mut FunctionInstance;
    instance_memory = "WasmEdge_ModuleInstanceFindMemory": fn(*const ModuleInstance, Text) -> *mut MemoryInstance;
    instance_delete = "WasmEdge_ModuleInstanceDelete": fn(*mut ModuleInstance);
    function_create = "WasmEdge_FunctionInstanceCreateBinding":
        fn(*const FunctionType, HostFunction, *mut c_void, *mut c_void, u64) -> *mut FunctionInstance;
    function_delete = "WasmEdge_FunctionInstanceDelete": fn(*mut FunctionInstance);
    memory_pages = "WasmEdge_MemoryInstanceGetPageSize": fn(*const MemoryInstance) -> u64;
    memory_pointer = "WasmEdge_MemoryInstanceGetPointer": fn(*mut MemoryInstance, u64, u64) -> *mut u8;
    frame_instance = "WasmEdge_CallingFrameGetModuleInstance": fn(*const CallingFrame) -> *const ModuleInstance;
}

/// The library of this process.
pub struct Library {
    pub functions: Functions,
    pub numbers: NumberTypes,
    /// As it calls itself, such as `0.17.1`.
    pub version: String,
}

impl Library {
    /// Opens it, if it is not open. It is never closed: its code is on stacks, its objects are in instances.
    pub fn open() -> Result<&'static Library, String> {
        static OPEN: Mutex<Option<&'static Library>> = Mutex::new(None);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = *open {
            return Ok(library);
        }
        let library: &'static Library = Box::leak(Box::new(Library::load()?));
        // SAFETY: the callback has the type that the API wants, and is there as long as the process: this file is never unloaded
        // while the library may call it, which does so in calls of this crate only.
        unsafe {
            (library.functions.log_callback)(note);
            (library.functions.log_level)(WARNINGS);
        }
        *open = Some(library);
        Ok(library)
    }

    fn load() -> Result<Library, String> {
        // SAFETY: the library's initialisers are those of WasmEdge and of LLVM, which want nothing of a process.
        let library = unsafe { OpenLibrary::open(Some(NAME), RTLD_NOW | RTLD_LOCAL) }.map_err(|err| {
            format!(
                "the library of WasmEdge, {NAME}, cannot be opened (is it installed?): {}",
                one_line(&err.to_string())
            )
        })?;
        let version = version(&library)?;
        // SAFETY: it says that it is of this version; it is forgotten below, not closed.
        let functions = unsafe { Functions::find(&library)? };
        mem::forget(library);
        // SAFETY: these functions have no conditions.
        let numbers = unsafe { NumberTypes { i32: (functions.type_i32)(), i64: (functions.type_i64)() } };
        Ok(Library { functions, numbers, version })
    }
}

/// The version that it says it has, if that is one of those that are known here.
fn version(library: &OpenLibrary) -> Result<String, String> {
    type Number = unsafe extern "C" fn() -> u32;
    let number = |symbol: &str| {
        // SAFETY: all versions have these functions, of this type.
        let function = unsafe { find::<Number>(library, symbol)? };
        // SAFETY: they have no conditions.
        Ok::<_, String>(unsafe { function() })
    };
    let major = number("WasmEdge_VersionGetMajor")?;
    let minor = number("WasmEdge_VersionGetMinor")?;
    let patch = number("WasmEdge_VersionGetPatch")?;
    if (major, minor) != VERSION {
        let (wanted_major, wanted_minor) = VERSION;
        return Err(format!(
            "{NAME} is WasmEdge {major}.{minor}.{patch}, and this module works with {wanted_major}.{wanted_minor}"
        ));
    }
    Ok(format!("{major}.{minor}.{patch}"))
}

/// A function of the library.
///
/// # Safety
///
/// `T` is the type of the function, a pointer.
unsafe fn find<T: Copy>(library: &OpenLibrary, symbol: &str) -> Result<T, String> {
    // SAFETY: the caller says so.
    let found = unsafe { library.get::<T>(symbol.as_bytes()) };
    found.map(|function| *function).map_err(|_| format!("{NAME} has no function {symbol}"))
}

/// What the library has logged, on this thread, since somebody asked for it. It says there what its results do not.
#[derive(Default)]
pub struct Notes {
    pub messages: Vec<String>,
    /// How often memory was to grow beyond its cap.
    pub refused_growth: u64,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

/// More of them say nothing new.
const MAX_MESSAGES: usize = 32;
const MAX_MESSAGE: usize = 1000;

/// How the message begins that a memory does not grow: all that the library tells of that.
const REFUSED_GROWTH: &str = "Memory Instance: Memory grow page failed";

/// Takes what there is.
pub fn take_notes() -> Notes {
    NOTES.with(|notes| notes.take())
}

/// Called for what the library logs, in place of writing it to the standard output.
pub unsafe extern "C" fn note(message: *const LogMessage) {
    // SAFETY: the library passes a message that lives as long as the call, and so do its bytes.
    let Some(message) = (unsafe { message.as_ref() }) else { return };
    // SAFETY: as above.
    let text = unsafe { Text { len: message.message.len.min(MAX_MESSAGE as u32), ..message.message }.to_text() };
    // While a thread ends there may be none.
    let _ = NOTES.try_with(|notes| {
        let Ok(mut notes) = notes.try_borrow_mut() else { return };
        if text.starts_with(REFUSED_GROWTH) {
            notes.refused_growth += 1;
        } else if notes.messages.len() < MAX_MESSAGES {
            notes.messages.push(one_line(&text));
        }
    });
}

/// Any text on one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Something that the API has made, and that goes with this.
pub struct Owned<T> {
    pointer: *mut T,
    delete: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes what a function of the API gave; the error is for when it gave none, which is for lack of memory.
    ///
    /// # Safety
    ///
    /// The API says that the caller owns it, and deletes it by this function.
    pub unsafe fn new(pointer: *mut T, delete: unsafe extern "C" fn(*mut T)) -> Result<Owned<T>, String> {
        if pointer.is_null() { Err("WasmEdge has no memory".into()) } else { Ok(Owned { pointer, delete }) }
    }

    pub fn get(&self) -> *mut T {
        self.pointer
    }

    /// Leaves it to somebody else.
    pub fn release(self) -> *mut T {
        mem::ManuallyDrop::new(self).pointer
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: whoever made this owned it, and named its function.
        unsafe { (self.delete)(self.pointer) };
    }
}
