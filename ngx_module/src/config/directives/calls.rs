//! `wasm_max_calls`, `wasm_call_…` and `wasm_ssl_…` in http, server, location: calls of filters to other services. What
//! the level says that declares a filter holds for it.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_parse_size, ngx_str_t, ngx_uint_t};

use super::limits::set_time;
use super::{Directive, loc, shown};
use crate::config::calls::{CallConf, SSL, VERSIONS};
use crate::config::loc_conf::UNSET;

/// The handler of a directive: what it does with the place for its value.
macro_rules! directive {
    ($name:ident, $set:expr) => {
        pub unsafe extern "C" fn $name(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
            // SAFETY: nginx passes its own structures to a handler.
            unsafe {
                Directive::handle(cf, |directive| {
                    let set: fn(&Directive, &mut CallConf) -> Result<(), String> = $set;
                    set(directive, &mut loc(conf).calls)
                })
            }
        }
    };
}

directive!(max_calls, |directive, conf| number(directive, &mut conf.max_calls, 1..=65_536));
directive!(connect_timeout, |directive, conf| set_time(directive, &mut conf.connect_timeout));
directive!(response_buffer, |directive, conf| size(directive, &mut conf.response_buffer));
directive!(keepalive, |directive, conf| number(directive, &mut conf.keepalive, 0..=65_536));
directive!(keepalive_timeout, |directive, conf| set_time(directive, &mut conf.keepalive_timeout));
directive!(keepalive_requests, |directive, conf| number(directive, &mut conf.keepalive_requests, 1..=1_000_000_000));
directive!(http_version, |directive, conf| {
    let words = VERSIONS.map(|(word, _)| word);
    choose(directive, &mut conf.version, &words)
});
directive!(ssl, |directive, conf| {
    let words = SSL.map(|(word, _)| word);
    choose(directive, &mut conf.ssl, &words)
});
directive!(ssl_verify, |directive, conf| choose(directive, &mut conf.ssl_verify, &["off", "on"]));
directive!(ssl_verify_depth, |directive, conf| number(directive, &mut conf.ssl_verify_depth, 0..=1000));
directive!(ssl_ciphers, |directive, conf| text(directive, &mut conf.ssl_ciphers));
directive!(ssl_trusted_certificate, |directive, conf| text(directive, &mut conf.ssl_trusted));
directive!(ssl_certificate, |directive, conf| text(directive, &mut conf.ssl_certificate));
directive!(ssl_certificate_key, |directive, conf| text(directive, &mut conf.ssl_key));
directive!(ssl_protocols, |directive, conf| {
    // The bits of src/event/ngx_event_openssl.h, which an nginx without TLS does not know.
    const KNOWN: [(&str, ngx_uint_t); 4] = [("TLSv1", 0x08), ("TLSv1.1", 0x10), ("TLSv1.2", 0x20), ("TLSv1.3", 0x40)];
    if conf.ssl_protocols != 0 {
        return Err(directive.duplicate());
    }
    for word in &directive.words()[1..] {
        let word = shown(word.as_bytes());
        let known = KNOWN.iter().find(|(name, _)| *name == word);
        let (_, bit) = known.ok_or_else(|| {
            let names: Vec<_> = KNOWN.iter().map(|(name, _)| *name).collect();
            format!("unknown protocol \"{word}\" in \"wasm_ssl_protocols\"; known are {}", names.join(", "))
        })?;
        conf.ssl_protocols |= *bit;
    }
    Ok(())
});

fn number(directive: &Directive, place: &mut usize, range: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    if *place != UNSET {
        return Err(directive.duplicate());
    }
    let word = shown(directive.word(1).unwrap_or_default());
    *place = word
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| directive.invalid(&format!("a number from {} to {}", range.start(), range.end())))?;
    Ok(())
}

fn size(directive: &Directive, place: &mut usize) -> Result<(), String> {
    const LARGEST: usize = 1 << 30;
    if *place != UNSET {
        return Err(directive.duplicate());
    }
    // SAFETY: the argument is a string of nginx, which the function only reads.
    let size = unsafe { ngx_parse_size(directive.argument()?) };
    match usize::try_from(size) {
        Ok(size) if (1..=LARGEST).contains(&size) => *place = size,
        _ => return Err(directive.invalid("a size from 1 to 1024m, such as 1m")),
    }
    Ok(())
}

fn choose(directive: &Directive, place: &mut usize, words: &[&str]) -> Result<(), String> {
    if *place != UNSET {
        return Err(directive.duplicate());
    }
    let word = shown(directive.word(1).unwrap_or_default());
    *place = words
        .iter()
        .position(|known| *known == word)
        .ok_or_else(|| directive.invalid(&format!("one of {}", words.join(", "))))?;
    Ok(())
}

fn text(directive: &Directive, place: &mut ngx_str_t) -> Result<(), String> {
    if !place.data.is_null() {
        return Err(directive.duplicate());
    }
    *place = directive.words().get(1).copied().ok_or("argument missing")?;
    Ok(())
}
