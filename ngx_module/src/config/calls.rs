//! What a level of the configuration says about calls, until all levels are merged; [`CallConf::settings`] makes of it what
//! calls go by.

use std::rc::Rc;
use std::time::Duration;

use nginx_sys::{ngx_conf_t, ngx_http_core_loc_conf_t, ngx_msec_t, ngx_str_t, ngx_uint_t};

use crate::config::loc_conf::UNSET;
use crate::net::settings::{Settings, Version};
use crate::net::tls::{self, Tls};

const DEFAULT_MAX_CALLS: usize = 1024;
const DEFAULT_CONNECT_TIMEOUT: ngx_msec_t = 5000;
const DEFAULT_RESPONSE_BUFFER: usize = 1 << 20;
const DEFAULT_KEEPALIVE: usize = 32;
const DEFAULT_KEEPALIVE_TIMEOUT: ngx_msec_t = 60_000;
const DEFAULT_KEEPALIVE_REQUESTS: usize = 1000;

/// Plain data in nginx's pool. [`UNSET`] (of times the largest, of strings none) is what nobody said.
#[repr(C)]
pub struct CallConf {
    pub max_calls: usize,
    pub connect_timeout: ngx_msec_t,
    pub response_buffer: usize,
    pub keepalive: usize,
    pub keepalive_timeout: ngx_msec_t,
    pub keepalive_requests: usize,
    /// Place in [`VERSIONS`].
    pub version: usize,
    /// Place in [`SSL`].
    pub ssl: usize,
    /// 0 or 1.
    pub ssl_verify: usize,
    pub ssl_verify_depth: usize,
    pub ssl_protocols: ngx_uint_t,
    pub ssl_ciphers: ngx_str_t,
    pub ssl_trusted: ngx_str_t,
    pub ssl_certificate: ngx_str_t,
    pub ssl_key: ngx_str_t,
    /// Where nginx keeps `resolver` of this level.
    pub core: *mut ngx_http_core_loc_conf_t,
}

/// The words of `wasm_call_http_version`.
pub const VERSIONS: [(&str, Version); 3] = [("auto", Version::Auto), ("1.1", Version::Http1), ("2", Version::Http2)];

/// The words of `wasm_call_ssl`, and whether they decide.
pub const SSL: [(&str, Option<bool>); 3] = [("auto", None), ("on", Some(true)), ("off", Some(false))];

impl Default for CallConf {
    fn default() -> Self {
        CallConf {
            max_calls: UNSET,
            connect_timeout: ngx_msec_t::MAX,
            response_buffer: UNSET,
            keepalive: UNSET,
            keepalive_timeout: ngx_msec_t::MAX,
            keepalive_requests: UNSET,
            version: UNSET,
            ssl: UNSET,
            ssl_verify: UNSET,
            ssl_verify_depth: UNSET,
            ssl_protocols: 0,
            ssl_ciphers: ngx_str_t::empty(),
            ssl_trusted: ngx_str_t::empty(),
            ssl_certificate: ngx_str_t::empty(),
            ssl_key: ngx_str_t::empty(),
            core: std::ptr::null_mut(),
        }
    }
}

fn or<T: PartialEq>(value: T, unset: T, otherwise: T) -> T {
    if value == unset { otherwise } else { value }
}

fn millis(time: ngx_msec_t, otherwise: ngx_msec_t) -> Duration {
    Duration::from_millis(or(time, ngx_msec_t::MAX, otherwise) as u64)
}

impl CallConf {
    /// Takes from the outer level what this one does not say.
    pub fn inherit(&mut self, outer: &CallConf) {
        let sizes = [
            (&mut self.max_calls, outer.max_calls),
            (&mut self.response_buffer, outer.response_buffer),
            (&mut self.keepalive, outer.keepalive),
            (&mut self.keepalive_requests, outer.keepalive_requests),
            (&mut self.version, outer.version),
            (&mut self.ssl, outer.ssl),
            (&mut self.ssl_verify, outer.ssl_verify),
            (&mut self.ssl_verify_depth, outer.ssl_verify_depth),
        ];
        for (own, outer) in sizes {
            *own = or(*own, UNSET, outer);
        }
        self.connect_timeout = or(self.connect_timeout, ngx_msec_t::MAX, outer.connect_timeout);
        self.keepalive_timeout = or(self.keepalive_timeout, ngx_msec_t::MAX, outer.keepalive_timeout);
        self.ssl_protocols = or(self.ssl_protocols, 0, outer.ssl_protocols);
        let strings = [
            (&mut self.ssl_ciphers, outer.ssl_ciphers),
            (&mut self.ssl_trusted, outer.ssl_trusted),
            (&mut self.ssl_certificate, outer.ssl_certificate),
            (&mut self.ssl_key, outer.ssl_key),
        ];
        for (own, outer) in strings {
            if own.data.is_null() {
                *own = outer;
            }
        }
    }

    /// How many calls of a filter may be in flight in a worker.
    pub fn max_calls(&self) -> usize {
        or(self.max_calls, UNSET, DEFAULT_MAX_CALLS)
    }

    /// What calls go by. Certificates are read now.
    ///
    /// # Safety
    /// `cf` is nginx's, while it reads the configuration, in whose pool this level is.
    pub unsafe fn settings(&self, cf: *mut ngx_conf_t) -> Result<Rc<Settings>, String> {
        match (self.ssl_certificate.len, self.ssl_key.len) {
            (1.., 0) => return Err("\"wasm_ssl_certificate\" needs \"wasm_ssl_certificate_key\" beside it".into()),
            (0, 1..) => return Err("\"wasm_ssl_certificate_key\" needs \"wasm_ssl_certificate\" beside it".into()),
            _ => {}
        }
        let ssl = tls::Settings {
            verify: or(self.ssl_verify, UNSET, 1) == 1,
            depth: i64::try_from(self.ssl_verify_depth).ok().filter(|_| self.ssl_verify_depth != UNSET),
            protocols: self.ssl_protocols,
            ciphers: self.ssl_ciphers,
            trusted: self.ssl_trusted,
            certificate: self.ssl_certificate,
            key: self.ssl_key,
        };
        let version = or(self.version, UNSET, 0);
        Ok(Rc::new(Settings {
            core: self.core,
            // SAFETY: the strings are in the pool of the configuration.
            tls: unsafe { Tls::new(ssl, cf) }?,
            ssl: SSL.get(self.ssl).and_then(|(_, decided)| *decided),
            connect_timeout: millis(self.connect_timeout, DEFAULT_CONNECT_TIMEOUT),
            response_buffer: or(self.response_buffer, UNSET, DEFAULT_RESPONSE_BUFFER),
            keepalive: or(self.keepalive, UNSET, DEFAULT_KEEPALIVE),
            keepalive_timeout: millis(self.keepalive_timeout, DEFAULT_KEEPALIVE_TIMEOUT),
            keepalive_requests: or(self.keepalive_requests, UNSET, DEFAULT_KEEPALIVE_REQUESTS),
            version: VERSIONS.get(version).map_or(Version::Auto, |(_, version)| *version),
        }))
    }
}
