//! `wasm { module NAME PATH ['VM CONFIG' | file=PATH] [sha256=HEX]; cache_dir PATH; }` at the top level: which modules there
//! are, by name, and where their compiled code is kept.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::directive::shown;
use super::{Directive, file};
use crate::config::conf::MainConf;
use crate::config::filter_conf::ModuleConf;
use crate::nginx::conf::Base;
use crate::process::supply::CacheDir;

/// What tells a sum from a VM configuration.
const SHA256: &[u8] = b"sha256=";

pub fn block(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    match main.wasm_block.replace(directive.place()) {
        None => Ok(()),
        Some(first) => Err(directive.duplicate_block(&first)),
    }
}

pub fn module(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
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
    if let Some(first) = main.modules.iter().find(|module| module.name == name) {
        return Err(format!("duplicate module \"{}\", the first is in {}", shown(name), first.place));
    }
    let path = String::from_utf8(directive.full_name(path, Base::Conf)?)
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
        place: directive.place(),
        origin: None,
        compiled: Vec::new(),
        programs: Vec::new(),
        plugins: Vec::new(),
    });
    Ok(())
}

pub fn cache_dir(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    let path = match directive.word(1) {
        Some(path) if !path.is_empty() => path,
        _ => return Err("\"cache_dir\" needs the path of a folder, or \"off\"".into()),
    };
    let path = match path {
        b"off" => None,
        path => Some(PathBuf::from(OsString::from_vec(directive.full_name(path, Base::Prefix)?))),
    };
    directive.set(&mut main.cache_dir, Ok(CacheDir { path, place: directive.place() }))
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
