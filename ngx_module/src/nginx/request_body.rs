//! The body of a request as nginx keeps it, as a handle.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use nginx_sys::{
    ngx_http_read_client_request_body, ngx_http_request_body_t, ngx_http_request_t, ngx_int_t, ngx_palloc, off_t,
};

use super::chain::{Buf, Chain};
use super::request::HttpRequest;

/// What nginx has of a body, and where the rest goes.
#[derive(Clone, Copy)]
pub struct RequestBody<'r>(NonNull<ngx_http_request_body_t>, PhantomData<&'r Cell<()>>);

impl RequestBody<'_> {
    /// # Safety
    /// `body` is null, or that of a request which is live for as long as the handle.
    pub(super) unsafe fn from_ptr(body: *mut ngx_http_request_body_t) -> Option<Self> {
        NonNull::new(body).map(|body| RequestBody(body, PhantomData))
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_http_request_body_t {
        self.0.as_ptr()
    }

    /// What is to be passed on.
    pub fn bufs(self) -> Chain {
        // SAFETY: the body is live, and its chain lies in the request's pool.
        unsafe { Chain::from_ptr((*self.as_ptr()).bufs) }
    }

    pub fn set_bufs(self, chain: Chain) {
        // SAFETY: the body is live.
        unsafe { (*self.as_ptr()).bufs = chain.as_ptr() }
    }

    /// The buffer into which nginx reads.
    pub fn buf(self) -> Option<Buf> {
        // SAFETY: the body is live, and its buffer lies in the request's pool.
        unsafe { Buf::from_ptr((*self.as_ptr()).buf) }
    }

    /// How many bytes have come; only of HTTP/2 and later.
    pub fn received(self) -> off_t {
        // SAFETY: the body is live.
        unsafe { (*self.as_ptr()).received }
    }

    /// How many bytes nginx has not read; -1 while it does not know.
    pub fn rest(self) -> off_t {
        // SAFETY: the body is live.
        unsafe { (*self.as_ptr()).rest }
    }

    /// All of it has been kept, in memory or in the file.
    pub fn is_last_saved(self) -> bool {
        // SAFETY: the body is live.
        unsafe { (*self.as_ptr()).last_saved() != 0 }
    }

    /// Does without its temporary file, which stays until the request ends.
    pub fn forget_file(self) {
        // SAFETY: the body is live.
        unsafe { (*self.as_ptr()).temp_file = ptr::null_mut() }
    }
}

impl HttpRequest<'_> {
    /// Whether the client sends the body in chunks, without its length.
    pub fn is_body_chunked(self) -> bool {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).headers_in.chunked() != 0 }
    }

    pub fn set_body_chunked(self, on: bool) {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).headers_in.set_chunked(on.into()) }
    }

    /// Whether the headers say how long the body is.
    pub fn has_content_length(self) -> bool {
        // SAFETY: the request is live.
        unsafe { !(*self.as_ptr()).headers_in.content_length.is_null() }
    }

    /// The level at which nginx logs that the body goes to a file.
    pub fn body_file_log_level(self) -> u32 {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).request_body_file_log_level() }
    }

    pub fn set_request_body_file_log_level(self, level: u32) {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).set_request_body_file_log_level(level) }
    }
}

/// Gives a subrequest, which shares what nginx has of a body with the main request, a structure of its own: what is changed in it
/// stays as it was for the main request. `None`: there is no body, or no memory.
pub fn own(r: HttpRequest<'_>) -> Option<RequestBody<'_>> {
    let shared = r.request_body()?;
    // SAFETY: the pool is there.
    let own = unsafe { ngx_palloc(r.pool().as_ptr(), size_of::<ngx_http_request_body_t>()) };
    let own = NonNull::new(own.cast::<ngx_http_request_body_t>())?;
    // SAFETY: there is room for it, and what it leads to lies in the pool that both requests have.
    unsafe { own.write(shared.0.read()) };
    // SAFETY: the request is live, and its own.
    unsafe { (*r.as_ptr()).request_body = own.as_ptr() };
    Some(RequestBody(own, PhantomData))
}

/// Has nginx read the body of a request, and call `on_read` when all of it is there: perhaps before this returns. It counts one more
/// use of the request meanwhile. Who calls this gives that back: with [`HttpRequest::drop_count`] when the body is there or does not
/// matter any more, with [`HttpRequest::release`] when it is to come (src/http/ngx_http_request_body.c). A code from 300 on is an
/// error, and nothing is to be given back then.
pub fn read(r: HttpRequest<'_>, on_read: unsafe extern "C" fn(*mut ngx_http_request_t)) -> ngx_int_t {
    // SAFETY: the request is live, and stays so: whoever calls this is counted.
    unsafe { ngx_http_read_client_request_body(r.as_ptr(), Some(on_read)) }
}

/// Has nginx throw away the body that the client sends, or the rest of it. The result is for nginx.
pub fn discard(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: the request is live. It is not ended here, whatever has come (src/http/ngx_http_request_body.c,
    // ngx_http_discard_request_body).
    unsafe { nginx_sys::ngx_http_discard_request_body(r.as_ptr()) }
}
