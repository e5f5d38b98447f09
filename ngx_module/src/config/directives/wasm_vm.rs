//! `wasm_vm wasmtime|wasmedge;` in http: the engine.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t};

use super::{Directive, shown};
use crate::process::engine::Kind;

pub unsafe extern "C" fn set(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            if directive.main()?.engine.is_some() {
                return Err("\"wasm_vm\" directive is duplicate".into());
            }
            let name = directive.word(1).unwrap_or_default();
            let Some((_, kind)) = Kind::NAMES.iter().find(|(known, _)| known.as_bytes() == name) else {
                return Err(format!(
                    "unknown engine \"{}\" in \"wasm_vm\"; known are {}",
                    shown(name),
                    names(|_| true)
                ));
            };
            if !kind.is_built_in() {
                return Err(format!(
                    "the engine \"{}\" of \"wasm_vm\" is not compiled into this module; compiled in: {}",
                    shown(name),
                    names(Kind::is_built_in)
                ));
            }
            directive.main()?.engine = Some(*kind);
            Ok(())
        })
    }
}

fn names(wanted: impl Fn(Kind) -> bool) -> String {
    Kind::NAMES.iter().filter(|(_, kind)| wanted(*kind)).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
