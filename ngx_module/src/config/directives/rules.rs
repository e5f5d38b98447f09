//! `proxy_wasm_on_error`, `proxy_wasm_isolation`, `proxy_wasm_recycle`, `proxy_wasm_restart_delay`, `proxy_wasm_log_level`,
//! `proxy_wasm_log_rate`, `proxy_wasm_trace`, `proxy_wasm_allow`, `proxy_wasm_env`, `wasm_fuel` in http, server, location, each with
//! `filter=NAME` before its value if it is about some of the filters: how they are kept from harm, and kept from doing any, and what
//! the log has of them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ngx_wasm::proxy_wasm::LogLevel;

use super::Directive;
use super::directive::shown;
use super::values::{number, time};
use crate::config::conf::MainConf;
use crate::config::level::Level;
use crate::config::rules::{EnvironmentVariable, Isolation, OnError, Recycle, RestartDelay, Setting, Trace, Without};
use crate::nginx::conf::parse_size;
use crate::process::supply::Note;

/// What begins a condition, as in nginx's `access_log`.
const CONDITION: &[u8] = b"if=";

pub fn on_error(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "\"closed\", \"open\", \"reload\", \"reload closed\" or \"reload open\"";
    add(directive, main, level, wanted, |values| {
        Some(Setting::OnError(match values {
            [b"closed"] => OnError::Stay(Without::Closed),
            [b"open"] => OnError::Stay(Without::Open),
            [b"reload"] | [b"reload", b"closed"] => OnError::Reload(Without::Closed),
            [b"reload", b"open"] => OnError::Reload(Without::Open),
            _ => return None,
        }))
    })
}

pub fn isolation(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "\"worker\" (or \"none\"), or \"request\" (or \"stream\", \"filter\"), which \"fresh\" may follow";
    add(directive, main, level, wanted, |values| {
        Some(Setting::Isolation(match values {
            // The second names are those of the other host for nginx.
            [b"worker" | b"none"] => Isolation::Worker,
            [b"request" | b"stream" | b"filter"] => Isolation::Request,
            [b"request" | b"stream" | b"filter", b"fresh"] => Isolation::FreshRequest,
            _ => return None,
        }))
    })
}

pub fn recycle(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "\"on\", \"off\", or a size such as 64m";
    add(directive, main, level, wanted, |values| {
        let [word] = values else { return None };
        Some(Setting::Recycle(match *word {
            b"on" => Recycle::AtLimit,
            b"off" => Recycle::Off,
            _ => Recycle::At(parse_size(word).filter(|size| *size > 0)?),
        }))
    })
}

pub fn restart_delay(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10";
    add(directive, main, level, wanted, |values| {
        let mut delay = RestartDelay::default();
        let mut times = values;
        if let Some((last, before)) = values.split_last()
            && let Some(word) = last.strip_prefix(b"after=")
        {
            delay.at_once = number(word)?;
            times = before;
        }
        (delay.first, delay.longest) = match times {
            [first] => (time(first)?, time(first)?.max(delay.longest)),
            [first, longest] => (time(first)?, time(longest)?),
            _ => return None,
        };
        (delay.first <= delay.longest).then_some(Setting::RestartDelay(delay))
    })
}

pub fn log_level(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "\"trace\", \"debug\", \"info\", \"warn\", \"error\" or \"critical\"";
    add(directive, main, level, wanted, |values| {
        let [word] = values else { return None };
        Some(Setting::LogLevel(match *word {
            b"trace" => LogLevel::Trace,
            b"debug" => LogLevel::Debug,
            b"info" => LogLevel::Info,
            b"warn" => LogLevel::Warn,
            b"error" => LogLevel::Error,
            b"critical" => LogLevel::Critical,
            _ => return None,
        }))
    })
}

pub fn log_rate(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "\"off\", or a number of lines in a second, such as 1000";
    add(directive, main, level, wanted, |values| {
        let [word] = values else { return None };
        Some(Setting::LogRate(match *word {
            b"off" => None,
            word => Some(number(word).filter(|lines| *lines > 0)?),
        }))
    })
}

