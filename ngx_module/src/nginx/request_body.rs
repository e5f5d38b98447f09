//! The body of a request as nginx keeps it, as a handle.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use nginx_sys::{
    ngx_chain_t, ngx_http_read_client_request_body, ngx_http_request_body_t, ngx_http_request_t, ngx_int_t,
    ngx_table_elt_t, ngx_temp_file_t, off_t,
};

use super::bits::{bits, fields};
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
        self.set_bufs_ptr(chain.as_ptr());
    }

    /// The buffer into which nginx reads.
    pub fn buf(self) -> Option<Buf> {
        // SAFETY: the body is live, and its buffer lies in the request's pool.
        unsafe { Buf::from_ptr((*self.as_ptr()).buf) }
    }

    fields! {
        /// How many bytes have come; only of HTTP/2 and later.
        pub get received: off_t = received;
        /// How many bytes nginx has not read; -1 while it does not know.
        pub get rest: off_t = rest;
        pub set set_rest: off_t = rest;
        set set_bufs_ptr: *mut ngx_chain_t = bufs;
        set set_temp_file: *mut ngx_temp_file_t = temp_file;
    }

    bits! {
        /// All of it has been kept, in memory or in the file.
        get is_last_saved: last_saved;
    }

    /// Does without its temporary file, which stays until the request ends.
    pub fn forget_file(self) {
        self.set_temp_file(ptr::null_mut());
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

    fields! {
        get content_length_line: *mut ngx_table_elt_t = headers_in.content_length;
        set set_own_request_body: *mut ngx_http_request_body_t = request_body;
    }

    /// It goes on as a request without a body, which has been read.
    pub fn forget_body(self) {
        self.set_body_length(0);
        self.set_body_chunked(false);
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).headers_in.content_length = ptr::null_mut() };
        if let Some(body) = self.request_body() {
            body.set_bufs(Chain::EMPTY);
        }
    }

    /// Whether the headers say how long the body is.
    pub fn has_content_length(self) -> bool {
        !self.content_length_line().is_null()
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
    let own = r.pool().zeroed::<ngx_http_request_body_t>()?;
    // SAFETY: the body is live, and what it leads to lies in the pool that both requests have.
    *own = unsafe { shared.0.read() };
    let own = RequestBody(own.into(), PhantomData);
    r.set_own_request_body(own.as_ptr());
    Some(own)
}

/// Has nginx read the body of a request, and call `on_read` when all of it is there: perhaps before this returns. It counts one more
/// use of the request meanwhile. Who calls this gives that back: with [`HttpRequest::drop_count`] when the body is there or does not
/// matter any more, with [`HttpRequest::release`] when it is to come (src/http/ngx_http_request_body.c). A code from 300 on is an
/// error, and nothing is to be given back then.
pub fn read(r: HttpRequest<'_>, on_read: unsafe extern "C" fn(*mut ngx_http_request_t)) -> ngx_int_t {
    // SAFETY: the request is live, and stays so: whoever calls this is counted.
    unsafe { ngx_http_read_client_request_body(r.as_ptr(), Some(on_read)) }
}

/// Has nginx read more of a body that is not read as a whole. A code from 300 on is an error
/// (src/http/ngx_http_request_body.c, ngx_http_read_unbuffered_request_body).
pub fn read_more(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: the request is live, and reading its body has begun.
    unsafe { nginx_sys::ngx_http_read_unbuffered_request_body(r.as_ptr()) }
}

/// Has nginx throw away the body that the client sends, or the rest of it. The result is for nginx.
pub fn discard(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: the request is live. It is not ended here, whatever has come (src/http/ngx_http_request_body.c,
    // ngx_http_discard_request_body).
    unsafe { nginx_sys::ngx_http_discard_request_body(r.as_ptr()) }
}
