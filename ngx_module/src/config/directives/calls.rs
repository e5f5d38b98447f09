//! `wasm_max_calls`, `wasm_call_…` and `wasm_ssl_…` in http, server, location: calls of filters to other services. What
//! the level says that declares a filter holds for it.

use nginx_sys::ngx_uint_t;

use super::Directive;
use super::directive::shown;
use crate::config::loc_conf::LocConf;
use crate::net::settings::Version;

const LARGEST_RESPONSE: usize = 1 << 30;

/// The bits of src/event/ngx_event_openssl.h, which an nginx without TLS does not know.
const PROTOCOLS: [(&str, ngx_uint_t); 4] = [("TLSv1", 0x08), ("TLSv1.1", 0x10), ("TLSv1.2", 0x20), ("TLSv1.3", 0x40)];

pub fn max_calls(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.max_calls, directive.number(1..=65_536))
}

pub fn connect_timeout(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.connect_timeout, directive.time())
}

pub fn response_buffer(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.response_buffer, directive.size(1, 1..=LARGEST_RESPONSE, "1m"))
}

pub fn keepalive(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.keepalive, directive.number(0..=65_536))
}

pub fn keepalive_timeout(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.keepalive_timeout, directive.time())
}

pub fn keepalive_requests(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.keepalive_requests, directive.number(1..=1_000_000_000))
}

pub fn http_version(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let known = [("auto", Version::Auto), ("1.1", Version::Http1), ("2", Version::Http2)];
    directive.set(&mut loc.calls.version, directive.choice(&known))
}

pub fn ssl(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl, directive.choice(&[("auto", None), ("on", Some(true)), ("off", Some(false))]))
}

pub fn ssl_verify(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl_verify, directive.switch())
}

pub fn ssl_verify_depth(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl_verify_depth, directive.number(0..=1000))
}

pub fn ssl_protocols(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let bit = |word: &[u8]| {
        let known = PROTOCOLS.iter().find(|(name, _)| name.as_bytes() == word);
        known.map(|(_, bit)| *bit).ok_or_else(|| {
            let names = PROTOCOLS.map(|(name, _)| name).join(", ");
            format!("unknown protocol \"{}\" in \"{}\"; known are {names}", shown(word), directive.name())
        })
    };
    let said = directive.values().into_iter().try_fold(0, |bits, word| Ok(bits | bit(word)?));
    directive.set(&mut loc.calls.ssl_protocols, said)
}

pub fn ssl_ciphers(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl_ciphers, directive.text())
}

pub fn ssl_trusted_certificate(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl_trusted, directive.text())
}

pub fn ssl_certificate(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl_certificate, directive.text())
}

pub fn ssl_certificate_key(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.calls.ssl_key, directive.text())
}
