//! A place in a configuration file, for messages.

use std::fmt;

use nginx_sys::{ngx_conf_t, ngx_uint_t};

/// Where in the configuration something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfPosition {
    file: String,
    line: ngx_uint_t,
}

impl ConfPosition {
    /// The directive that nginx is reading.
    ///
    /// # Safety
    /// `cf` is what nginx passed to the handler of a directive.
    pub unsafe fn of(cf: *mut ngx_conf_t) -> ConfPosition {
        // SAFETY: a directive handler runs while a file, or the argument of -g, is read; both have this structure.
        let file = unsafe { (*cf).conf_file.as_ref() };
        match file.filter(|file| !file.file.name.is_empty()) {
            Some(file) => {
                ConfPosition { file: String::from_utf8_lossy(file.file.name.as_bytes()).into_owned(), line: file.line }
            }
            None => ConfPosition { file: "command line".into(), line: 0 },
        }
    }
}

/// In nginx's own form, "FILE:LINE".
impl fmt::Display for ConfPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
