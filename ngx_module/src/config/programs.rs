//! Which locations run programs: those that say so, and what nginx makes of them (`if`, `limit_except`). `location.rs` asks when nginx
//! merges levels, and `conf.rs` when all are merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use ngx_wasm::vm::InstanceLimits;

use crate::config::conf::MainConf;
use crate::config::level::KnownAs;
use crate::config::program_conf::{ProgramConf, ProgramLocation};
use crate::nginx::conf::Conf;
use crate::process::guest_log::GuestLog;

/// Has an `if` run the program of its location, and a `limit_except` too.
pub fn merge(own: &mut ProgramConf, conf: &Conf<'_>) {
    if own.answerer.is_none() {
        return;
    }
    if conf.is_limit_except_without_handler() {
        conf.answer_with(own.handler);
    } else if !conf.is_if() {
        return;
    }
    // The handler of the location stays with a request that gets into an `if`.
    own.is_answering = true;
}

/// Finds all of them, once all levels are merged.
pub fn complete(main: &mut MainConf, conf: &Conf<'_>) -> Result<(), String> {
    let mut before = BTreeMap::new();
    for level in main.levels.all() {
        let loc = &main.levels[level];
        let Some(answerer) = loc.programs.answerer.clone().filter(|_| loc.programs.is_answering) else { continue };
        let (name, place) = (answerer.name.clone(), answerer.place.clone());
        let policy = main.rules.policy(&main.levels, Some(level), &name);
        let calls = loc.calls.settings(conf).map_err(|reason| format!("{reason} in {place}"))?;
        let capabilities = match main.rules.capabilities(&main.levels, Some(level), &name, main.folder()) {
            Ok(capabilities) => capabilities,
            // Nginx does not go over to a configuration with mistakes.
            Err(reason) => {
                main.mistakes.push(reason);
                None
            }
        };
        let program = ProgramLocation {
            name,
            kind: answerer.kind.clone(),
            place,
            level,
            known_as: KnownAs::next(main.levels.name(level), &mut before),
            limits: InstanceLimits { memory: loc.memory_limit(), pooled: true },
            fuel: policy.fuel,
            cpu_time: loc.timeout(),
            lines: GuestLog::new(answerer.kind.word(), answerer.name.clone(), policy.log_level, policy.log_rate),
            calls,
            capabilities: capabilities.map(Arc::new),
            module: None,
            work: None,
        };
        main.levels[level].programs.number = Some(main.programs.len());
        main.programs.push(program);
    }
    Ok(())
}
