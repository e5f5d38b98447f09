//! No panic crosses into nginx: every `extern "C"` function runs its body in [`guard`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use nginx_sys::NGX_LOG_ALERT;

use crate::nginx::cycle;

/// Runs `body`; a panic in it is logged as a bug of this module and becomes `otherwise`.
///
/// What `body` worked on stays as the panic left it. The callers' data are a request, which ends with an error then, or a
/// configuration, which is refused.
pub fn guard<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("unknown cause");
            // Nginx has set its cycle before it loads a module, to one whose log is usable.
            cycle::log().write(NGX_LOG_ALERT, format!("wasm: bug in the module, please report it: panic: {what}"));
            otherwise
        }
    }
}
