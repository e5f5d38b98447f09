//! Bodies of requests in files, as nginx makes them when it reads a body (src/http/ngx_http_request_body.c,
//! ngx_http_write_request_body).

use std::ptr::NonNull;

use nginx_sys::{ngx_create_temp_file, ngx_file_t, ngx_temp_file_t, ngx_uint_t, ngx_write_chain_to_temp_file, off_t};

use super::chain::{Buf, Chain};
use super::location;
use super::rc;
use super::request::HttpRequest;

/// The body could not be written; nginx has logged why.
pub struct Unwritten;

/// A temporary file, in the pool of a request.
struct TempFile(NonNull<ngx_temp_file_t>);

/// Puts a body into a file, in the place of what nginx has of it. The chain has bytes in memory, or is empty.
pub fn write(r: HttpRequest<'_>, chain: Chain) -> Result<(), Unwritten> {
    let body = r.request_body().ok_or(Unwritten)?;
    let file = TempFile::new(r).ok_or(Unwritten)?;
    let buf = Buf::new(r.pool()).ok_or(Unwritten)?;
    let whole = Chain::of_buf(r.pool(), buf).ok_or(Unwritten)?;
    body.set_bufs(Chain::EMPTY);
    // SAFETY: the file lies in the pool of the request, as its body does.
    unsafe { (*body.as_ptr()).temp_file = file.0.as_ptr() };
    if chain.is_empty() {
        return file.create();
    }
    let end = file.append(chain)?;
    buf.set_in_file(true);
    buf.set_last(true);
    // SAFETY: the buffer is this function's; its file is so long, and lies in the same pool.
    let lead = unsafe { &mut *buf.as_ptr() };
    (lead.file, lead.file_last) = (file.inner(), end);
    body.set_bufs(whole);
    Ok(())
}

impl TempFile {
    /// One that has not been created, with what the request says of its body's file.
    fn new(r: HttpRequest<'_>) -> Option<TempFile> {
        // Zeros are the defaults of all fields.
        let temp = r.pool().zeroed::<ngx_temp_file_t>()?;
        temp.file.fd = -1;
        temp.file.log = r.log().as_ptr();
        temp.path = location::body_temp_path(r)?.as_ptr();
        temp.pool = r.pool().as_ptr();
        temp.warn = c"a client request body is buffered to a temporary file".as_ptr().cast_mut().cast();
        temp.set_log_level(r.body_file_log_level());
        temp.set_persistent(r.is_body_in_persistent_file().into());
        temp.set_clean(r.is_body_in_clean_file().into());
        if r.is_body_file_group_access() {
            temp.access = 0o660;
        }
        Some(TempFile(temp.into()))
    }

    fn inner(&self) -> *mut ngx_file_t {
        // SAFETY: the file is there as long as its pool.
        unsafe { &raw mut (*self.0.as_ptr()).file }
    }

    /// Creates it, without bytes.
    fn create(&self) -> Result<(), Unwritten> {
        // SAFETY: the file is there as long as its pool. The fields are copied.
        let temp = unsafe { *self.0.as_ptr() };
        let (persistent, clean) = (temp.persistent() as ngx_uint_t, temp.clean() as ngx_uint_t);
        // SAFETY: the path and the pool are those of a live request.
        let code = unsafe { ngx_create_temp_file(self.inner(), temp.path, temp.pool, persistent, clean, temp.access) };
        if code == rc::OK { Ok(()) } else { Err(Unwritten) }
    }

    /// Writes a chain at the end, which is the result. The file is created when it is not there.
    fn append(&self, chain: Chain) -> Result<off_t, Unwritten> {
        if chain.bufs().any(|buf| buf.len() > 0 && !buf.is_in_memory()) {
            return Err(Unwritten);
        }
        // SAFETY: nginx takes bytes of buffers in memory, and these are.
        let written = unsafe { ngx_write_chain_to_temp_file(self.0.as_ptr(), chain.as_ptr()) };
        if written < 0 {
            return Err(Unwritten);
        }
        // SAFETY: the file is there as long as its pool, and nobody has a reference to it.
        let offset = unsafe { &mut (*self.0.as_ptr()).offset };
        *offset += written as off_t;
        Ok(*offset)
    }
}
