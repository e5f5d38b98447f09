//! A module as WasmEdge has loaded it, and what it says of itself.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr;

use super::library::{Library, Owned};
use super::types::{AstModule, FunctionType, RawType};
use crate::vm::{Export, ExternType, FuncType, Import, ValType};

/// `WasmEdge_ExternalType_*`.
const FUNCTION: c_int = 0;
const MEMORY: c_int = 2;

/// A module, loaded and checked.
pub struct Ast {
    library: &'static Library,
    module: Owned<AstModule>,
}

// SAFETY: nothing changes the module when it has been checked. The API reads it, and instances count who uses the code.
unsafe impl Send for Ast {}
// SAFETY: as above.
unsafe impl Sync for Ast {}

impl Ast {
    pub fn new(library: &'static Library, module: Owned<AstModule>) -> Ast {
        Ast { library, module }
    }

    pub fn get(&self) -> *const AstModule {
        self.module.get()
    }

    pub fn imports(&self) -> Vec<Import> {
        let functions = &self.library.functions;
        let module = self.get();
        // SAFETY: the module lives, and with it what the API says of it; the list is as long as the API says.
        let list = unsafe {
            pointers((functions.module_imports_len)(module), |list, len| (functions.module_imports)(module, list, len))
        };
        // SAFETY: as above. The type of a function is that of one: `extern_type` asks for no other.
        let import = |import| unsafe {
            let ty = || func_type(self.library, (functions.import_function)(module, import));
            Import {
                module: (functions.import_module)(import).to_text(),
                name: (functions.import_name)(import).to_text(),
                ty: extern_type((functions.import_kind)(import), ty),
            }
        };
        list.into_iter().map(import).collect()
    }

    pub fn exports(&self) -> Vec<Export> {
        let functions = &self.library.functions;
        let module = self.get();
        // SAFETY: as for imports.
        let list = unsafe {
            pointers((functions.module_exports_len)(module), |list, len| (functions.module_exports)(module, list, len))
        };
        // SAFETY: as for imports.
        let export = |export| unsafe {
            let ty = || func_type(self.library, (functions.export_function)(module, export));
            Export {
                name: (functions.export_name)(export).to_text(),
                ty: extern_type((functions.export_kind)(export), ty),
            }
        };
        list.into_iter().map(export).collect()
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
unsafe fn func_type(library: &Library, ty: *const FunctionType) -> FuncType {
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
fn extern_type(kind: c_int, function: impl FnOnce() -> FuncType) -> ExternType {
    match kind {
        FUNCTION => ExternType::Func(function()),
        MEMORY => ExternType::Memory,
        1 => ExternType::Other("table"),
        3 => ExternType::Other("global"),
        _ => ExternType::Other("tag"),
    }
}

/// A list that the API fills with pointers.
fn pointers<T>(len: u32, fill: impl FnOnce(*mut *const T, u32) -> u32) -> Vec<*const T> {
    let mut list = vec![ptr::null(); len as usize];
    let filled = fill(list.as_mut_ptr(), len).min(len);
    list.truncate(filled as usize);
    list
}
