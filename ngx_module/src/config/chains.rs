//! Which filters run on a level: its own, or those of the level around it, or both. `directives/proxy_wasm.rs` says what a
//! level declares, `conf.rs` asks when nginx merges levels, from the outermost inwards, and `phases/rewrite.rs` when a request
//! changes its level.

use crate::config::conf::MainConf;
use crate::config::filter_conf::FilterConf;
use crate::config::loc_conf::{LocConf, NO_CHAIN, UNSET};
use crate::process::supply::Note;

/// What a level says about the filters of the level around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outer {
    /// Nothing: they run if the level has none of its own.
    Unsaid,
    /// `proxy_wasm inherit;`: they run before its own.
    Inherited,
    /// `proxy_wasm off;`: they do not run.
    Dropped,
}

/// Gives a level its chain, when that of the level around it is known.
pub fn merge(main: &mut MainConf, level: &mut LocConf, outer: &LocConf) {
    if level.chain == UNSET {
        level.chain = outer.chain;
        return;
    }
    let Some(hidden) = main.chains.get(outer.chain).filter(|_| level.chain != NO_CHAIN) else { return };
    match level.outer_chain {
        Outer::Dropped => {}
        Outer::Inherited => {
            // The filters are the same ones: those of that level, with its limits and its instances.
            let hidden = hidden.clone();
            main.chains[level.chain].splice(0..0, hidden);
        }
        Outer::Unsaid => {
            let first = |chain: &[usize]| chain.first().and_then(|filter| main.filters.get(*filter));
            if let (Some(own), Some(hidden)) = (first(&main.chains[level.chain]), first(hidden)) {
                let note = Note::warning(hides(own, hidden));
                main.notes.push(note);
            }
        }
    }
}

/// The filters of a chain that a request comes to by a filter of the chain `before`, without those that both have because one
/// level inherits from the other: they have seen the request, and stay with it.
pub fn added(main: &MainConf, before: usize, filters: &[usize]) -> Vec<usize> {
    let known = main.chains.get(before).map_or(&[][..], Vec::as_slice);
    filters.iter().copied().filter(|filter| !known.contains(filter)).collect()
}

/// That filters do not run where one could think that they do.
fn hides(own: &FilterConf, hidden: &FilterConf) -> String {
    let name = |filter: &FilterConf| String::from_utf8_lossy(&filter.name).into_owned();
    format!(
        "\"proxy_wasm {}\" in {} hides the filters of the level around it, which begin with \"proxy_wasm {}\" in {}: they do not \
         run there; put \"proxy_wasm inherit;\" before it if they are to run first, or \"proxy_wasm off;\" if they are not to run",
        name(own),
        own.place,
        name(hidden),
        hidden.place
    )
}
