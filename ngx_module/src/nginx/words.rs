//! What nginx says about a connection. Its functions answer NGX_ERROR and write the reason to the connection's log; a log
//! of this kind keeps it, so that the call that failed can say it in one line.

use std::cell::{RefCell, UnsafeCell};

use nginx_sys::{NGX_LOG_INFO, ngx_log_t, ngx_uint_t, u_char};

use super::guard::guard;
use super::log::Log;
use super::plain::Plain;

/// A log that keeps the last message.
pub struct Words {
    log: UnsafeCell<ngx_log_t>,
    last: RefCell<Option<String>>,
}

impl Words {
    /// In a box, since nginx keeps a pointer to the log.
    pub fn new() -> Box<Words> {
        let mut log = ngx_log_t::zeros();
        log.log_level = NGX_LOG_INFO as ngx_uint_t;
        log.writer = Some(keep);
        let mut words = Box::new(Words { log: UnsafeCell::new(log), last: RefCell::new(None) });
        let data = std::ptr::from_mut(words.as_mut());
        words.log.get_mut().wdata = data.cast();
        words
    }

    /// The log, for as long as the box is there.
    pub fn log(&self) -> Log<'_> {
        // SAFETY: a log without a file, a handler, and a next one, with a function that writes.
        unsafe { Log::from_ptr(self.log.get()) }
    }

    /// The last message, without time, level and process.
    pub fn take(&self) -> Option<String> {
        self.last.take()
    }
}

/// Nginx calls this with a whole line (src/core/ngx_log.c, ngx_log_error_core).
unsafe extern "C" fn keep(log: *mut ngx_log_t, _: ngx_uint_t, line: *mut u_char, len: usize) {
    guard((), || {
        // SAFETY: the log's data is the box that it is in.
        let words = unsafe { &*(*log).wdata.cast::<Words>() };
        // SAFETY: a line has so many bytes.
        let line = String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(line, len) });
        // "2026/01/31 12:00:00 [info] 17#17: message"
        let message =
            line.split_once("] ").and_then(|(_, rest)| rest.split_once(": ")).map_or(&*line, |(_, rest)| rest);
        words.last.replace(Some(message.trim_end().to_owned()));
    });
}
