//! What the TLS library knows of a connection: version, and the certificates of both ends.
//!
//! Functions of the TLS library are looked up at run time: an nginx without TLS has none, and would not load a module that
//! needs them. They are those of OpenSSL 1.1 and 3, of BoringSSL and LibreSSL.

use super::request::HttpRequest;

/// Which connection.
#[derive(Clone, Copy)]
pub enum Side<'r> {
    /// That of the client.
    Client(HttpRequest<'r>),
    /// That to the server of an upstream, while there is one.
    Upstream(HttpRequest<'r>),
}

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Local,
    Peer,
}

/// The version; `None` without TLS.
pub fn version(side: Side<'_>) -> Option<&'static [u8]> {
    library::version(side)
}

/// The certificate of one end, as DER.
pub fn certificate(side: Side<'_>, end: End) -> Option<Vec<u8>> {
    library::certificate(side, end)
}

#[cfg(not(ngx_feature = "ssl"))]
mod library {
    use super::{End, Side};

    pub fn version(_: Side<'_>) -> Option<&'static [u8]> {
        None
    }

    pub fn certificate(_: Side<'_>, _: End) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(ngx_feature = "ssl")]
mod library {
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::ptr::NonNull;
    use std::sync::OnceLock;

    use super::{End, Side};
    use crate::nginx::symbols;

    /// The library's structure of a connection. It is used at once, and not kept.
    fn ssl(side: Side<'_>) -> Option<NonNull<c_void>> {
        let c = match side {
            Side::Client(r) => r.connection(),
            Side::Upstream(r) => r.upstream()?.peer()?,
        };
        // SAFETY: the connection is live. Nginx has a structure for each one with TLS, with the library's own in it.
        unsafe { NonNull::new((*c.as_ptr()).ssl.as_ref()?.connection.cast()) }
    }

    pub fn version(side: Side<'_>) -> Option<&'static [u8]> {
        let (ssl, functions) = (ssl(side)?, Functions::get()?);
        // SAFETY: it is a connection of the library.
        let version = unsafe { (functions.version)(ssl.as_ptr()) };
        // SAFETY: the library answers with a constant.
        (!version.is_null()).then(|| unsafe { CStr::from_ptr(version) }.to_bytes())
    }

    pub fn certificate(side: Side<'_>, end: End) -> Option<Vec<u8>> {
        let (ssl, functions) = (ssl(side)?, Functions::get()?);
        let find = if end == End::Local { functions.local_certificate } else { functions.peer_certificate };
        // SAFETY: both take a connection of the library.
        let certificate = NonNull::new(unsafe { find(ssl.as_ptr()) })?;
        let der = functions.der(certificate);
        if end == End::Peer {
            // SAFETY: it was a reference, which its taker must free, and nobody uses it any more.
            unsafe { (functions.free_certificate)(certificate.as_ptr()) };
        }
        (!der.is_empty()).then_some(der)
    }

    /// Makes a structure of functions, and the search for them. The types are those of the functions' documentation
    /// (SSL_get_version(3), SSL_get_certificate(3), SSL_get_peer_certificate(3), X509_free(3), i2d_X509(3)), structures being
    /// opaque here.
    macro_rules! functions {
        ($($(#[$doc:meta])* $field:ident: $type:ty = $($name:literal)|+;)*) => {
            struct Functions {
                $($(#[$doc])* $field: $type,)*
            }

            impl Functions {
                fn find() -> Option<Functions> {
                    Some(Functions {
                        $($field: {
                            let address = [$($name),+].into_iter().find_map(symbols::find)?;
                            // SAFETY: the function with this name has this type.
                            unsafe { std::mem::transmute::<NonNull<c_void>, $type>(address) }
                        },)*
                    })
                }
            }
        };
    }

    functions! {
        version: unsafe extern "C" fn(*const c_void) -> *const c_char = c"SSL_get_version";
        /// Gives a pointer into the connection.
        local_certificate: unsafe extern "C" fn(*const c_void) -> *mut c_void = c"SSL_get_certificate";
        /// Gives a reference that its taker must free. Its name changed in OpenSSL 3.
        peer_certificate: unsafe extern "C" fn(*const c_void) -> *mut c_void =
            c"SSL_get1_peer_certificate" | c"SSL_get_peer_certificate";
        free_certificate: unsafe extern "C" fn(*mut c_void) = c"X509_free";
        encode_certificate: unsafe extern "C" fn(*const c_void, *mut *mut u8) -> c_int = c"i2d_X509";
    }

    impl Functions {
        fn get() -> Option<&'static Functions> {
            static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
            FUNCTIONS.get_or_init(Functions::find).as_ref()
        }

        /// A certificate, encoded; nothing when the library cannot.
        fn der(&self, certificate: NonNull<c_void>) -> Vec<u8> {
            // SAFETY: without a place to write to, encoding answers the length.
            let len = unsafe { (self.encode_certificate)(certificate.as_ptr(), std::ptr::null_mut()) };
            let mut der = vec![0; usize::try_from(len).unwrap_or_default()];
            if !der.is_empty() {
                // SAFETY: with a place, it writes as much.
                unsafe { (self.encode_certificate)(certificate.as_ptr(), &mut der.as_mut_ptr()) };
            }
            der
        }
    }
}
