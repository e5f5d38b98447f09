//! Which filters run on a level: its own, or those of the level around it, or both. `directives/proxy_wasm.rs` says what a
//! level declares, `location.rs` asks when nginx merges levels, from the outermost inwards, and `phases/rewrite.rs` when a
//! request changes its level.

use ngx::core::NgxStr;

use crate::config::conf::MainConf;
use crate::config::filter_conf::FilterConf;
use crate::config::level::Level;
use crate::config::loc_conf::Outer;
use crate::process::supply::Note;

/// Gives a level its chain, when that of the level around it is known.
pub fn merge(main: &mut MainConf, level: Level, outer: Level) {
    let around = main.levels[outer].chain;
    let own = &mut main.levels[level];
    let said = own.outer_chain;
    let Some(chain) = own.chain else {
        if said != Outer::Dropped {
            own.chain = around;
        }
        return;
    };
    let Some(hidden) = around.and_then(|around| main.chains.get(around)) else { return };
    match said {
        Outer::Dropped => {}
        Outer::Inherited => {
            // The filters are the same ones: those of that level, with its limits and its instances.
            let hidden = hidden.clone();
            main.chains[chain].splice(0..0, hidden);
        }
        Outer::Unsaid => {
            let first = |chain: &[usize]| chain.first().and_then(|filter| main.filters.get(*filter));
            if let (Some(own), Some(hidden)) = (first(&main.chains[chain]), first(hidden)) {
                let note = Note::warning(hides(own, hidden));
                main.notes.push(note);
            }
        }
    }
}

/// The filters of a chain that a request comes to by a filter of the chain `before`, without those that both have because one
/// level inherits from the other: they have seen the request, and stay with it.
pub fn added(main: &MainConf, before: Option<usize>, filters: &[usize]) -> Vec<usize> {
    let known = before.and_then(|before| main.chains.get(before)).map_or(&[][..], Vec::as_slice);
    filters.iter().copied().filter(|filter| !known.contains(filter)).collect()
}

/// That filters do not run where one could think that they do.
fn hides(own: &FilterConf, hidden: &FilterConf) -> String {
    let (own_name, hidden_name) = (NgxStr::from_bytes(&own.name), NgxStr::from_bytes(&hidden.name));
    format!(
        "\"proxy_wasm {}\" in {} hides the filters of the level around it, which begin with \"proxy_wasm {}\" in {}: they do not \
         run there; put \"proxy_wasm inherit;\" before it if they are to run first, or \"proxy_wasm off;\" if they are not to run",
        own_name, own.place, hidden_name, hidden.place
    )
}
