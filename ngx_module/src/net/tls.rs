//! TLS on connections to other services: nginx's functions and those of its TLS library. They are looked up at run time,
//! because an nginx without TLS has none, and would not load a module that needs them (`tls/library.rs`).

use nginx_sys::{ngx_str_t, ngx_uint_t};

#[cfg(ngx_feature = "ssl")]
mod library;

/// What the configuration says about TLS; strings are nginx's.
#[cfg_attr(not(ngx_feature = "ssl"), allow(dead_code))]
pub struct Settings {
    pub verify: bool,
    pub depth: Option<i64>,
    /// Bits, as nginx counts protocols; where nothing is said, TLS 1.2 and 1.3.
    pub protocols: Option<ngx_uint_t>,
    pub ciphers: Option<ngx_str_t>,
    pub trusted: Option<ngx_str_t>,
    /// With its key.
    pub certificate: Option<(ngx_str_t, ngx_str_t)>,
}

#[cfg(ngx_feature = "ssl")]
mod with {
    use std::cell::OnceCell;
    use std::ffi::CString;
    use std::future::poll_fn;
    use std::net::IpAddr;
    use std::task::Poll;

    use nginx_sys::{
        NGX_SSL_BUFFER, NGX_SSL_CLIENT, NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, ngx_conf_t, ngx_connection_t, ngx_ssl_t,
        ngx_uint_t,
    };

    use super::super::connection::Connection;
    use super::super::words::Words;
    use super::Settings;
    use super::library::Functions;
    use crate::nginx::executor;
    use crate::nginx::rc;

    /// The context of all connections with the same settings.
    pub struct Tls {
        settings: Settings,
        /// Made when it is needed first, unless a file is to be checked with the configuration: the certificates that the
        /// system trusts take a while to read.
        context: OnceCell<Context>,
    }

