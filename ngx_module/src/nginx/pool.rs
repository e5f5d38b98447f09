//! Memory that lives as long as a pool of nginx.

use std::ffi::c_void;
use std::ptr;

use nginx_sys::{ngx_palloc, ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t, ngx_str_t};

use crate::nginx::guard::guard;

/// Moves `value` into the pool, and drops it when the pool is destroyed. `None` when there is no memory.
///
/// # Safety
/// `pool` is a live pool, and nobody uses the value after the pool has gone.
pub unsafe fn own<T>(pool: *mut ngx_pool_t, value: T) -> Option<*mut T> {
    const { assert!(align_of::<T>() <= nginx_sys::NGX_ALIGNMENT) };
    // SAFETY: ngx_palloc aligns to NGX_ALIGNMENT; the cleanup is added before the value is there, and set only after it.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(pool, 0);
        if cleanup.is_null() {
            return None;
        }
        let place = ngx_palloc(pool, size_of::<T>()).cast::<T>();
        if place.is_null() {
            return None;
        }
        place.write(value);
        (*cleanup).data = place.cast();
        (*cleanup).handler = Some(drop_value::<T>);
        Some(place)
    }
}

/// The value of type `T` that [`own`] put into the pool, and that is the one wanted.
///
/// # Safety
/// `pool` is a live pool.
pub unsafe fn find<T>(pool: *mut ngx_pool_t, is_wanted: impl Fn(&T) -> bool) -> Option<*mut T> {
    // SAFETY: the list of cleanups ends with null, and ours carry a T.
    unsafe {
        let mut cleanup = (*pool).cleanup;
        while !cleanup.is_null() {
            if let Some(handler) = (*cleanup).handler {
                let value = (*cleanup).data.cast::<T>();
                let is_ours = ptr::fn_addr_eq(handler, drop_value::<T> as unsafe extern "C" fn(*mut c_void));
                if is_ours && is_wanted(&*value) {
                    return Some(value);
                }
            }
            cleanup = (*cleanup).next;
        }
    }
    None
}

/// A copy of `bytes` in the pool.
///
/// # Safety
/// `pool` is a live pool.
pub unsafe fn copy(pool: *mut ngx_pool_t, bytes: &[u8]) -> Option<ngx_str_t> {
    // SAFETY: there is room for all bytes, and one more: nginx likes to read a NUL behind a string.
    unsafe {
        let data = ngx_pnalloc(pool, bytes.len() + 1).cast::<u8>();
        if data.is_null() {
            return None;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
        data.add(bytes.len()).write(0);
        Some(ngx_str_t { len: bytes.len(), data })
    }
}

unsafe extern "C" fn drop_value<T>(data: *mut c_void) {
    // SAFETY: nginx calls a cleanup once, with the pointer that `own` gave it.
    guard((), || unsafe { ptr::drop_in_place(data.cast::<T>()) });
}
