//! Directives about filters (`rules.rs`) that no filter goes by, though whoever wrote them thinks so: one about a name that nobody has is
//! a mistake, and of others nginx warns. `conf.rs` calls this once all levels are merged. And those about lines that no error log takes:
//! `startup.rs` calls that when all of nginx.conf is known.

use nginx_sys::NGX_LOG_INFO;
use ngx::core::NgxStr;

use crate::config::conf::MainConf;
use crate::config::level::Level;
use crate::config::rules::Rule;
use crate::nginx::log::Log;
use crate::process::supply::Note;

/// What is to be said of a directive.
enum Said {
    Mistake(String),
    Warning(String),
}

/// Looks at all directives. `has_lua`: what Lua loads gets its name later, and goes by the level http { }.
pub fn look(main: &mut MainConf, has_lua: bool) {
    let of_lua = main.levels.http().filter(|_| has_lua);
    let rules = main.rules.all().iter().filter(|rule| Some(rule.level) != of_lua);
    let said: Vec<Said> = rules.filter_map(|rule| look_at(main, rule, has_lua)).collect();
    for said in said {
        match said {
            Said::Mistake(text) => main.mistakes.push(text),
            Said::Warning(text) => main.notes.push(Note::warning(text)),
        }
    }
}

/// Looks at those that ask for lines of level info. `cycle` is the log of nginx as a whole.
pub fn look_at_logs(main: &mut MainConf, cycle: Log<'_>) {
    if cycle.wants(NGX_LOG_INFO) {
        return;
    }
    let levels = &main.levels;
    let is_written = |rule: &Rule| {
        let mut around = levels.all().filter(|level| levels.outwards(Some(*level)).any(|outer| outer == rule.level));
        around.any(|level| levels.log(level).is_some_and(|log| log.wants(NGX_LOG_INFO)))
    };
    let rules = main.rules.all().iter().filter(|rule| rule.setting.asks_for_info());
    let lost: Vec<Note> = rules
        .filter(|rule| is_used(main, rule) && !is_written(rule))
        .map(|Rule { setting, place, .. }| {
            Note::warning(format!(
                "\"{}\" in {place} has no effect: the lines that it asks for are of level info, and no error log there takes those; \
                 say \"error_log FILE info;\" on that level, or further in",
                setting.directive()
            ))
        })
        .collect();
    main.notes.extend(lost);
}

fn look_at(main: &MainConf, rule: &Rule, has_lua: bool) -> Option<Said> {
    if is_used(main, rule) {
        return None;
    }
    match &rule.filter {
        Some(name) => Some(of_name(main, rule, name)),
        None => of_level(main, rule, has_lua),
    }
}

/// Whether anybody goes by a directive, as far as no other one comes first.
fn is_used(main: &MainConf, rule: &Rule) -> bool {
    let goes = |declared: Level, name: &[u8]| {
        rule.filter.as_deref().is_none_or(|filter| filter == name)
            && main.levels.outwards(Some(declared)).any(|level| level == rule.level)
    };
    main.filters.iter().any(|filter| goes(filter.declared, &filter.name))
        || rule.is_for_programs() && main.programs.iter().any(|program| goes(program.level, &program.name))
}

/// Of one that is about a name.
fn of_name(main: &MainConf, rule: &Rule, name: &[u8]) -> Said {
    let (directive, place) = (rule.setting.directive(), &rule.place);
    let filter = main.filters.iter().find(|filter| filter.name == name);
    let program = main.programs.iter().find(|program| program.name == name);
    let name = NgxStr::from_bytes(name);
    let elsewhere = match (filter, program) {
        (Some(filter), _) => format!("\"proxy_wasm {name}\" stands in {}", filter.place),
        (None, Some(program)) if rule.is_for_programs() => {
            format!("\"{} {name}\" stands in {}", program.kind.directive(), program.place)
        }
        (None, Some(program)) => {
            return Said::Mistake(format!(
                "\"{directive}\" is for filters alone, and \"{name}\" is what \"{}\" in {} runs, in {place}",
                program.kind.directive(),
                program.place
            ));
        }
        (None, None) => {
            let known = main.filter_names();
            return Said::Mistake(format!(
                "no \"proxy_wasm {name}\" for what is said of \"filter={name}\" ({known}) in {place}"
            ));
        }
    };
    Said::Warning(format!(
        "\"{directive} filter={name}\" in {place} has no effect: it is for what is declared on its level or further in, and {elsewhere}"
    ))
}

/// Of one that is about all filters of its level, which declares none. Where none run, either, it may wait for some.
fn of_level(main: &MainConf, rule: &Rule, has_lua: bool) -> Option<Said> {
    let runs = main.chain(&main.levels[rule.level]).and_then(|(_, filters)| main.filters.get(*filters.first()?));
    let others = match runs {
        Some(first) => format!(
            "the filters that run there are declared further out, the first by \"proxy_wasm {}\" in {}",
            NgxStr::from_bytes(&first.name),
            first.place
        ),
        None if has_lua => "none is; what Lua runs goes by http { }".to_owned(),
        None => return None,
    };
    let (directive, place) = (rule.setting.directive(), &rule.place);
    Some(Said::Warning(format!(
        "\"{directive}\" in {place} has no effect: it is for what is declared on its level or further in, and {others}"
    )))
}
