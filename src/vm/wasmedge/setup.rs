//! How WasmEdge is set up: what modules may use, what their code is compiled for; and functions of the host.

#![allow(unsafe_code)]

use std::ffi::c_void;

use super::library::{Library, Owned};
use super::types::{
    AHEAD_OF_TIME, Configure, FunctionInstance, HostFunction, INTERPRETER, O0, O3, PROPOSALS, RawType, STANDARD_2,
    WASM_WITH_CODE,
};
use crate::vm::{Optimize, sections};

/// Bytes of functions that LLVM optimizes in half a minute: it takes 25 to 40 seconds for 1 MiB, and where functions are large, as those of
/// Go are, more than in proportion. Without that it takes a twelfth.
pub const MOST_OPTIMIZED: usize = 1 << 20;

/// What makes a difference to the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Guests have budgets.
    pub counts_cost: bool,
    /// Which modules are optimized.
    pub optimize: Optimize,
}

impl Setup {
    /// For the compiler of this module.
    pub fn configure_compiler(self, library: &'static Library, module: &[u8]) -> Result<Owned<Configure>, String> {
        let configure = self.configure(library)?;
        let level = if self.is_optimized(module) { O3 } else { O0 };
        // SAFETY: the object lives, and the level is one of the headers.
        unsafe { (library.functions.configure_optimization)(configure.get(), level) };
        Ok(configure)
    }

    fn is_optimized(self, module: &[u8]) -> bool {
        match self.optimize {
            Optimize::On => true,
            Optimize::Off => false,
            Optimize::Auto => sections::code_size(module) <= MOST_OPTIMIZED,
        }
    }

    /// For what runs code of the compiler.
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
