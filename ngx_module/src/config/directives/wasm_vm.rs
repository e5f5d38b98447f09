//! `wasm_vm wasmtime|pulley|wasmedge;` in http: the engine.

use super::Directive;
use super::directive::shown;
use crate::config::conf::MainConf;
use crate::process::engine::EngineName;

pub fn set(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.engine, kind(directive))
}

fn kind(directive: &Directive) -> Result<EngineName, String> {
    let (name, directive) = (directive.word(1).unwrap_or_default(), directive.name());
    let Some((_, kind)) = EngineName::NAMES.iter().find(|(known, _)| known.as_bytes() == name) else {
        let (name, known) = (shown(name), names(|_| true));
        return Err(format!("unknown engine \"{name}\" in \"{directive}\"; known are {known}"));
    };
    if !kind.is_built_in() {
        let (name, built_in) = (shown(name), names(EngineName::is_built_in));
        return Err(format!(
            "the engine \"{name}\" of \"{directive}\" is not compiled into this module; compiled in: {built_in}"
        ));
    }
    Ok(*kind)
}

fn names(wanted: impl Fn(EngineName) -> bool) -> String {
    EngineName::NAMES.iter().filter(|(_, kind)| wanted(*kind)).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
