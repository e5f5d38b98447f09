//! The functions that TLS needs, with the types that their documentation gives them. Structures of the TLS library are
//! opaque here. They are those of OpenSSL 1.1 and 3, of BoringSSL and LibreSSL.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_void};
use std::sync::OnceLock;

use nginx_sys::{ngx_array_t, ngx_conf_t, ngx_connection_t, ngx_int_t, ngx_ssl_t, ngx_str_t, ngx_uint_t};

use crate::nginx::rc;

/// X509_V_OK.
const VERIFIED: c_long = 0;
/// SSL_CTRL_SET_TLSEXT_HOSTNAME.
const SET_HOST_NAME: c_int = 55;

macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(non_snake_case)]
        pub struct Functions {
            $(pub $name: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        impl Functions {
            fn find() -> Result<Functions, String> {
                Ok(Functions {
                    $($name: {
                        let name = concat!(stringify!($name), "\0");
                        // SAFETY: the name ends with NUL. The type is that of the documentation.
                        unsafe {
                            let address = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr().cast());
                            if address.is_null() {
                                return Err(format!("this nginx has no {}: it was built without TLS", stringify!($name)));
                            }
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($arg),*) $(-> $result)?>(address)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    ngx_ssl_create: fn(*mut ngx_ssl_t, ngx_uint_t, *mut c_void) -> ngx_int_t;
    ngx_ssl_cleanup_ctx: fn(*mut c_void);
    ngx_ssl_ciphers: fn(*mut ngx_conf_t, *mut ngx_ssl_t, *mut ngx_str_t, ngx_uint_t) -> ngx_int_t;
    ngx_ssl_certificate:
        fn(*mut ngx_conf_t, *mut ngx_ssl_t, *mut ngx_str_t, *mut ngx_str_t, *mut ngx_array_t) -> ngx_int_t;
    ngx_ssl_trusted_certificate: fn(*mut ngx_conf_t, *mut ngx_ssl_t, *mut ngx_str_t, ngx_int_t) -> ngx_int_t;
    ngx_ssl_create_connection: fn(*mut ngx_ssl_t, *mut ngx_connection_t, ngx_uint_t) -> ngx_int_t;
    ngx_ssl_handshake: fn(*mut ngx_connection_t) -> ngx_int_t;
    ngx_ssl_check_host: fn(*mut ngx_connection_t, *mut ngx_str_t) -> ngx_int_t;
    ngx_ssl_shutdown: fn(*mut ngx_connection_t) -> ngx_int_t;
    SSL_ctrl: fn(*mut c_void, c_int, c_long, *mut c_void) -> c_long;
    SSL_set_alpn_protos: fn(*mut c_void, *const u8, c_uint) -> c_int;
    SSL_get0_alpn_selected: fn(*const c_void, *mut *const u8, *mut c_uint);
    SSL_get_verify_result: fn(*const c_void) -> c_long;
    X509_verify_cert_error_string: fn(c_long) -> *const c_char;
    X509_check_ip_asc: fn(*mut c_void, *const c_char, c_uint) -> c_int;
    X509_free: fn(*mut c_void);
    SSL_CTX_set_default_verify_paths: fn(*mut c_void) -> c_int;
    SSL_CTX_set_verify_depth: fn(*mut c_void, c_int);
}

static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();

impl Functions {
    /// The functions, or which one is not there.
    pub fn get() -> Result<&'static Functions, String> {
        FUNCTIONS.get_or_init(Functions::find).as_ref().map_err(Clone::clone)
    }

    /// Names the host in the handshake (SNI).
    ///
    /// # Safety
    /// `ssl` is a connection of the library.
    pub unsafe fn set_host_name(&self, ssl: *mut c_void, name: &CString) -> Result<(), String> {
        // SAFETY: see above; the library copies the name.
        let done = unsafe { (self.SSL_ctrl)(ssl, SET_HOST_NAME, 0, name.as_ptr().cast_mut().cast()) };
        match done {
            1 => Ok(()),
            _ => Err(format!("the TLS library refuses the host name \"{}\"", name.to_string_lossy())),
        }
    }

    /// Trusts the certificates of the system.
    ///
    /// # Safety
    /// `context` is one of the library.
    pub unsafe fn trust_system(&self, context: *mut c_void, depth: isize) -> Result<(), String> {
        // SAFETY: see above.
        unsafe {
            (self.SSL_CTX_set_verify_depth)(context, c_int::try_from(depth).unwrap_or(c_int::MAX));
            match (self.SSL_CTX_set_default_verify_paths)(context) {
                1 => Ok(()),
                _ => Err("the certificates that the system trusts cannot be read; name some by \
                          \"wasm_ssl_trusted_certificate\""
                    .into()),
            }
        }
    }

    /// Whether the other end is who it should be.
    ///
    /// # Safety
    /// `c` is a connection with the handshake behind it, and `ssl` the library's structure of it.
    pub unsafe fn verify(
        &self,
        c: *mut ngx_connection_t,
        ssl: *mut c_void,
        host: &str,
        is_ip: bool,
    ) -> Result<(), String> {
        // SAFETY: see above. The library answers with constants; the certificate is a reference that must be given back.
        unsafe {
            let result = (self.SSL_get_verify_result)(ssl);
            if result != VERIFIED {
                let reason = CStr::from_ptr((self.X509_verify_cert_error_string)(result)).to_string_lossy();
                return Err(format!("the certificate is not valid: {reason} ({result})"));
            }
            let certificate = peer_certificate(ssl);
            if certificate.is_null() {
                return Err("the other end has no certificate".into());
            }
            let is_right = if is_ip {
                CString::new(host).is_ok_and(|ip| (self.X509_check_ip_asc)(certificate, ip.as_ptr(), 0) == 1)
            } else {
                let mut name = ngx_str_t { len: host.len(), data: host.as_ptr().cast_mut() };
                (self.ngx_ssl_check_host)(c, &mut name) == rc::OK
            };
            (self.X509_free)(certificate);
            if is_right { Ok(()) } else { Err(format!("the certificate is not for \"{host}\"")) }
        }
    }

    /// The protocol that the other end chose; empty when it chose none.
    ///
    /// # Safety
    /// `ssl` is a connection of the library.
    pub unsafe fn chosen_protocol(&self, ssl: *mut c_void) -> &[u8] {
        let (mut data, mut len) = (std::ptr::null(), 0);
        // SAFETY: the library gives a pointer into the connection.
        unsafe {
            (self.SSL_get0_alpn_selected)(ssl, &mut data, &mut len);
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data, len as usize) }
        }
    }
}

/// Its name changed in OpenSSL 3.
unsafe fn peer_certificate(ssl: *mut c_void) -> *mut c_void {
    type Get = unsafe extern "C" fn(*const c_void) -> *mut c_void;
    // SAFETY: both functions have this type (SSL_get_peer_certificate(3)).
    unsafe {
        for name in [c"SSL_get1_peer_certificate", c"SSL_get_peer_certificate"] {
            let address = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
            if !address.is_null() {
                return std::mem::transmute::<*mut c_void, Get>(address)(ssl);
            }
        }
    }
    std::ptr::null_mut()
}
