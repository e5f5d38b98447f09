//! What ends a callback. These deeds of nginx may free the request, and with it all that this module keeps of it, or run other
//! code of this module for it; so code that has handles of it does not do them, but returns them, and the callback does them when
//! nobody has a handle any more.

use nginx_sys::{ngx_http_core_run_phases, ngx_http_event_handler_pt, ngx_http_finalize_request, ngx_int_t};

use super::request::HttpRequest;

/// A deed that ends a callback about a request.
#[must_use]
pub enum After<'r> {
    Nothing,
    /// Ends the request, or this use of it, with a code (src/http/ngx_http_request.c, ngx_http_finalize_request).
    Finalize(HttpRequest<'r>, ngx_int_t),
    /// Has the request go on with the phase that it is in.
    RunPhases(HttpRequest<'r>),
    /// Calls who waits for the client to take more.
    CallWriter(HttpRequest<'r>),
    /// Calls a handler that nginx had for the request, and that something of this module was called in the place of.
    Call(HttpRequest<'r>, ngx_http_event_handler_pt),
    /// Calls who waits for the client to send.
    CallReader(HttpRequest<'r>),
}

impl After<'_> {
    /// Does it.
    ///
    /// # Safety
    /// Nobody uses a handle of the request, or of what lies in its pool, after this.
    pub unsafe fn run(self) {
        let (r, handler) = match self {
            After::Nothing => return,
            // SAFETY: the request is live until this.
            After::Finalize(r, code) => return unsafe { ngx_http_finalize_request(r.as_ptr(), code) },
            After::RunPhases(r) => (r, Some(ngx_http_core_run_phases as _)),
            After::Call(r, handler) => (r, handler),
            After::CallReader(r) => (r, r.read_event_handler()),
            After::CallWriter(r) => (r, r.write_event_handler()),
        };
        if let Some(handler) = handler {
            // SAFETY: the request is live until this, and nginx has taken the handler for one of requests.
            unsafe { handler(r.as_ptr()) };
        }
    }
}
