//! TLS on connections to other services, by what the configuration says.

use nginx_sys::ngx_uint_t;

/// What the configuration says about TLS.
#[cfg_attr(not(ngx_feature = "ssl"), allow(dead_code))]
pub struct TlsSettings {
    pub verify: bool,
    pub depth: Option<i64>,
    /// Bits, as nginx counts protocols; where nothing is said, TLS 1.2 and 1.3.
    pub protocols: Option<ngx_uint_t>,
    pub ciphers: Option<Vec<u8>>,
    pub trusted: Option<Vec<u8>>,
    /// With its key.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

#[cfg(ngx_feature = "ssl")]
mod with {
    use std::cell::OnceCell;
    use std::future::poll_fn;
    use std::net::IpAddr;
    use std::rc::Rc;
    use std::task::Poll;

    use nginx_sys::{NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, ngx_uint_t};

    use super::super::connection::Connection;
    use super::TlsSettings;
    use crate::nginx::conf::Conf;
    use crate::nginx::ssl::{Context, Handshake};

    /// How many certificates there may be between one that is trusted and that of the other end.
    const DEPTH: i64 = 100;

    /// The context of all connections with the same settings.
    pub struct Tls {
        settings: TlsSettings,
        /// Made when it is needed first, unless a file is to be checked with the configuration: the certificates that the
        /// system trusts take a while to read.
        context: OnceCell<Rc<Context>>,
    }

    impl Tls {
        /// Reads the files that the settings name.
        pub fn new(settings: TlsSettings, conf: &Conf) -> Result<Tls, String> {
            let tls = Tls { settings, context: OnceCell::new() };
            let TlsSettings { ciphers, trusted, certificate, .. } = &tls.settings;
            if ciphers.is_none() && trusted.is_none() && certificate.is_none() {
                return Ok(tls);
            }
            let context = tls.settings.bare_context()?;
            if let Some(ciphers) = ciphers {
                context.set_ciphers(conf, ciphers)?;
            }
            if let Some((certificate, key)) = certificate {
                context.set_certificate(conf, certificate, key)?;
            }
            match trusted {
                Some(trusted) => context.trust(conf, trusted, tls.settings.depth())?,
                None => tls.settings.trust_system(&context)?,
            }
            let _ = tls.context.set(Rc::new(context));
            Ok(tls)
        }

        fn context(&self) -> Result<Rc<Context>, String> {
            if let Some(context) = self.context.get() {
                return Ok(context.clone());
            }
            let context = self.settings.bare_context()?;
            self.settings.trust_system(&context)?;
            Ok(self.context.get_or_init(|| Rc::new(context)).clone())
        }

        /// Has a connection encrypted. `host` is who should be at the other end; `offer_h2`: HTTP/2 is welcome. Answers whether
        /// the other end has chosen it.
        pub async fn handshake(&self, connection: &Connection, host: &str, offer_h2: bool) -> Result<bool, String> {
            let context = self.context()?;
            let shared = &connection.0;
            let failed = || shared.words().unwrap_or_else(|| "the TLS library gives no reason".into());
            let is_ip = host.parse::<IpAddr>().is_ok();
            let protocols: &[u8] = if offer_h2 { b"\x02h2\x08http/1.1" } else { b"\x08http/1.1" };
            let name = (!is_ip).then_some(host);
            shared.begin_tls(context, name, protocols).map_err(|reason| reason.unwrap_or_else(failed))?;
            poll_fn(|cx| match shared.handshake() {
                _ if !shared.is_open() => Poll::Ready(Err("the connection has been closed".into())),
                Handshake::Done => Poll::Ready(Ok(())),
                Handshake::Pending => {
                    shared.remember(cx);
                    Poll::Pending
                }
                Handshake::Failed => Poll::Ready(Err(failed())),
            })
            .await?;
            if self.settings.verify {
                shared.verify(host, is_ip)?;
            }
            Ok(shared.has_chosen(b"h2"))
        }
    }

    impl Drop for Tls {
        /// Connections may have it for longer than the configuration, to which its files belong.
        fn drop(&mut self) {
            if let Some(context) = self.context.get() {
                context.end();
            }
        }
    }

    impl TlsSettings {
        fn bare_context(&self) -> Result<Context, String> {
            Context::new(self.protocols.unwrap_or((NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3) as ngx_uint_t))
        }

        fn trust_system(&self, context: &Context) -> Result<(), String> {
            if self.verify { context.trust_system(self.depth()) } else { Ok(()) }
        }

        fn depth(&self) -> isize {
            self.depth.unwrap_or(DEPTH) as isize
        }
    }
}

#[cfg(not(ngx_feature = "ssl"))]
mod without {
    use super::super::connection::Connection;
    use super::TlsSettings;
    use crate::nginx::conf::Conf;

    /// This nginx was built without TLS.
    pub struct Tls;

    impl Tls {
        /// Nothing is to be read.
        pub fn new(_: TlsSettings, _: &Conf) -> Result<Tls, String> {
            Ok(Tls)
        }

        /// There is no TLS.
        pub async fn handshake(&self, _: &Connection, _: &str, _: bool) -> Result<bool, String> {
            Err("this nginx was built without TLS (--with-http_ssl_module)".into())
        }
    }
}

#[cfg(ngx_feature = "ssl")]
pub use with::Tls;
#[cfg(not(ngx_feature = "ssl"))]
pub use without::Tls;
