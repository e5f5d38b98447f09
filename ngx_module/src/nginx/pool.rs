//! Memory that lives as long as a pool of nginx: [`Pool`], the safe way to it, and functions over its raw pointer.

use std::any::TypeId;
use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use nginx_sys::{ngx_palloc, ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t, ngx_str_t};

use crate::nginx::guard::guard;

/// A pool that is there as long as `'p`.
#[derive(Clone, Copy)]
pub struct Pool<'p>(NonNull<ngx_pool_t>, PhantomData<&'p Cell<()>>);

/// A value in a pool. Only what lives in the same pool, or not longer, may hold one.
pub struct Kept<T>(NonNull<T>);

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kept<T> {}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the holder does not outlive the pool, whose cleanup drops the value; it is only shared.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Kept<T> {
    /// The value, for as long as its pool is there.
    pub fn in_pool<'p>(self, _: Pool<'p>) -> &'p T {
        // SAFETY: as in `deref`.
        unsafe { self.0.as_ref() }
    }

    /// The address, for nginx to keep.
    pub fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }

    /// What an address leads to that [`Kept::as_ptr`] gave.
    ///
    /// # Safety
    /// The pool is there.
    pub unsafe fn from_ptr(value: *mut T) -> Option<Kept<T>> {
        NonNull::new(value).map(Kept)
    }
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `pool` is a live pool, and stays so for `'p`.
    pub unsafe fn from_ptr(pool: *mut ngx_pool_t) -> Pool<'p> {
        // SAFETY: a live pool is not null.
        Pool(unsafe { NonNull::new_unchecked(pool) }, PhantomData)
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_pool_t {
        self.0.as_ptr()
    }

    /// As [`own`].
    pub fn own<T: 'static>(self, value: T) -> Option<Kept<T>> {
        // SAFETY: the pool is there.
        unsafe { own(self.as_ptr(), value) }.and_then(NonNull::new).map(Kept)
    }

    /// As [`own`], of a value that `make` makes there.
    #[inline]
    pub fn own_made<T: 'static>(self, make: impl FnOnce() -> T) -> Option<Kept<T>> {
        // SAFETY: the pool is there, and stays so for the handle's life.
        unsafe { own_made(self.as_ptr(), make) }.and_then(NonNull::new).map(Kept)
    }

    /// As [`find`].
    pub fn find<T: 'static>(self, is_wanted: impl Fn(&T) -> bool) -> Option<Kept<T>> {
        // SAFETY: the pool is there.
        unsafe { find(self.as_ptr(), is_wanted) }.and_then(NonNull::new).map(Kept)
    }

    /// As [`copy`].
    pub fn copy(self, bytes: &[u8]) -> Option<ngx_str_t> {
        // SAFETY: the pool is there.
        unsafe { copy(self.as_ptr(), bytes) }
    }
}

/// Moves `value` into the pool, and drops it when the pool is destroyed. `None` when there is no memory.
///
/// # Safety
/// `pool` is a live pool, and nobody uses the value after the pool has gone.
pub unsafe fn own<T: 'static>(pool: *mut ngx_pool_t, value: T) -> Option<*mut T> {
    // SAFETY: the pool is live.
    unsafe { own_made(pool, || value) }
}

/// As [`own`], of a value that is made in its place: a large one is not moved there.
///
/// # Safety
/// As [`own`]. `make` destroys no pool.
#[inline]
unsafe fn own_made<T: 'static>(pool: *mut ngx_pool_t, make: impl FnOnce() -> T) -> Option<*mut T> {
    const { assert!(align_of::<Held<T>>() <= nginx_sys::NGX_ALIGNMENT) };
    // SAFETY: ngx_palloc aligns to NGX_ALIGNMENT; the cleanup is added before the value is there, and set only after it.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(pool, 0);
        if cleanup.is_null() {
            return None;
        }
        let place = ngx_palloc(pool, size_of::<Held<T>>()).cast::<Held<T>>();
        if place.is_null() {
            return None;
        }
        (&raw mut (*place).kind).write(TypeId::of::<T>());
        (&raw mut (*place).value).write(make());
        (*cleanup).data = place.cast();
        (*cleanup).handler = Some(drop_value::<T>);
        Some(&raw mut (*place).value)
    }
}

/// The value of type `T` that [`own`] put into the pool, and that is the one wanted.
///
/// # Safety
/// `pool` is a live pool.
pub unsafe fn find<T: 'static>(pool: *mut ngx_pool_t, is_wanted: impl Fn(&T) -> bool) -> Option<*mut T> {
    // SAFETY: the list of cleanups ends with null, and ours carry a T, or another type whose function is the same: then that
    // is said first in both.
    unsafe {
        let mut cleanup = (*pool).cleanup;
        while !cleanup.is_null() {
            if let Some(handler) = (*cleanup).handler {
                let held = (*cleanup).data.cast::<Held<T>>();
                let is_ours = ptr::fn_addr_eq(handler, drop_value::<T> as unsafe extern "C" fn(*mut c_void));
                if is_ours && (*held).kind == TypeId::of::<T>() && is_wanted(&(*held).value) {
                    return Some(&raw mut (*held).value);
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

/// A value in a pool. The compiler makes one function of those that do the same, so the function that drops a value does not say
/// which type it has.
#[repr(C)]
struct Held<T> {
    kind: TypeId,
    value: T,
}

unsafe extern "C" fn drop_value<T>(data: *mut c_void) {
    // SAFETY: nginx calls a cleanup once, with the pointer that `own` gave it.
    guard((), || unsafe { ptr::drop_in_place(data.cast::<Held<T>>()) });
}
