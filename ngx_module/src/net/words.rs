//! What nginx says about a connection. Its functions answer NGX_ERROR and write the reason to the connection's log; a log
//! of this kind keeps it, so that the call that failed can say it in one line.

use std::cell::RefCell;

use nginx_sys::{NGX_LOG_INFO, ngx_log_t, ngx_uint_t, u_char};

use crate::nginx::guard::guard;

/// A log that keeps the last message.
pub struct Words {
    log: ngx_log_t,
    last: RefCell<Option<String>>,
}

impl Words {
    /// In a box, since nginx keeps a pointer to the log.
    pub fn new() -> Box<Words> {
        // SAFETY: a log of zeros is one without a file, a handler, and a next one.
        let mut log = unsafe { std::mem::zeroed::<ngx_log_t>() };
        log.log_level = NGX_LOG_INFO as ngx_uint_t;
        log.writer = Some(keep);
        let mut words = Box::new(Words { log, last: RefCell::new(None) });
        words.log.wdata = std::ptr::from_mut(words.as_mut()).cast();
        words
    }

    /// The log, for as long as the box is there.
    pub fn log(&self) -> *mut ngx_log_t {
        (&raw const self.log).cast_mut()
    }

    /// The last message, without time, level and process.
    pub fn take(&self) -> Option<String> {
        self.last.take()
    }
}

/// Nginx calls this with a whole line (src/core/ngx_log.c, ngx_log_error_core).
unsafe extern "C" fn keep(log: *mut ngx_log_t, _: ngx_uint_t, line: *mut u_char, len: usize) {
    // SAFETY: the log's data is the box that it is in.
    guard((), || unsafe {
        let words = &*(*log).wdata.cast::<Words>();
        let line = String::from_utf8_lossy(std::slice::from_raw_parts(line, len));
        // "2026/01/31 12:00:00 [info] 17#17: message"
        let message =
            line.split_once("] ").and_then(|(_, rest)| rest.split_once(": ")).map_or(&*line, |(_, rest)| rest);
        words.last.replace(Some(message.trim_end().to_owned()));
    });
}
