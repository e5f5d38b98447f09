//! Lines in nginx's error log: [`Log`], the safe way to one, and functions over its raw pointer.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use nginx_sys::{
    NGX_LOG_CRIT, NGX_LOG_DEBUG, NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_WARN, ngx_http_log_ctx_t, ngx_log_error_core,
    ngx_log_t, ngx_uint_t,
};
use ngx_wasm::proxy_wasm::LogLevel;

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

    /// As [`write`].
    pub fn write(self, level: u32, message: impl AsRef<[u8]>) {
        // SAFETY: the log is there.
        unsafe { write(level, self.as_ptr(), message) }
    }

    /// A line at level `error`.
    pub fn error(self, message: impl AsRef<[u8]>) {
        self.write(NGX_LOG_ERR, message);
    }

    /// As [`wants`].
    pub fn wants(self, level: LogLevel) -> bool {
        // SAFETY: the log is there.
        unsafe { wants(level, self.as_ptr()) }
    }

    /// As [`guest`].
    pub fn guest(self, level: LogLevel, filter: &[u8], message: &[u8]) {
        // SAFETY: the log is there.
        unsafe { guest(level, self.as_ptr(), filter, message) }
    }

    /// As [`lowest`].
    pub fn lowest(self) -> LogLevel {
        // SAFETY: the log is there.
        unsafe { lowest(self.as_ptr()) }
    }
}

/// Writes `message` at one of nginx's levels, when the log wants it.
///
/// # Safety
/// `log` is a log of nginx.
pub unsafe fn write(level: u32, log: *mut ngx_log_t, message: impl AsRef<[u8]>) {
    // SAFETY: see above; "%*s" takes a size and a pointer (src/core/ngx_string.c, ngx_vslprintf).
    unsafe {
        if (*log).log_level < level as ngx_uint_t {
            return;
        }
        let message = message.as_ref();
        ngx_log_error_core(level as ngx_uint_t, log, 0, c"%*s".as_ptr(), message.len(), message.as_ptr());
    }
}

/// Whether `log` writes messages of guests at this level.
///
/// # Safety
/// `log` is a log of nginx.
pub unsafe fn wants(level: LogLevel, log: *const ngx_log_t) -> bool {
    // SAFETY: see above.
    unsafe { (*log).log_level >= nginx_level(level) as ngx_uint_t }
}

/// Writes a message of a guest, with the name of its filter before it. Control characters are shown, not written, so that
/// a guest cannot forge entries.
///
/// # Safety
/// `log` is a log of nginx.
pub unsafe fn guest(level: LogLevel, log: *mut ngx_log_t, filter: &[u8], message: &[u8]) {
    // SAFETY: see above.
    if !unsafe { wants(level, log) } {
        return;
    }
    let level = nginx_level(level);
    // Nginx cuts an entry at NGX_MAX_ERROR_STR, so there is no use in looking at more.
    let message = &message[..message.len().min(nginx_sys::NGX_MAX_ERROR_STR as usize)];
    let mut line = Vec::with_capacity(filter.len() + message.len() + 16);
    line.extend_from_slice(b"wasm \"");
    line.extend_from_slice(filter);
    line.extend_from_slice(b"\": ");
    for byte in message {
        push_printable(&mut line, *byte);
    }
    // SAFETY: see above.
    unsafe { write(level, log, line) }
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

/// The lowest level of the ABI that `log` writes.
///
/// # Safety
/// `log` is a log of nginx.
pub unsafe fn lowest(log: *const ngx_log_t) -> LogLevel {
    // SAFETY: see above.
    let level = unsafe { (*log).log_level };
    [LogLevel::Trace, LogLevel::Info, LogLevel::Warn, LogLevel::Error]
        .into_iter()
        .find(|candidate| level >= nginx_level(*candidate) as ngx_uint_t)
        .unwrap_or(LogLevel::Critical)
}
