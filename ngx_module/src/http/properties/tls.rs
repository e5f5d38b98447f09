//! What TLS knows of a connection: version, and the certificates of both ends.
//!
//! Functions of the TLS library are looked up at run time: an nginx without TLS has none, and would not load a module that
//! needs them. They are those of OpenSSL 1.1 and 3, of BoringSSL and LibreSSL. The certificates are read in
//! `ngx_wasm::x509`, not by the TLS library.

use nginx_sys::ngx_connection_t;

/// Appends a property of the connection `c`; false when it has no TLS, or TLS does not have it.
///
/// # Safety
/// `c` is a live connection.
pub unsafe fn get(c: *mut ngx_connection_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    #[cfg(ngx_feature = "ssl")]
    // SAFETY: see above.
    unsafe {
        library::get(c, path, value).is_some()
    }
    #[cfg(not(ngx_feature = "ssl"))]
    {
        let _ = (c, path, value);
        false
    }
}

#[cfg(ngx_feature = "ssl")]
mod library {
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::sync::OnceLock;

    use nginx_sys::ngx_connection_t;
    use ngx_wasm::x509;

    /// Which end of a connection.
    enum End {
        Local,
        Peer,
    }

    pub unsafe fn get(c: *mut ngx_connection_t, path: &[u8], value: &mut Vec<u8>) -> Option<()> {
        // SAFETY: nginx has this structure for each connection with TLS, with the library's own in it.
        unsafe {
            let ssl = (*c).ssl.as_ref()?.connection.cast::<c_void>();
            let functions = FUNCTIONS.get_or_init(Functions::find).as_ref()?;
            let certificate = |end| functions.certificate(ssl, end);
            let found = match path {
                b"tls_version" => functions.version(ssl)?.to_vec(),
                b"subject_local_certificate" => x509::subject(&certificate(End::Local)?)?,
                b"subject_peer_certificate" => x509::subject(&certificate(End::Peer)?)?,
                b"dns_san_local_certificate" => x509::dns_name(&certificate(End::Local)?)?,
                b"dns_san_peer_certificate" => x509::dns_name(&certificate(End::Peer)?)?,
                b"uri_san_local_certificate" => x509::uri(&certificate(End::Local)?)?,
                b"uri_san_peer_certificate" => x509::uri(&certificate(End::Peer)?)?,
                b"sha256_peer_certificate_digest" => x509::sha256(&certificate(End::Peer)?),
                b"peer_certificate" => x509::pem(&certificate(End::Peer)?)?,
                _ => return None,
            };
            value.extend_from_slice(&found);
        }
        Some(())
    }

    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();

    struct Functions {
        version: unsafe extern "C" fn(*const c_void) -> *const c_char,
        /// Gives a pointer into the connection.
        local_certificate: unsafe extern "C" fn(*const c_void) -> *mut c_void,
        /// Gives a reference that its taker must free.
        peer_certificate: unsafe extern "C" fn(*const c_void) -> *mut c_void,
        free_certificate: unsafe extern "C" fn(*mut c_void),
        encode_certificate: unsafe extern "C" fn(*const c_void, *mut *mut u8) -> c_int,
    }

    impl Functions {
        fn find() -> Option<Functions> {
            let peer = function(c"SSL_get1_peer_certificate").or_else(|| function(c"SSL_get_peer_certificate"))?;
            // SAFETY: the types are those of the functions' documentation (SSL_get_version(3), SSL_get_certificate(3),
            // SSL_get_peer_certificate(3), X509_free(3), i2d_X509(3)), structures being opaque here.
            unsafe {
                Some(Functions {
                    version: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const c_void) -> *const c_char>(
                        function(c"SSL_get_version")?,
                    ),
                    local_certificate: std::mem::transmute::<
                        *mut c_void,
                        unsafe extern "C" fn(*const c_void) -> *mut c_void,
                    >(function(c"SSL_get_certificate")?),
                    peer_certificate: std::mem::transmute::<
                        *mut c_void,
                        unsafe extern "C" fn(*const c_void) -> *mut c_void,
                    >(peer),
                    free_certificate: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(function(
                        c"X509_free",
                    )?),
                    encode_certificate: std::mem::transmute::<
                        *mut c_void,
                        unsafe extern "C" fn(*const c_void, *mut *mut u8) -> c_int,
                    >(function(c"i2d_X509")?),
                })
            }
        }

        unsafe fn version(&self, ssl: *const c_void) -> Option<&'static [u8]> {
            // SAFETY: the library answers with a constant.
            unsafe {
                let version = (self.version)(ssl);
                (!version.is_null()).then(|| CStr::from_ptr(version).to_bytes())
            }
        }

        /// The certificate of one end, as DER.
        unsafe fn certificate(&self, ssl: *const c_void, end: End) -> Option<Vec<u8>> {
            // SAFETY: without a place to write to, encoding answers the length; with one, it writes as much.
            unsafe {
                let certificate = match end {
                    End::Local => (self.local_certificate)(ssl),
                    End::Peer => (self.peer_certificate)(ssl),
                };
                if certificate.is_null() {
                    return None;
                }
                let len = (self.encode_certificate)(certificate, std::ptr::null_mut());
                let mut der = vec![0; usize::try_from(len).unwrap_or_default()];
                if !der.is_empty() {
                    let mut place = der.as_mut_ptr();
                    (self.encode_certificate)(certificate, &mut place);
                }
                if matches!(end, End::Peer) {
                    (self.free_certificate)(certificate);
                }
                (!der.is_empty()).then_some(der)
            }
        }
    }

    fn function(name: &CStr) -> Option<*mut c_void> {
        // SAFETY: looking a name up has no precondition.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    }
}
