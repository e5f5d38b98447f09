//! What the C API of WasmEdge passes and returns, as its headers say, and the types of WebAssembly between its words and those of this
//! crate. `library.rs` has the functions.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::library::Library;
use crate::vm::{ExternType, FuncType, ValType};

/// Things that are only known by pointers.
macro_rules! opaque {
    ($($name:ident)*) => {
        $(
            #[repr(C)]
            pub struct $name {
                _private: [u8; 0],
            }
        )*
    };
}

opaque! {
    AstModule Async CallingFrame Compiler Configure Executor ExportType FunctionInstance FunctionType ImportType Loader
    MemoryInstance ModuleInstance Statistics Store Validator
}

/// `WasmEdge_String`: bytes that something else owns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    pub len: u32,
    pub bytes: *const c_char,
}

impl Text {
    /// Valid as long as `text` is.
    pub fn of(text: &str) -> Text {
        Text { len: text.len() as u32, bytes: text.as_ptr().cast() }
    }

    /// A copy.
    ///
    /// # Safety
    ///
    /// What owns the bytes still lives.
    pub unsafe fn to_text(self) -> String {
        if self.bytes.is_null() || self.len == 0 {
            return String::new();
        }
        // SAFETY: the structure says where its bytes are and how many; the caller says that they live.
        let bytes = unsafe { std::slice::from_raw_parts(self.bytes.cast::<u8>(), self.len as usize) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// `WasmEdge_Bytes`: the same for bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    len: u32,
    bytes: *const u8,
}

impl Bytes {
    /// Valid as long as `bytes` are. The API has no more than 4 GiB.
    pub fn of(bytes: &[u8]) -> Bytes {
        Bytes { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), bytes: bytes.as_ptr() }
    }
}

/// `WasmEdge_Result`: a code, with its category in the highest byte.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(pub u32);

impl Outcome {
    pub const SUCCESS: Outcome = Outcome(0);
    /// Of the category that is for users of the API: a host function says that it has failed. Why is kept elsewhere.
    pub const HOST: Outcome = Outcome(0x0100_0001);
    pub const COST_LIMIT_EXCEEDED: Outcome = Outcome(0x03);
    pub const INTERRUPTED: Outcome = Outcome(0x07);
}

/// `WasmEdge_ValType`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawType([u8; 8]);

/// `WasmEdge_Value`: bits, and of which type they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value {
    pub bits: u128,
    pub ty: RawType,
}

/// `WasmEdge_LogMessage`, as far as it is read.
#[repr(C)]
pub struct LogMessage {
    pub message: Text,
    pub logger: Text,
    pub level: c_int,
}

pub type LogCallback = unsafe extern "C" fn(*const LogMessage);

/// `WasmEdge_WrapFunc_t`: what a host function is to the library.
pub type HostFunction = unsafe extern "C" fn(
    this: *mut c_void,
    data: *mut c_void,
    frame: *const CallingFrame,
    params: *const Value,
    params_len: u32,
    returns: *mut Value,
    returns_len: u32,
) -> Outcome;

/// `WasmEdge_LogLevel_Warn`. What is less serious would be formatted in each call.
pub const WARNINGS: c_int = 3;
/// `WasmEdge_Standard_WASM_2`.
pub const STANDARD_2: c_int = 1;
/// `WasmEdge_Proposal_TailCall`, `_ExtendedConst`.
pub const PROPOSALS: [c_int; 2] = [7, 8];
/// `WasmEdge_RunMode_*`.
pub const INTERPRETER: c_int = 0;
pub const AHEAD_OF_TIME: c_int = 2;
/// `WasmEdge_CompilerOutputFormat_Wasm`: the module, with its machine code in a custom section.
pub const WASM_WITH_CODE: c_int = 1;
/// The name of that section.
pub const CODE_SECTION: &[u8] = b"wasmedge";

/// `WasmEdge_ExternalType_*`.
const FUNCTION: c_int = 0;
const MEMORY: c_int = 2;

/// The types of integers, in the words of the library.
#[derive(Clone, Copy)]
pub struct NumberTypes {
    pub i32: RawType,
    pub i64: RawType,
}

impl NumberTypes {
    /// What this is to the library; nothing for what is no integer.
    pub fn raw(&self, ty: ValType) -> Option<RawType> {
        match ty {
            ValType::I32 => Some(self.i32),
            ValType::I64 => Some(self.i64),
            _ => None,
        }
    }
}

/// The library tells types from each other: not all of their bytes mean something.
fn val_type(library: &Library, ty: RawType) -> ValType {
    let functions = &library.functions;
    // SAFETY: the type comes from the library.
    unsafe {
        match ty {
            ty if (functions.is_i32)(ty) => ValType::I32,
            ty if (functions.is_i64)(ty) => ValType::I64,
            ty if (functions.is_f32)(ty) => ValType::F32,
            ty if (functions.is_f64)(ty) => ValType::F64,
            _ => ValType::Other,
        }
    }
}

/// The type of a function.
///
/// # Safety
///
/// The pointer is null, or what owns the type lives.
pub unsafe fn func_type(library: &Library, ty: *const FunctionType) -> FuncType {
    let list = |len: unsafe extern "C" fn(*const FunctionType) -> u32,
                fill: unsafe extern "C" fn(*const FunctionType, *mut RawType, u32) -> u32| {
        // SAFETY: the API answers 0 for null, and the caller says that the type lives otherwise.
        let len = unsafe { len(ty) };
        let mut types = vec![RawType([0; 8]); len as usize];
        // SAFETY: there is room for so many types.
        unsafe { fill(ty, types.as_mut_ptr(), len) };
        types.into_iter().map(|ty| val_type(library, ty)).collect()
    };
    let functions = &library.functions;
    FuncType {
        params: list(functions.function_type_params_len, functions.function_type_params),
        results: list(functions.function_type_returns_len, functions.function_type_returns),
    }
}

/// What an import or an export is. `function` finds the type of a function.
pub fn extern_type(kind: c_int, function: impl FnOnce() -> FuncType) -> ExternType {
    match kind {
        FUNCTION => ExternType::Func(function()),
        MEMORY => ExternType::Memory,
        1 => ExternType::Other("table"),
        3 => ExternType::Other("global"),
        _ => ExternType::Other("tag"),
    }
}

/// A list that the API fills with pointers.
pub fn pointers<T>(len: u32, fill: impl FnOnce(*mut *const T, u32) -> u32) -> Vec<*const T> {
    let mut list = vec![ptr::null(); len as usize];
    let filled = fill(list.as_mut_ptr(), len).min(len);
    list.truncate(filled as usize);
    list
}
