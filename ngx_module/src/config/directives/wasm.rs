//! `wasm { module NAME PATH ['VM CONFIG' | file=PATH] [sha256=HEX]; cache_dir PATH; }` at the top level: which modules there
//! are, by name, and where their compiled code is kept.

use std::ffi::{OsString, c_char, c_void};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nginx_sys::{ngx_command_t, ngx_conf_full_name, ngx_conf_t, ngx_str_t, ngx_uint_t};

use super::{Directive, WASM_CONF, file, read_block, shown};
use crate::config::filter_conf::ModuleConf;
use crate::nginx::module::CONF_OK;
use crate::nginx::pool;
use crate::process::supply::CacheDir;

/// What tells a sum from a VM configuration.
const SHA256: &[u8] = b"sha256=";

pub unsafe extern "C" fn block(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
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
    // SAFETY: as above.
    if first == CONF_OK { unsafe { read_block(cf, WASM_CONF) } } else { first }
}

pub unsafe extern "C" fn module(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let place = directive.place();
            let (Some(name), Some(path)) = (directive.word(1), directive.word(2)) else {
                return Err("\"module\" needs a name and a path".into());
            };
            // "proxy_wasm" has another meaning for the last two.
            if matches!(name, b"" | b"off" | b"inherit") {
                return Err(format!(
                    "invalid name \"{}\" of \"module\": it must not be empty, \"off\" or \"inherit\"",
                    shown(name)
                ));
            }
            let main = directive.main()?;
            if let Some(first) = main.modules.iter().find(|module| module.name == name) {
                return Err(format!("duplicate module \"{}\", the first is in {}", shown(name), first.place));
            }
            // Relative to the folder of nginx.conf, as `include` and `ssl_certificate` are.
            let path = String::from_utf8(full_name(cf, path, 1)?)
                .map_err(|_| format!("the path of a module must be UTF-8, not \"{}\"", shown(path)))?;
            let (mut vm_configuration, mut from_file, mut sha256) = (None, None, None);
            for word in [3, 4].into_iter().filter_map(|n| directive.word(n)) {
                let is_first = if let Some(digits) = word.strip_prefix(SHA256) {
                    sha256.replace(sum(digits)?).is_none()
                } else if let Some(path) = file::named(directive, word)? {
                    from_file.replace(path).is_none() && vm_configuration.is_none()
                } else {
                    vm_configuration.replace(word.to_vec()).is_none() && from_file.is_none()
                };
                if !is_first {
                    return Err(format!(
                        "unexpected \"{}\" in \"module\": a path is followed by one VM configuration or one \"file=PATH\", and by \
                         one \"sha256=...\", at most",
                        shown(word)
                    ));
                }
            }
            main.modules.push(ModuleConf {
                name: name.to_vec(),
                path,
                vm_configuration: vm_configuration.unwrap_or_default(),
                file: from_file,
                sha256,
                place,
                compiled: Vec::new(),
            });
            Ok(())
        })
    }
}

pub unsafe extern "C" fn cache_dir(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let place = directive.place();
            let path = match directive.word(1) {
                Some(path) if !path.is_empty() => path,
                _ => return Err("\"cache_dir\" needs the path of a folder".into()),
            };
            // Relative to nginx's prefix, as folders are that nginx writes to.
            let path = PathBuf::from(OsString::from_vec(full_name(cf, path, 0)?));
            let main = directive.main()?;
            if main.cache_dir.is_some() {
                return Err(directive.duplicate());
            }
            main.cache_dir = Some(CacheDir { path, place });
            Ok(())
        })
    }
}

/// The digits of a SHA-256, in lower case.
fn sum(digits: &[u8]) -> Result<String, String> {
    match str::from_utf8(digits) {
        Ok(digits) if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Ok(digits.to_ascii_lowercase())
        }
        _ => Err(format!(
            "\"sha256=\" of \"module\" takes the 64 hexadecimal digits that sha256sum prints, not \"{}\"; a VM configuration that \
             begins so needs a space before it",
            shown(digits)
        )),
    }
}

/// The absolute path for one that is relative to the folder of nginx.conf (1), or to nginx's prefix (0).
///
/// # Safety
/// `cf` is what nginx passed to the handler of a directive.
pub(super) unsafe fn full_name(cf: *mut ngx_conf_t, path: &[u8], to_conf: ngx_uint_t) -> Result<Vec<u8>, String> {
    // SAFETY: ngx_conf_full_name replaces the string by one in the cycle's pool when it must.
    unsafe {
        let mut name: ngx_str_t = pool::copy((*cf).pool, path).ok_or("no memory")?;
        if ngx_conf_full_name((*cf).cycle, &mut name, to_conf) != crate::nginx::rc::OK {
            return Err("no memory".into());
        }
        Ok(name.as_bytes().to_vec())
    }
}
