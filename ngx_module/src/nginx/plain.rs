//! Structures that are plain data: one of zeros is one of which nothing has been said yet, as memory of `ngx_pcalloc` is.

use nginx_sys::{
    ngx_array_t, ngx_buf_t, ngx_conf_t, ngx_connection_t, ngx_event_t, ngx_http_request_body_t, ngx_http_request_t,
    ngx_http_upstream_t, ngx_http_variable_value_t, ngx_list_part_t, ngx_log_t, ngx_peer_connection_t, ngx_table_elt_t,
    ngx_temp_file_t,
};

/// A structure of nginx or of the system, or a pointer.
///
/// # Safety
/// One of zeros is a value of the type, and needs no drop.
pub unsafe trait Plain: Sized {
    /// One of zeros.
    fn zeros() -> Self {
        // SAFETY: that is what the trait says.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        // SAFETY: a structure of C: numbers, bits, pointers and functions that may be null.
        unsafe impl Plain for $type {}
    )*};
}

plain!(
    ngx_http_request_body_t,
    ngx_array_t,
    ngx_buf_t,
    ngx_conf_t,
    ngx_connection_t,
    ngx_event_t,
    ngx_http_request_t,
    ngx_http_upstream_t
);
plain!(ngx_http_variable_value_t, ngx_list_part_t, ngx_log_t, ngx_peer_connection_t, ngx_table_elt_t, ngx_temp_file_t);
plain!(nginx_sys::ngx_http_compile_complex_value_t, nginx_sys::ngx_http_complex_value_t);
plain!(libc::Dl_info, libc::itimerval, libc::sigaction, libc::sigset_t);
plain!(libc::sockaddr_in, libc::sockaddr_in6, libc::sockaddr_storage, libc::sockaddr_un);
#[cfg(ngx_feature = "ssl")]
plain!(nginx_sys::ngx_ssl_t);

// SAFETY: a pointer of zeros is null.
unsafe impl<T> Plain for *mut T {}
