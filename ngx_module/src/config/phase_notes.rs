//! What `nginx -t` warns of when `proxy_wasm_phase` and other modules do not go together in a location. `location.rs` calls this
//! when nginx merges levels.

use ngx::core::NgxStr;

use crate::config::conf::MainConf;
use crate::config::level::Level;
use crate::config::loc_conf::Phase;
use crate::nginx::conf::Conf;
use crate::process::supply::Note;

/// Looks at a level that nginx has just merged. The modules of the program itself have merged theirs before.
pub fn look(main: &mut MainConf, level: Level, conf: &Conf) {
    let level = &main.levels[level];
    let Some((_, [first, ..])) = main.chain(level) else { return };
    let Some(filter) = main.filters.get(*first) else { return };
    let (name, place) = (NgxStr::from_bytes(&filter.name), &filter.place);
    let text = match level.phase() {
        Phase::Rewrite if conf.learns_address_late() => format!(
            "\"proxy_wasm {name}\" in {place} sees the address of the proxy in front, not the client's, in a location whose \
             \"set_real_ip_from\" or \"real_ip_header\" is not that of its server: nginx finds the address out behind the \
             rewrite phase; say them in the server, or \"proxy_wasm_phase access\", or leave \"proxy_wasm_phase\" out"
        ),
        Phase::Access if conf.returns() => format!(
            "\"proxy_wasm {name}\" in {place} does not see requests that a \"return\" of the location answers: with \
             \"proxy_wasm_phase access\" it runs behind that; use \"proxy_wasm_phase rewrite\" where it is to guard them"
        ),
        _ => return,
    };
    // Levels further in inherit it.
    if !main.notes.iter().any(|note| note.says(&text)) {
        main.notes.push(Note::warning(text));
    }
}
