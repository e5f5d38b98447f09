//! `proxy_wasm_on_error`, `proxy_wasm_isolation`, `proxy_wasm_recycle`, `proxy_wasm_restart_delay`, `proxy_wasm_log_rate`,
//! `proxy_wasm_allow`, `wasm_fuel` in http, server, location, each with `filter=NAME` before its value if it is about some of
//! the filters: how they are kept from harm, and kept from doing any.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_parse_size, ngx_parse_time, ngx_str_t};

use super::{Directive, loc, shown};
use crate::config::rules::{Isolation, OnError, Recycle, RestartDelay, Setting, Without};

/// The handler of a directive: what it makes of its values.
macro_rules! directive {
    ($name:ident, $wanted:expr, $parse:expr) => {
        pub unsafe extern "C" fn $name(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
            // SAFETY: nginx passes its own structures to a handler.
            unsafe {
                Directive::handle(cf, |directive| {
                    let (filter, values) = split(directive)?;
                    let parse: fn(&[ngx_str_t]) -> Option<Setting> = $parse;
                    let setting = parse(values).ok_or_else(|| wrong(directive, values, $wanted))?;
                    let place = directive.place();
                    let level = std::ptr::from_ref(loc(conf));
                    if directive.main()?.rules.add(level, filter, setting, place) {
                        return Ok(());
                    }
                    Err(directive.duplicate())
                })
            }
        }
    };
}

directive!(on_error, "\"closed\", \"open\", \"reload\", \"reload closed\" or \"reload open\"", |values| {
    let words: Vec<_> = values.iter().map(ngx_str_t::as_bytes).collect();
    Some(Setting::OnError(match words.as_slice() {
        [b"closed"] => OnError::Stay(Without::Closed),
        [b"open"] => OnError::Stay(Without::Open),
        [b"reload"] | [b"reload", b"closed"] => OnError::Reload(Without::Closed),
        [b"reload", b"open"] => OnError::Reload(Without::Open),
        _ => return None,
    }))
});

directive!(isolation, "\"worker\" (or \"none\"), or \"request\" (or \"stream\", \"filter\")", |values| {
    let [word] = values else { return None };
    Some(Setting::Isolation(match word.as_bytes() {
        // The second names are those of the other host for nginx.
        b"worker" | b"none" => Isolation::Worker,
        b"request" | b"stream" | b"filter" => Isolation::Request,
        _ => return None,
    }))
});

directive!(recycle, "\"on\", \"off\", or a size such as 64m", |values| {
    let [word] = values else { return None };
    Some(Setting::Recycle(match word.as_bytes() {
        b"on" => Recycle::AtLimit,
        b"off" => Recycle::Off,
        _ => Recycle::At(size(word).filter(|size| *size > 0)?),
    }))
});

directive!(
    restart_delay,
    "one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10",
    |values| {
        let mut delay = RestartDelay::default();
        let mut times = values;
        if let Some((last, before)) = values.split_last()
            && let Some(word) = last.as_bytes().strip_prefix(b"after=")
        {
            delay.at_once = number(word)?.try_into().ok()?;
            times = before;
        }
        (delay.first, delay.longest) = match times {
            [first] => (time(first)?, time(first)?.max(delay.longest)),
            [first, longest] => (time(first)?, time(longest)?),
            _ => return None,
        };
        (delay.first <= delay.longest).then_some(Setting::RestartDelay(delay))
    }
);

directive!(log_rate, "\"off\", or a number of lines in a second, such as 1000", |values| {
    let [word] = values else { return None };
    Some(Setting::LogRate(match word.as_bytes() {
        b"off" => None,
        word => Some(number(word).filter(|lines| *lines > 0)?.try_into().ok()?),
    }))
});

directive!(fuel, "\"off\", or a number of units above 0, such as 10000000", |values| {
    let [word] = values else { return None };
    Some(Setting::Fuel(match word.as_bytes() {
        b"off" => None,
        word => Some(number(word).filter(|units| *units > 0)?),
    }))
});

directive!(allow, "one or more words, such as host=auth or http_call", |values| {
    (!values.is_empty()).then(|| Setting::Allow(values.iter().map(|word| word.as_bytes().to_vec()).collect()))
});

/// The filters that a directive is about, and its values.
fn split(directive: &Directive) -> Result<(Option<Vec<u8>>, &[ngx_str_t]), String> {
    let values = &directive.words()[1..];
    match values.first().and_then(|word| word.as_bytes().strip_prefix(b"filter=")) {
        Some(b"") => Err(format!("\"filter=\" of \"{}\" lacks a name", shown(directive.word(0).unwrap_or_default()))),
        Some(name) => Ok((Some(name.to_vec()), &values[1..])),
        None => Ok((None, values)),
    }
}

fn wrong(directive: &Directive, values: &[ngx_str_t], wanted: &str) -> String {
    let values: Vec<_> = values.iter().map(|word| shown(word.as_bytes()).into_owned()).collect();
    let name = shown(directive.word(0).unwrap_or_default());
    format!("invalid value \"{}\" of \"{name}\": it takes {wanted}", values.join(" "))
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn size(word: &ngx_str_t) -> Option<usize> {
    // SAFETY: the argument is a string of nginx, which the function only reads.
    usize::try_from(unsafe { ngx_parse_size(std::ptr::from_ref(word).cast_mut()) }).ok()
}

fn time(word: &ngx_str_t) -> Option<Duration> {
    // SAFETY: as above.
    let time = unsafe { ngx_parse_time(std::ptr::from_ref(word).cast_mut(), 0) };
    u64::try_from(time).ok().filter(|time| *time > 0).map(Duration::from_millis)
}