    /// nginx's structure stays where it is, since contexts of connections point to it.
    struct Context(Box<ngx_ssl_t>, #[allow(dead_code)] Box<Words>);

    impl Drop for Context {
        fn drop(&mut self) {
            if let (Ok(functions), false) = (Functions::get(), executor::is_over()) {
                // SAFETY: the context was made by `ngx_ssl_create`.
                unsafe { (functions.ngx_ssl_cleanup_ctx)((&raw mut *self.0).cast()) };
            }
        }
    }

    impl Tls {
        /// Reads the files that the settings name. `cf` is nginx's, while it reads the configuration.
        ///
        /// # Safety
        /// The strings of `settings` live as long as the result.
        pub unsafe fn new(settings: Settings, cf: *mut ngx_conf_t) -> Result<Tls, String> {
            let tls = Tls { settings, context: OnceCell::new() };
            let settings = &tls.settings;
            if settings.ciphers.is_some() || settings.trusted.is_some() || settings.certificate.is_some() {
                // SAFETY: see above.
                let context = unsafe { tls.settings.context(cf) }?;
                let _ = tls.context.set(context);
            }
            Ok(tls)
        }

        fn context(&self) -> Result<*mut ngx_ssl_t, String> {
            let context = match self.context.get() {
                Some(context) => context,
                None => {
                    // SAFETY: `new` has made the contexts that need nginx's structure.
                    let context = unsafe { self.settings.context(std::ptr::null_mut()) }?;
                    self.context.get_or_init(|| context)
                }
            };
            Ok((&raw const *context.0).cast_mut())
        }

        /// Has a connection encrypted. `host` is who should be at the other end; `offer_h2`: HTTP/2 is welcome. Answers whether
        /// the other end has chosen it.
        pub async fn handshake(&self, connection: &Connection, host: &str, offer_h2: bool) -> Result<bool, String> {
            let functions = Functions::get()?;
            let context = self.context()?;
            let shared = &connection.0;
            let c = shared.c.get();
            let failed = || shared.words.take().unwrap_or_else(|| "the TLS library gives no reason".into());
            if c.is_null() {
                return Err("the connection has been closed".into());
            }
            let ip = host.parse::<IpAddr>().is_ok();
            // SAFETY: the connection is open and has a pool; the library copies names and protocols.
            unsafe {
                if (functions.ngx_ssl_create_connection)(context, c, (NGX_SSL_BUFFER | NGX_SSL_CLIENT) as ngx_uint_t)
                    != rc::OK
                {
                    return Err(failed());
                }
                let ssl = (*(*c).ssl).connection.cast();
                if !ip {
                    let name = CString::new(host).map_err(|_| "a host name with a NUL in it".to_owned())?;
                    functions.set_host_name(ssl, &name)?;
                }
                let protocols: &[u8] = if offer_h2 { b"\x02h2\x08http/1.1" } else { b"\x08http/1.1" };
                if (functions.SSL_set_alpn_protos)(ssl, protocols.as_ptr(), protocols.len() as u32) != 0 {
                    return Err("the TLS library refuses the protocols".into());
                }
            }
            poll_fn(|cx| {
                let c = shared.c.get();
                if c.is_null() {
                    return Poll::Ready(Err("the connection has been closed".into()));
                }
                // SAFETY: the connection is open. Nginx puts handlers of its own in the place of ours, which lead to a callback;
                // ours lead here, which is the same.
                unsafe {
                    match (functions.ngx_ssl_handshake)(c) {
                        rc::OK => Poll::Ready(Ok(())),
                        rc::AGAIN => {
                            shared.take_events();
                            shared.remember(cx);
                            Poll::Pending
                        }
                        _ => Poll::Ready(Err(failed())),
                    }
                }
            })
            .await?;
            // SAFETY: the connection is open, and has its handshake behind it.
            unsafe {
                shared.take_events();
                let ssl = (*(*c).ssl).connection.cast();
                if self.settings.verify {
                    functions.verify(c, ssl, host, ip)?;
                }
                Ok(functions.chosen_protocol(ssl) == b"h2")
            }
        }
    }

    impl Settings {
        unsafe fn context(&self, cf: *mut ngx_conf_t) -> Result<Context, String> {
            const DEPTH: i64 = 100;
            let functions = Functions::get()?;
            let words = Words::new();
            // Nginx writes what goes wrong to the log of the configuration, or to this one.
            let failed = |what: &str| {
                let words = words.take();
                format!("{what}{}", words.map(|words| format!(": {words}")).unwrap_or_default())
            };
            // SAFETY: the structure is filled by nginx, which keeps the pointer to it; strings are written by nobody.
            unsafe {
                let mut ssl = Box::new(std::mem::zeroed::<ngx_ssl_t>());
                ssl.log = words.log();
                let protocols = self.protocols.unwrap_or((NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3) as ngx_uint_t);
                if (functions.ngx_ssl_create)(&mut *ssl, protocols, std::ptr::null_mut()) != rc::OK {
                    return Err(failed("no TLS context can be made"));
                }
                let mut ssl = Context(ssl, Words::new());
                let place = &raw mut *ssl.0;
                let depth = self.depth.unwrap_or(DEPTH) as isize;
                if let Some(mut ciphers) = self.ciphers
                    && (functions.ngx_ssl_ciphers)(cf, place, &mut ciphers, 0) != rc::OK
                {
                    return Err(failed("the ciphers are not known to the TLS library"));
                }
                if let Some((mut certificate, mut key)) = self.certificate {
                    let none = std::ptr::null_mut();
                    if (functions.ngx_ssl_certificate)(cf, place, &mut certificate, &mut key, none) != rc::OK {
                        return Err(failed("the client certificate cannot be used"));
                    }
                }
                if let Some(mut trusted) = self.trusted {
                    if (functions.ngx_ssl_trusted_certificate)(cf, place, &mut trusted, depth) != rc::OK {
                        return Err(failed("the trusted certificates cannot be read"));
                    }
                } else if self.verify {
                    functions.trust_system((*place).ctx.cast(), depth)?;
                }
                ssl.0.log = ssl.1.log();
                Ok(ssl)
            }
        }
    }

    /// Says goodbye to the other end, as far as that needs no waiting.
    ///
    /// # Safety
    /// `c` is an open connection with TLS.
    pub unsafe fn shut_down(c: *mut ngx_connection_t) {
        let Ok(functions) = Functions::get() else { return };
        // SAFETY: see above. Told not to wait and not to send, nginx frees its structure at once.
        unsafe {
            (*(*c).ssl).set_no_wait_shutdown(1);
            if (functions.ngx_ssl_shutdown)(c) == rc::AGAIN && !(*c).ssl.is_null() {
                (*(*c).ssl).set_no_send_shutdown(1);
                (functions.ngx_ssl_shutdown)(c);
            }
        }
    }
}

#[cfg(not(ngx_feature = "ssl"))]
mod without {
    use nginx_sys::{ngx_conf_t, ngx_connection_t};

    use super::super::connection::Connection;
    use super::Settings;

    /// This nginx was built without TLS.
    pub struct Tls;

    impl Tls {
        /// Nothing is to be read.
        ///
        /// # Safety
        /// None is needed.
        pub unsafe fn new(_: Settings, _: *mut ngx_conf_t) -> Result<Tls, String> {
            Ok(Tls)
        }

        /// There is no TLS.
        pub async fn handshake(&self, _: &Connection, _: &str, _: bool) -> Result<bool, String> {
            Err("this nginx was built without TLS (--with-http_ssl_module)".into())
        }
    }

    /// Connections have no TLS.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn shut_down(_: *mut ngx_connection_t) {}
}

#[cfg(ngx_feature = "ssl")]
pub use with::{Tls, shut_down};
#[cfg(not(ngx_feature = "ssl"))]
pub use without::{Tls, shut_down};
