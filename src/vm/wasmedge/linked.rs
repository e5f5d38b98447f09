//! A module with its host functions: what all of its instances have in common.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::ast::Ast;
use super::library::Owned;
use super::shared::Shared;
use super::types::ModuleInstance;
use crate::vm::{Export, ExternType, LinkedImport, ValType};

/// No function that the host calls has more parameters (`proxy_on_http_call_response` has 5).
pub const MAX_CALLBACK_ARGS: usize = 5;

/// No host function has more parameters (`proxy_grpc_call` has 12).
pub const MAX_ARGS: usize = 16;

/// A host function, as its calls need it. The library has a pointer to it.
pub struct Served {
    pub number: u32,
    pub params: usize,
    /// Bit n is set when parameter n is an i64.
    pub wide: u32,
    pub result: Option<ValType>,
}

impl Served {
    /// Nothing if the function has a type that none of ours has.
    pub fn of(import: &LinkedImport) -> Option<Served> {
        let (params, results) = (&import.ty.params, &import.ty.results);
        if params.len() > MAX_ARGS || results.len() > 1 {
            return None;
        }
        let is_integer = |ty: &ValType| matches!(ty, ValType::I32 | ValType::I64);
        let wide = params.iter().enumerate().fold(0, |wide, (n, ty)| wide | (u32::from(*ty == ValType::I64) << n));
        params.iter().chain(results).all(is_integer).then(|| Served {
            number: import.function,
            params: params.len(),
            wide,
            result: results.first().copied(),
        })
    }

    /// What the library passes to [`host_call`](super::call::host_call).
    pub fn this(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// A module with its host functions. Those refer to `_served`, and go before it.
pub struct Linked {
    pub hosts: Vec<Owned<ModuleInstance>>,
    pub exports: Vec<Option<Callable>>,
    /// It exports one by the name that the host looks for.
    pub has_memory: bool,
    pub ast: Arc<Ast>,
    /// The module, which has the names of its functions.
    pub code: Arc<[u8]>,
    pub shared: Arc<Shared>,
    pub _served: Box<[Served]>,
}

// SAFETY: the host instances do not change once they are made, but for a list of the stores that they are in, which has a lock.
unsafe impl Send for Linked {}
// SAFETY: as above.
unsafe impl Sync for Linked {}

/// An exported function that can be called: all its parameters are i32, and it has at most one result, an i32.
pub struct Callable {
    pub name: String,
    pub params: usize,
    pub has_result: bool,
}

impl Callable {
    pub fn of(export: &Export) -> Option<Callable> {
        let ExternType::Func(ty) = &export.ty else { return None };
        let (params, results) = (ty.params.len(), ty.results.len());
        let is_narrow = ty.params.iter().chain(&ty.results).all(|ty| *ty == ValType::I32);
        (params <= MAX_CALLBACK_ARGS && results <= 1 && is_narrow).then(|| Callable {
            name: export.name.clone(),
            params,
            has_result: results == 1,
        })
    }
}
