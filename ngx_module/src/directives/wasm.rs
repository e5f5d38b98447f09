//! `wasm { module NAME PATH ['VM CONFIG']; }` at the top level: which modules there are, by name.

use std::ffi::{c_char, c_void};

use nginx_sys::{
    NGX_CORE_MODULE, ngx_command_t, ngx_conf_full_name, ngx_conf_parse, ngx_conf_t, ngx_str_t, ngx_uint_t,
};

use super::{Directive, WASM_CONF, shown};
use crate::conf::ModuleConf;
use crate::guard::guard;
use crate::module::{CONF_ERROR, CONF_OK};
use crate::pool;

pub(super) unsafe extern "C" fn block(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    let first = unsafe {
        Directive::handle(cf, |directive| {
            let place = directive.place();
            let main = directive.main()?;
            if let Some(first) = &main.wasm_block {
                return Err(format!("\"wasm\" block is duplicate, the first is in {first}"));
            }
            main.wasm_block = Some(place);
            Ok(())
        })
    };
    if first != CONF_OK {
        return first;
    }
    // SAFETY: a block is parsed on a copy of the structure, as nginx's own blocks do (src/event/ngx_event.c,
    // ngx_events_block); the errors in it are reported by the inner directives.
    guard(CONF_ERROR, || unsafe {
        let outer = cf.read();
        (*cf).module_type = NGX_CORE_MODULE as ngx_uint_t;
        (*cf).cmd_type = WASM_CONF as ngx_uint_t;
        let result = ngx_conf_parse(cf, std::ptr::null_mut());
        cf.write(outer);
        result
    })
}

pub(super) unsafe extern "C" fn module(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let place = directive.place();
            let (Some(name), Some(path)) = (directive.word(1), directive.word(2)) else {
                return Err("\"module\" needs a name and a path".into());
            };
            if name.is_empty() || name == b"off" {
                return Err(format!("invalid module name \"{}\"", shown(name)));
            }
            let main = directive.main()?;
            if let Some(first) = main.modules.iter().find(|module| module.name == name) {
                return Err(format!("duplicate module \"{}\", the first is in {}", shown(name), first.place));
            }
            let path = full_name(cf, path)?;
            let vm_configuration = directive.word(3).unwrap_or_default().to_vec();
            main.modules.push(ModuleConf { name: name.to_vec(), path, vm_configuration, place, compiled: Vec::new() });
            Ok(())
        })
    }
}

/// Paths are relative to the folder of nginx.conf, as those of `include` and `ssl_certificate` are.
unsafe fn full_name(cf: *mut ngx_conf_t, path: &[u8]) -> Result<String, String> {
    // SAFETY: ngx_conf_full_name replaces the string by one in the cycle's pool when it must.
    unsafe {
        let mut name: ngx_str_t = pool::copy((*cf).pool, path).ok_or("no memory")?;
        if ngx_conf_full_name((*cf).cycle, &mut name, 1) != crate::rc::OK {
            return Err("no memory".into());
        }
        String::from_utf8(name.as_bytes().to_vec())
            .map_err(|_| format!("the path of a module must be UTF-8, not \"{}\"", shown(path)))
    }
}