pub fn fuel(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "\"off\", or a number of units above 0, such as 10000000";
    add(directive, main, level, wanted, |values| {
        let [word] = values else { return None };
        Some(Setting::Fuel(match *word {
            b"off" => None,
            word => Some(number(word).filter(|units| *units > 0)?),
        }))
    })
}

pub fn allow(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let wanted = "one or more words, such as host=auth or http_call";
    add(directive, main, level, wanted, |values| {
        (!values.is_empty()).then(|| Setting::Allow(values.iter().map(|word| word.to_vec()).collect()))
    })
}

pub fn trace(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let words = directive.values();
    let (filter, values) = split(directive, &words)?;
    let said = match values {
        [b"off"] => Trace::Off,
        [b"on"] => Trace::On,
        [word] if word.len() > CONDITION.len() && word.starts_with(CONDITION) => {
            Trace::If(directive.complex_text(&word[CONDITION.len()..])?)
        }
        values => {
            return Err(directive.invalid(
                &values.join(&b' '),
                "\"on\", \"off\", or a condition such as if=$is_traced, which is not for clients to choose",
            ));
        }
    };
    let is_new = main.rules.add(level, filter, Setting::Trace(said), directive.place());
    if is_new { Ok(()) } else { Err(directive.duplicate()) }
}

pub fn environment(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let words = directive.values();
    let (filter, values) = split(directive, &words)?;
    let said = match values {
        [name] => Some((*name, None)),
        [name, value] => Some((*name, Some(*value))),
        _ => None,
    };
    let is_name = |name: &[u8]| !name.is_empty() && !name.contains(&b'=');
    let has_nul = values.iter().any(|word| word.contains(&0));
    let Some((name, value)) = said.filter(|(name, _)| is_name(name) && !has_nul) else {
        let wanted = "the name of a variable, without \"=\", and perhaps a value; without one it is that of nginx's own environment";
        return Err(directive.invalid(&values.join(&b' '), wanted));
    };
    if let Some(first) = main.rules.variable(level, filter.as_deref(), name) {
        let (directive, name) = (directive.name(), shown(name));
        return Err(format!("duplicate \"{directive}\" \"{name}\", the first is in {}", first.place));
    }
    let place = directive.place();
    let of_nginx = || std::env::var_os(OsStr::from_bytes(name)).map(OsString::into_vec);
    let value = value.map(<[u8]>::to_vec).or_else(of_nginx);
    if value.is_none() {
        main.notes.push(Note::warning(format!(
            "nginx's environment has no \"{}\", so filters get none of \"proxy_wasm_env\" in {place}",
            shown(name)
        )));
    }
    let variable = EnvironmentVariable { name: name.to_vec(), value, place: place.clone() };
    main.rules.add(level, filter, Setting::Environment(vec![variable]), place);
    Ok(())
}

/// Has the filters of a level go by what `parse` makes of the values, if they are what is wanted.
fn add(
    directive: &Directive,
    main: &mut MainConf,
    level: Level,
    wanted: &str,
    parse: fn(&[&[u8]]) -> Option<Setting>,
) -> Result<(), String> {
    let words = directive.values();
    let (filter, values) = split(directive, &words)?;
    let setting = parse(values).ok_or_else(|| directive.invalid(&values.join(&b' '), wanted))?;
    if main.rules.add(level, filter, setting, directive.place()) { Ok(()) } else { Err(directive.duplicate()) }
}

/// The filters that a directive is about, and its values.
type Split<'v> = (Option<Vec<u8>>, &'v [&'v [u8]]);

fn split<'v>(directive: &Directive, words: &'v [&'v [u8]]) -> Result<Split<'v>, String> {
    match words.split_first().and_then(|(word, values)| Some((word.strip_prefix(b"filter=")?, values))) {
        Some((b"", _)) => Err(format!("\"filter=\" of \"{}\" lacks a name", directive.name())),
        Some((name, values)) => Ok((Some(name.to_vec()), values)),
        None => Ok((None, words)),
    }
}
