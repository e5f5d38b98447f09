//! What the C API of WasmEdge passes and returns, as its headers say. `library.rs` has the functions.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

use crate::vm::ValType;

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
pub struct RawType(pub [u8; 8]);

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
/// `WasmEdge_CompilerOptimizationLevel_*`.
pub const O0: c_int = 0;
pub const O3: c_int = 3;
/// `WasmEdge_CompilerOutputFormat_Wasm`: the module, with its machine code in a custom section.
pub const WASM_WITH_CODE: c_int = 1;
/// The name of that section.
pub const CODE_SECTION: &[u8] = b"wasmedge";

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
