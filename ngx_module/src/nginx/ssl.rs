//! TLS of connections that this module makes: nginx's functions and those of its TLS library, with the types that their
//! documentation gives them. They are looked up at run time, because an nginx without TLS has none, and would not load a module
//! that needs them. Structures of the TLS library are opaque here. They are those of OpenSSL 1.1 and 3, of BoringSSL and LibreSSL.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::OnceLock;

use nginx_sys::{
    NGX_SSL_BUFFER, NGX_SSL_CLIENT, ngx_array_t, ngx_conf_t, ngx_connection_t, ngx_int_t, ngx_ssl_connection_t,
    ngx_ssl_t, ngx_str_t, ngx_uint_t,
};

use super::conf::Conf;
use super::own_connection::{Heard, OwnConnection};
use super::plain::Plain;
use super::words::Words;
use super::{executor, rc, symbols};

/// X509_V_OK.
const VERIFIED: c_long = 0;
/// SSL_CTRL_SET_TLSEXT_HOSTNAME.
const SET_HOST_NAME: c_int = 55;

macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(non_snake_case)]
        struct Functions {
            $($name: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        impl Functions {
            fn find() -> Result<Functions, String> {
                Ok(Functions {
                    $($name: {
                        let name = concat!(stringify!($name), "\0");
                        let found = CStr::from_bytes_with_nul(name.as_bytes()).ok().and_then(symbols::find);
                        let Some(found) = found else {
                            return Err(format!("this nginx has no {}: it was built without TLS", stringify!($name)));
                        };
                        // SAFETY: the function with this name has the type that its documentation gives it.
                        unsafe { std::mem::transmute::<NonNull<c_void>, unsafe extern "C" fn($($arg),*) $(-> $result)?>(found) }
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
    fn get() -> Result<&'static Functions, String> {
        FUNCTIONS.get_or_init(Functions::find).as_ref().map_err(Clone::clone)
    }
}

/// What connections with the same settings have in common.
pub struct Context {
    functions: &'static Functions,
    /// Stays where it is: nginx has its address in connections, and writes to it.
    ssl: Box<UnsafeCell<ngx_ssl_t>>,
    /// See [`Context::end`].
    has_ended: Cell<bool>,
    /// What nginx says of it.
    words: Box<Words>,
}

impl Context {
    /// For these protocols, which are bits as nginx counts them.
    pub fn new(protocols: ngx_uint_t) -> Result<Context, String> {
        let functions = Functions::get()?;
        let words = Words::new();
        let mut ssl = ngx_ssl_t::zeros();
        ssl.log = words.log().as_ptr();
        let ssl = Box::new(UnsafeCell::new(ssl));
        // SAFETY: nginx fills the structure, whose log is there as long as it.
        if unsafe { (functions.ngx_ssl_create)(ssl.get(), protocols, ptr::null_mut()) } != rc::OK {
            return Err(said("no TLS context can be made", &words));
        }
        Ok(Context { functions, ssl, has_ended: Cell::new(false), words })
    }

    /// Allows these ciphers only, in the form of the TLS library.
    pub fn set_ciphers(&self, conf: &Conf, ciphers: &[u8]) -> Result<(), String> {
        let mut ciphers = conf.copy(ciphers)?;
        let ssl = self.made()?;
        // SAFETY: the context has been made, and the text is in the pool of the configuration, with a NUL behind it.
        let code = unsafe { (self.functions.ngx_ssl_ciphers)(conf.raw(), ssl, &mut ciphers, 0) };
        self.done(code, "the ciphers are not known to the TLS library")
    }

    /// Shows this certificate, whose key is in another file.
    pub fn set_certificate(&self, conf: &Conf, certificate: &[u8], key: &[u8]) -> Result<(), String> {
        let (mut name, mut key) = (conf.copy(certificate)?, conf.copy(key)?);
        let (ssl, none) = (self.made()?, ptr::null_mut());
        // SAFETY: the context has been made, and the names are in the pool of the configuration, with a NUL behind them.
        let code = unsafe { (self.functions.ngx_ssl_certificate)(conf.raw(), ssl, &mut name, &mut key, none) };
        self.done(code, "the client certificate cannot be used")
    }

    /// Trusts the certificates in a file, and what they sign, over so many steps.
    pub fn trust(&self, conf: &Conf, certificates: &[u8], depth: isize) -> Result<(), String> {
        let mut name = conf.copy(certificates)?;
        let ssl = self.made()?;
        // SAFETY: the context has been made, and the name is in the pool of the configuration, with a NUL behind it.
        let code = unsafe { (self.functions.ngx_ssl_trusted_certificate)(conf.raw(), ssl, &mut name, depth) };
        self.done(code, "the trusted certificates cannot be read")
    }

    /// Trusts the certificates of the system, and what they sign, over so many steps.
    pub fn trust_system(&self, depth: isize) -> Result<(), String> {
        // SAFETY: `new` has had nginx make it.
        let context = unsafe { (*self.made()?).ctx }.cast();
        // SAFETY: the context has been made.
        unsafe { (self.functions.SSL_CTX_set_verify_depth)(context, c_int::try_from(depth).unwrap_or(c_int::MAX)) };
        // SAFETY: the context has been made.
        match unsafe { (self.functions.SSL_CTX_set_default_verify_paths)(context) } {
            1 => Ok(()),
            _ => Err("the certificates that the system trusts cannot be read; name some by \
                      \"wasm_ssl_trusted_certificate\""
                .into()),
        }
    }

    /// nginx's structure, for functions that look at what it leads to.
    fn made(&self) -> Result<*mut ngx_ssl_t, String> {
        if self.has_ended.get() { Err("the configuration has gone".into()) } else { Ok(self.ssl.get()) }
    }

    /// No more connections go by it: the configuration whose files it has read goes, and with that a list of certificates that nginx
    /// (since 1.27) keeps in the configuration's pool. Connections that go by it have a use of the library's context, and go on.
    pub fn end(&self) {
        if !self.has_ended.replace(true) && !executor::is_over() {
            // SAFETY: the context was made by `ngx_ssl_create`, and what it leads to is looked at no more after this.
            unsafe { (self.functions.ngx_ssl_cleanup_ctx)(self.ssl.get().cast()) };
        }
    }

    fn done(&self, code: ngx_int_t, what: &str) -> Result<(), String> {
        if code == rc::OK { Ok(()) } else { Err(said(what, &self.words)) }
    }
}

/// What has failed, and why in nginx's words: it writes what goes wrong to the log of the configuration, or to this one.
fn said(what: &str, words: &Words) -> String {
    words.take().map_or_else(|| what.to_owned(), |words| format!("{what}: {words}"))
}

impl Drop for Context {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a handshake goes.
pub enum Handshake {
    Done,
    /// It goes on with the next event of the connection.
    Pending,
    Failed,
}

impl<T: Heard> OwnConnection<T> {
    /// Has TLS begin with the next bytes. `host` is who should be at the other end, unless that has no name; `protocols` are those
    /// that are welcome, each with its length before it. The answer is why that cannot be; nothing when it is in the words of the
    /// connection.
    pub fn begin_tls(&self, context: Rc<Context>, host: Option<&str>, protocols: &[u8]) -> Result<(), Option<String>> {
        let functions = context.functions;
        if self.tls().is_some() {
            return Err(Some("the connection has TLS already".into()));
        }
        let c = self.get().ok_or_else(|| Some("the connection has been closed".to_owned()))?.as_ptr();
        let (ssl, flags) = (context.made().map_err(Some)?, (NGX_SSL_BUFFER | NGX_SSL_CLIENT) as ngx_uint_t);
        self.keep_tls(context);
        // SAFETY: the connection is open and has a pool, and keeps the context.
        if unsafe { (functions.ngx_ssl_create_connection)(ssl, c, flags) } != rc::OK {
            return Err(None);
        }
        let ssl = self.library().ok_or(None)?;
        if let Some(host) = host {
            let name = CString::new(host).map_err(|_| Some("a host name with a NUL in it".to_owned()))?;
            // SAFETY: it is a connection of the library, which copies the name.
            let set = unsafe { (functions.SSL_ctrl)(ssl, SET_HOST_NAME, 0, name.as_ptr().cast_mut().cast()) };
            if set != 1 {
                return Err(Some(format!("the TLS library refuses the host name \"{host}\"")));
            }
        }
        // SAFETY: it is a connection of the library, which copies the protocols.
        match unsafe { (functions.SSL_set_alpn_protos)(ssl, protocols.as_ptr(), protocols.len() as c_uint) } {
            0 => Ok(()),
            _ => Err(Some("the TLS library refuses the protocols".into())),
        }
    }

    /// Goes on with the handshake that [`OwnConnection::begin_tls`] has prepared.
    pub fn handshake(&self) -> Handshake {
        let (Some(c), Some(_), Ok(functions)) = (self.get(), self.library(), Functions::get()) else {
            return Handshake::Failed;
        };
        // SAFETY: the connection is open, and has TLS.
        let code = unsafe { (functions.ngx_ssl_handshake)(c.as_ptr()) };
        if code == rc::OK || code == rc::AGAIN {
            // Nginx puts handlers of its own in the place of ours, which lead to a callback; ours lead to who hears of it, which is
            // the same.
            self.take_events();
        }
        match code {
            rc::OK => Handshake::Done,
            rc::AGAIN => Handshake::Pending,
            _ => Handshake::Failed,
        }
    }

    /// Whether the other end is who it should be, once the handshake is done.
    pub fn verify(&self, host: &str, is_ip: bool) -> Result<(), String> {
        let functions = Functions::get()?;
        let (c, ssl) = self.get().zip(self.library()).ok_or("the connection has been closed")?;
        // SAFETY: it is a connection of the library.
        let result = unsafe { (functions.SSL_get_verify_result)(ssl) };
        if result != VERIFIED {
            // SAFETY: the library answers with a constant for every number.
            let reason = unsafe { CStr::from_ptr((functions.X509_verify_cert_error_string)(result)) };
            return Err(format!("the certificate is not valid: {} ({result})", reason.to_string_lossy()));
        }
        let certificate = peer_certificate(ssl).ok_or("the other end has no certificate")?.as_ptr();
        let is_right = if is_ip {
            // SAFETY: the certificate is there, and the address ends with NUL.
            CString::new(host)
                .is_ok_and(|ip| unsafe { (functions.X509_check_ip_asc)(certificate, ip.as_ptr(), 0) } == 1)
        } else {
            let mut name = ngx_str_t { len: host.len(), data: host.as_ptr().cast_mut() };
            // SAFETY: the connection is open, and has its handshake behind it. The name is only read.
            unsafe { (functions.ngx_ssl_check_host)(c.as_ptr(), &mut name) == rc::OK }
        };
        // SAFETY: the certificate is a reference that must be given back.
        unsafe { (functions.X509_free)(certificate) };
        if is_right { Ok(()) } else { Err(format!("the certificate is not for \"{host}\"")) }
    }

    /// Whether the other end has chosen this protocol.
    pub fn has_chosen(&self, protocol: &[u8]) -> bool {
        let (Some(ssl), Ok(functions)) = (self.library(), Functions::get()) else { return false };
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: it is a connection of the library, which gives a pointer into it, or null.
        unsafe { (functions.SSL_get0_alpn_selected)(ssl, &mut data, &mut len) };
        // SAFETY: there are so many bytes, and nothing happens to the connection meanwhile.
        !data.is_null() && unsafe { std::slice::from_raw_parts(data, len as usize) } == protocol
    }
}

impl<T> OwnConnection<T> {
    /// Nginx's structure for TLS of a connection that has it.
    fn tls(&self) -> Option<NonNull<ngx_ssl_connection_t>> {
        let c = self.get()?;
        // SAFETY: the connection is open.
        NonNull::new(unsafe { (*c.as_ptr()).ssl })
    }

    /// The library's.
    fn library(&self) -> Option<*mut c_void> {
        let tls = self.tls()?;
        // SAFETY: nginx's structure is there as long as the connection has TLS, with the library's in it.
        let ssl = unsafe { tls.as_ref() }.connection.cast::<c_void>();
        (!ssl.is_null()).then_some(ssl)
    }
}

/// The certificate of the other end: a reference that must be given back. The function's name changed in OpenSSL 3.
fn peer_certificate(ssl: *mut c_void) -> Option<NonNull<c_void>> {
    type Get = unsafe extern "C" fn(*const c_void) -> *mut c_void;
    let names = [c"SSL_get1_peer_certificate", c"SSL_get_peer_certificate"];
    let found = names.into_iter().find_map(symbols::find)?;
    // SAFETY: both functions have this type (SSL_get_peer_certificate(3)).
    let get = unsafe { std::mem::transmute::<NonNull<c_void>, Get>(found) };
    // SAFETY: the callers pass a connection of the library.
    NonNull::new(unsafe { get(ssl) })
}

/// Says goodbye to the other end of a connection that has TLS, as far as that needs no waiting. Told not to wait and not to send,
/// nginx frees its structure at once.
pub(super) fn shut_down<T>(own: &OwnConnection<T>) {
    let (Some(c), Some(mut tls), Ok(functions)) = (own.get(), own.tls(), Functions::get()) else { return };
    // SAFETY: nginx's structure is there, and nobody else has it.
    unsafe { tls.as_mut() }.set_no_wait_shutdown(1);
    // SAFETY: the connection is open, and has TLS.
    if unsafe { (functions.ngx_ssl_shutdown)(c.as_ptr()) } != rc::AGAIN {
        return;
    }
    let Some(mut tls) = own.tls() else { return };
    // SAFETY: nginx has left its structure, and nobody else has it.
    unsafe { tls.as_mut() }.set_no_send_shutdown(1);
    // SAFETY: the connection is open, and has TLS still.
    unsafe { (functions.ngx_ssl_shutdown)(c.as_ptr()) };
}
