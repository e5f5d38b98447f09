//! `proxy_wasm NAME ['CONFIG' | file=PATH] [root_id=ID];` in http, server, location: appends a filter to the chain of the level.
//! A level that declares any filter has a chain of its own instead of the outer one, or behind it with `proxy_wasm inherit;`;
//! `proxy_wasm off;` drops the outer one.

use super::directive::shown;
use super::{Directive, file};
use crate::config::conf::MainConf;
use crate::config::filter_conf::NewFilter;
use crate::config::level::Level;
use crate::config::loc_conf::{LocConf, Outer};

/// What tells a root id from a configuration.
const ROOT_ID: &[u8] = b"root_id=";

pub fn set(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    match directive.word(1).unwrap_or_default() {
        b"off" => outer(directive, &mut main.levels[level], Outer::Dropped),
        b"inherit" => outer(directive, &mut main.levels[level], Outer::Inherited),
        name => {
            main.add_filter(level, filter(directive, name)?);
            Ok(())
        }
    }
}

/// `off` and `inherit`. Filters run in the order in which they are written, so these come first.
fn outer(directive: &Directive, loc: &mut LocConf, said: Outer) -> Result<(), String> {
    let word = shown(directive.word(1).unwrap_or_default());
    if directive.word(2).is_some() {
        return Err(format!("\"proxy_wasm {word}\" takes nothing more; it cannot be the name of a filter"));
    }
    if loc.outer_chain == said {
        return Err(format!("\"proxy_wasm {word}\" is duplicate on this level"));
    }
    if loc.outer_chain != Outer::Unsaid {
        return Err("\"proxy_wasm off\" and \"proxy_wasm inherit\" cannot stand on one level".into());
    }
    if loc.chain.is_some() {
        return Err(format!("\"proxy_wasm {word}\" must stand before the other \"proxy_wasm\" of its level"));
    }
    loc.outer_chain = said;
    Ok(())
}

fn filter(directive: &Directive, name: &[u8]) -> Result<NewFilter, String> {
    let (mut configuration, mut from_file, mut root_id) = (None, None, None);
    for word in directive.values().into_iter().skip(1) {
        let is_first = if let Some(path) = file::named(directive, word)? {
            from_file.replace(path).is_none() && configuration.is_none()
        } else if let Some(id) = word.strip_prefix(ROOT_ID) {
            if id.is_empty() {
                return Err(
                    "\"root_id=\" of \"proxy_wasm\" lacks an id; the root id is empty where none is said".into()
                );
            }
            root_id.replace(id.to_vec()).is_none()
        } else {
            configuration.replace(word.to_vec()).is_none() && from_file.is_none()
        };
        if !is_first {
            return Err(format!(
                "unexpected \"{}\" in \"proxy_wasm\": a name is followed by one configuration or one \"file=PATH\", and by one \
                 \"root_id=ID\", at most",
                shown(word)
            ));
        }
    }
    Ok(NewFilter {
        name: name.to_vec(),
        configuration: configuration.unwrap_or_default(),
        file: from_file,
        root_id: root_id.unwrap_or_default(),
        place: directive.place(),
    })
}
