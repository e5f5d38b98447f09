//! How WasmEdge is set up: what modules may use, what their code is compiled for; and functions of the host.

#![allow(unsafe_code)]

use std::ffi::c_void;

use super::library::{Library, Owned};
use super::types::{
    AHEAD_OF_TIME, Configure, FunctionInstance, HostFunction, INTERPRETER, PROPOSALS, RawType, STANDARD_2,
    WASM_WITH_CODE,
};

/// What makes a difference to the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Guests have budgets.
    pub counts_cost: bool,
}

impl Setup {
    /// For the compiler, and for what runs code of its.
    pub fn configure(self, library: &'static Library) -> Result<Owned<Configure>, String> {
        self.configure_for(library, AHEAD_OF_TIME)
    }

    /// For modules as they come, which may hold code that others have made: it is not looked at.
    pub fn configure_without_code(self, library: &'static Library) -> Result<Owned<Configure>, String> {
        self.configure_for(library, INTERPRETER)
    }

    fn configure_for(self, library: &'static Library, mode: std::ffi::c_int) -> Result<Owned<Configure>, String> {
        let functions = &library.functions;
        // SAFETY: the API says that the caller owns it.
        let configure = unsafe { Owned::new((functions.configure_create)(), functions.configure_delete)? };
        // SAFETY: the object lives, and the numbers are those of the headers.
        unsafe {
            // Neither threads nor a second memory: both would be ways around deadlines and caps.
            (functions.configure_standard)(configure.get(), STANDARD_2);
            for proposal in PROPOSALS {
                (functions.configure_add)(configure.get(), proposal);
            }
            (functions.configure_mode)(configure.get(), mode);
            (functions.configure_format)(configure.get(), WASM_WITH_CODE);
            (functions.configure_interruptible)(configure.get(), true);
            (functions.configure_cost)(configure.get(), self.counts_cost);
        }
        Ok(configure)
    }
}

/// A function of the host that calls `callback` with `this`.
pub fn function(
    library: &'static Library,
    params: &[RawType],
    results: &[RawType],
    callback: HostFunction,
    this: *mut c_void,
    cost: u64,
) -> Result<Owned<FunctionInstance>, String> {
    let functions = &library.functions;
    // SAFETY: both lists are as long as they say; the caller owns the type.
    let ty = unsafe {
        let ty = (functions.function_type_create)(
            params.as_ptr(),
            params.len() as u32,
            results.as_ptr(),
            results.len() as u32,
        );
        Owned::new(ty, functions.function_type_delete)?
    };
    // SAFETY: the function copies its type; the callback has the type that the API wants.
    unsafe {
        let function = (functions.function_create)(ty.get(), callback, this, std::ptr::null_mut(), cost);
        Owned::new(function, functions.function_delete)
    }
}
