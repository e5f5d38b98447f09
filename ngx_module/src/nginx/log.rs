//! Lines in nginx's error log.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{
    NGX_LOG_CRIT, NGX_LOG_DEBUG, NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_WARN, ngx_http_log_ctx_t, ngx_log_error_core,
    ngx_log_stderr, ngx_log_t, ngx_quiet_mode, ngx_uint_t,
};
use ngx_wasm::proxy_wasm::LogLevel;

use super::bits::fields;
use super::request::HttpRequest;

/// The longest message, so that what nginx adds behind it still has room.
pub const LONGEST: usize = 1400;

/// A log that is there as long as `'l`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Log<'l>(NonNull<ngx_log_t>, PhantomData<&'l Cell<()>>);

impl<'l> Log<'l> {
    /// # Safety
    /// `log` is a log of nginx, and stays so for the handle's life.
    pub unsafe fn from_ptr(log: *mut ngx_log_t) -> Self {
        // SAFETY: a log is not null.
        Log(unsafe { NonNull::new_unchecked(log) }, PhantomData)
    }

    /// The log of a request's connection, which names client and request behind each line. Its subrequests share it, so it is told
    /// of which one to speak.
    pub fn of_request(r: HttpRequest<'l>) -> Log<'l> {
        let log = r.log();
        if !r.is_made_up() {
            // SAFETY: the log of a connection with a request of a client has this data, or none yet
            // (src/http/ngx_http_request.h, ngx_http_set_log_request).
            if let Some(data) = unsafe { (*log.as_ptr()).data.cast::<ngx_http_log_ctx_t>().as_mut() } {
                data.current_request = r.as_ptr();
            }
        }
        log
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_log_t {
        self.0.as_ptr()
    }

    fields! {
        get level: ngx_uint_t = log_level;
    }

    /// Writes `message` at one of nginx's levels, when the log wants it.
    pub fn write(self, level: u32, message: impl AsRef<[u8]>) {
        if self.wants(level) {
            let (level, message) = (level as ngx_uint_t, message.as_ref());
            let (len, data) = (message.len(), message.as_ptr());
            // SAFETY: the log is there; "%*s" takes a size and a pointer (src/core/ngx_string.c, ngx_vslprintf).
            unsafe { ngx_log_error_core(level, self.as_ptr(), 0, c"%*s".as_ptr(), len, data) };
        }
    }

    /// A line at level `error`.
    pub fn error(self, message: impl AsRef<[u8]>) {
        self.write(NGX_LOG_ERR, message);
    }

    /// Whether it writes lines at one of nginx's levels.
    pub fn wants(self, level: u32) -> bool {
        self.level() >= level as ngx_uint_t
    }

    /// Writes a message of a guest, with `before` before it. Control characters are shown, not written, so that a guest cannot forge
    /// entries.
    pub fn guest(self, level: u32, before: &[&[u8]], message: &[u8]) {
        // Nginx cuts an entry at NGX_MAX_ERROR_STR, so there is no use in looking at more.
        let message = &message[..message.len().min(nginx_sys::NGX_MAX_ERROR_STR as usize)];
        let mut line = Vec::with_capacity(message.len() + 64);
        before.iter().for_each(|part| line.extend_from_slice(part));
        for byte in message {
            push_printable(&mut line, *byte);
        }
        self.write(level, line);
    }
}

/// Tells whoever has started `nginx -t` something that is no mistake, as nginx tells the outcome: on the terminal, unless it is to be
/// quiet (`-q`).
pub fn tell_terminal(text: &str) {
    // SAFETY: nginx sets the variable before it reads a configuration.
    if unsafe { ngx_quiet_mode } != 0 {
        return;
    }
    let text = printable(text);
    let (len, data) = (text.len(), text.as_ptr());
    // SAFETY: "%*s" takes a size and a pointer (src/core/ngx_string.c, ngx_vslprintf).
    unsafe { ngx_log_stderr(0, c"%*s".as_ptr(), len, data) };
}

/// A text of which a part came from a module, ready for the log: control characters are shown, and a long one is cut, so
/// that what nginx and the callers add behind it still has room.
pub fn printable(text: &str) -> String {
    let mut line = Vec::with_capacity(text.len().min(LONGEST) + 32);
    for byte in text.bytes() {
        if line.len() >= LONGEST {
            line.extend_from_slice(b"... (cut)");
            break;
        }
        push_printable(&mut line, byte);
    }
    // A character may have been cut in two.
    String::from_utf8_lossy(&line).into_owned()
}

fn push_printable(line: &mut Vec<u8>, byte: u8) {
    match byte {
        b'\t' | 0x20..=0x7e | 0x80.. => line.push(byte),
        b'\n' => line.extend_from_slice(b"\\n"),
        other => line.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
    }
}

/// Nginx's level for a level of the ABI. Trace and debug are both nginx's debug.
pub fn nginx_level(level: LogLevel) -> u32 {
    match level {
        LogLevel::Trace | LogLevel::Debug => NGX_LOG_DEBUG,
        LogLevel::Info => NGX_LOG_INFO,
        LogLevel::Warn => NGX_LOG_WARN,
        LogLevel::Error => NGX_LOG_ERR,
        LogLevel::Critical => NGX_LOG_CRIT,
    }
}
