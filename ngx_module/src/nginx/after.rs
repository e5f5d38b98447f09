//! What ends a callback. These deeds of nginx may free the request, and with it all that this module keeps of it, or run other
//! code of this module for it; so code that has handles of it does not do them, but returns them, and the callback does them when
//! nobody has a handle any more.

use nginx_sys::{
    NGX_HTTP_GET, ngx_http_core_get_method, ngx_http_core_run_phases, ngx_http_event_handler_pt,
    ngx_http_finalize_request, ngx_http_internal_redirect, ngx_int_t, ngx_str_t, ngx_uint_t,
};

use super::rc;
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
    /// Has the request go on in the location of another path, as one with GET (or HEAD), and ends this use of it.
    Redirect(HttpRequest<'r>, Redirect),
}

/// Where a request is redirected to, inside of nginx. The strings lie in its pool.
pub struct Redirect {
    uri: ngx_str_t,
    args: ngx_str_t,
}

impl Redirect {
    /// To this path, with its arguments. `None`: there is no memory.
    pub fn to(r: HttpRequest<'_>, path: &[u8]) -> Option<Redirect> {
        let (path, args) = match path.iter().position(|byte| *byte == b'?') {
            Some(end) => (&path[..end], &path[end + 1..]),
            None => (path, &b""[..]),
        };
        Some(Redirect { uri: r.pool().copy(path)?, args: r.pool().copy(args)? })
    }

    /// # Safety
    /// As [`After::run`].
    unsafe fn run(mut self, r: HttpRequest<'_>) {
        if !r.is_head() {
            r.set_method(NGX_HTTP_GET as ngx_uint_t);
            // SAFETY: the request is live, and nginx's own word for the method does not change.
            unsafe { (*r.as_ptr()).method_name = ngx_http_core_get_method };
        }
        r.forget_body();
        // SAFETY: the request is live until this; the strings lie in its pool.
        unsafe { ngx_http_internal_redirect(r.as_ptr(), &raw mut self.uri, &raw mut self.args) };
        // SAFETY: the redirect has counted one more use (src/http/ngx_http_core_module.c, ngx_http_internal_redirect).
        unsafe { ngx_http_finalize_request(r.as_ptr(), rc::DONE) };
    }
}

impl After<'_> {
    /// Does it.
    ///
    /// # Safety
    /// Nobody uses a handle of the request, or of what lies in its pool, after this.
    pub unsafe fn run(self) {
        let (r, handler) = match self {
            After::Nothing => return,
            // SAFETY: nobody uses a handle behind this, as said above.
            After::Redirect(r, redirect) => return unsafe { redirect.run(r) },
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
