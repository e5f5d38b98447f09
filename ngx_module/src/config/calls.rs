//! What a level of the configuration says about calls; [`CallConf::settings`] makes of it what calls go by, once all levels are
//! merged.

use std::rc::Rc;
use std::time::Duration;

use nginx_sys::{ngx_str_t, ngx_uint_t};

use crate::config::inherit::inherit;
use crate::net::settings::{CallSettings, Version};
use crate::net::tls::{self, Tls};
use crate::nginx::conf::Conf;
use crate::nginx::resolver::Resolver;

const DEFAULT_MAX_CALLS: usize = 1024;
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_RESPONSE_BUFFER: usize = 1 << 20;
const DEFAULT_KEEPALIVE: usize = 32;
const DEFAULT_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_KEEPALIVE_REQUESTS: usize = 1000;

/// Strings are in the pool of the cycle.
#[derive(Clone, Default)]
pub struct CallConf {
    pub max_calls: Option<usize>,
    pub connect_timeout: Option<Duration>,
    pub response_buffer: Option<usize>,
    pub keepalive: Option<usize>,
    pub keepalive_timeout: Option<Duration>,
    pub keepalive_requests: Option<usize>,
    pub version: Option<Version>,
    /// Whether connections have TLS; the inner `None` is that calls decide.
    pub ssl: Option<Option<bool>>,
    pub ssl_verify: Option<bool>,
    pub ssl_verify_depth: Option<i64>,
    /// Bits, as nginx counts protocols.
    pub ssl_protocols: Option<ngx_uint_t>,
    pub ssl_ciphers: Option<ngx_str_t>,
    pub ssl_trusted: Option<ngx_str_t>,
    pub ssl_certificate: Option<ngx_str_t>,
    pub ssl_key: Option<ngx_str_t>,
    /// That of this level, once it is merged.
    pub core: Option<Resolver>,
}

impl CallConf {
    /// Takes from the outer level what this one does not say.
    pub fn inherit(&mut self, outer: &CallConf) {
        inherit!(self, outer => max_calls, connect_timeout, response_buffer);
        inherit!(self, outer => keepalive, keepalive_timeout, keepalive_requests, version, ssl);
        inherit!(self, outer => ssl_verify, ssl_verify_depth, ssl_protocols, ssl_ciphers);
        inherit!(self, outer => ssl_trusted, ssl_certificate, ssl_key);
    }

    /// How many calls of a filter may be in flight in a worker.
    pub fn max_calls(&self) -> usize {
        self.max_calls.unwrap_or(DEFAULT_MAX_CALLS)
    }

    /// What calls go by. Certificates are read now.
    pub fn settings(&self, conf: &Conf) -> Result<Rc<CallSettings>, String> {
        // One that is empty is none, so that a level can do without what the level around it says.
        let said = |text: Option<ngx_str_t>| text.filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec());
        let (certificate, key) = (said(self.ssl_certificate), said(self.ssl_key));
        match (&certificate, &key) {
            (Some(_), None) => {
                return Err("\"wasm_ssl_certificate\" needs \"wasm_ssl_certificate_key\" beside it".into());
            }
            (None, Some(_)) => {
                return Err("\"wasm_ssl_certificate_key\" needs \"wasm_ssl_certificate\" beside it".into());
            }
            _ => {}
        }
        let ssl = tls::TlsSettings {
            verify: self.ssl_verify.unwrap_or(true),
            depth: self.ssl_verify_depth,
            protocols: self.ssl_protocols,
            ciphers: said(self.ssl_ciphers),
            trusted: said(self.ssl_trusted),
            certificate: certificate.zip(key),
        };
        Ok(Rc::new(CallSettings {
            core: self.core,
            tls: Tls::new(ssl, conf)?,
            ssl: self.ssl.flatten(),
            connect_timeout: self.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            response_buffer: self.response_buffer.unwrap_or(DEFAULT_RESPONSE_BUFFER),
            keepalive: self.keepalive.unwrap_or(DEFAULT_KEEPALIVE),
            keepalive_timeout: self.keepalive_timeout.unwrap_or(DEFAULT_KEEPALIVE_TIMEOUT),
            keepalive_requests: self.keepalive_requests.unwrap_or(DEFAULT_KEEPALIVE_REQUESTS),
            version: self.version.unwrap_or(Version::Auto),
        }))
    }
}
