//! Memory that lives as long as a pool of nginx.

use std::any::TypeId;
use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use nginx_sys::{
    ngx_create_pool, ngx_destroy_pool, ngx_palloc, ngx_pcalloc, ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t,
    ngx_str_t,
};

use crate::nginx::executor;
use crate::nginx::guard::guard;
use crate::nginx::log::Log;
use crate::nginx::plain::Plain;

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
        // SAFETY: the pool's cleanup drops the value, and not before the pool goes.
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

    /// Moves `value` into the pool, and drops it when the pool is destroyed. `None` when there is no memory.
    pub fn own<T: 'static>(self, value: T) -> Option<Kept<T>> {
        self.own_made(|| value)
    }

    /// As [`Pool::own`], of a value that is made in its place: a large one is not moved there.
    #[inline]
    pub fn own_made<T: 'static>(self, make: impl FnOnce() -> T) -> Option<Kept<T>> {
        const { assert!(align_of::<Held<T>>() <= nginx_sys::NGX_ALIGNMENT) };
        // SAFETY: the pool is there; a cleanup without a handler is passed over.
        let mut cleanup = NonNull::new(unsafe { ngx_pool_cleanup_add(self.as_ptr(), 0) })?;
        // SAFETY: the pool is there.
        let place = unsafe { ngx_palloc(self.as_ptr(), size_of::<Held<T>>()) }.cast::<Held<T>>();
        if place.is_null() {
            return None;
        }
        // SAFETY: ngx_palloc has given room for both fields, aligned to NGX_ALIGNMENT.
        let (kind, value) = unsafe { (&raw mut (*place).kind, NonNull::new_unchecked(&raw mut (*place).value)) };
        // SAFETY: the room is this function's.
        unsafe { kind.write(TypeId::of::<T>()) };
        // SAFETY: the room is this function's.
        unsafe { value.write(make()) };
        // SAFETY: the cleanup is there as long as the pool, and nobody has a reference to it now.
        let cleanup = unsafe { cleanup.as_mut() };
        cleanup.data = place.cast();
        cleanup.handler = Some(drop_value::<T>);
        Some(Kept(value))
    }

    /// The value of type `T` that [`Pool::own`] put into the pool, and that is the one wanted.
    pub fn find<T: 'static>(self, is_wanted: impl Fn(&T) -> bool) -> Option<Kept<T>> {
        // SAFETY: the pool is there, and null ends its list of cleanups.
        let first = unsafe { (*self.as_ptr()).cleanup.as_ref() };
        // SAFETY: a cleanup is there as long as its pool, and so is the next one.
        let mut all = std::iter::successors(first, |cleanup| unsafe { cleanup.next.as_ref() });
        all.find_map(|cleanup| {
            let handler = cleanup.handler?;
            if !ptr::fn_addr_eq(handler, drop_value::<T> as unsafe extern "C" fn(*mut c_void)) {
                return None;
            }
            let held = NonNull::new(cleanup.data.cast::<Held<T>>())?;
            // SAFETY: ours carry a T, or another type whose function is the same: the kind is said first in both.
            if unsafe { (*held.as_ptr()).kind } != TypeId::of::<T>() {
                return None;
            }
            // SAFETY: a T it is.
            let kept = Kept(unsafe { NonNull::new_unchecked(&raw mut (*held.as_ptr()).value) });
            is_wanted(&kept).then_some(kept)
        })
    }

    /// A copy of `bytes` in the pool, with a NUL behind it: nginx likes to read one behind a string.
    pub fn copy(self, bytes: &[u8]) -> Option<ngx_str_t> {
        let data = self.bytes(bytes.len() + 1)?;
        let (text, end) = data.split_at_mut(bytes.len());
        text.write_copy_of_slice(bytes);
        end[0].write(0);
        Some(ngx_str_t { len: bytes.len(), data: data.as_mut_ptr().cast() })
    }

    /// Room for so many bytes, of which none has been written.
    pub fn bytes(self, len: usize) -> Option<&'p mut [MaybeUninit<u8>]> {
        // SAFETY: the pool is there.
        let data = unsafe { ngx_pnalloc(self.as_ptr(), len) }.cast::<MaybeUninit<u8>>();
        // SAFETY: it is room for so many bytes that nobody else has, as long as the pool.
        (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts_mut(data, len) })
    }

    /// A structure of zeros.
    pub fn zeroed<T: Plain>(self) -> Option<&'p mut T> {
        self.all_zeroed(1)?.first_mut()
    }

    /// So many structures of zeros, in a row.
    pub fn all_zeroed<T: Plain>(self, count: usize) -> Option<&'p mut [T]> {
        const { assert!(align_of::<T>() <= nginx_sys::NGX_ALIGNMENT) };
        let size = size_of::<T>().checked_mul(count)?;
        // SAFETY: the pool is there.
        let place = unsafe { ngx_pcalloc(self.as_ptr(), size.max(1)) }.cast::<T>();
        // SAFETY: ngx_pcalloc aligns to NGX_ALIGNMENT; it is zeroed room for so many that nobody else has, as long as the pool.
        (!place.is_null()).then(|| unsafe { std::slice::from_raw_parts_mut(place, count) })
    }
}

/// A pool of this module's own, which is destroyed when this is dropped.
pub struct OwnPool(NonNull<ngx_pool_t>);

impl OwnPool {
    /// With blocks of this size.
    ///
    /// # Safety
    /// The log is there as long as the pool.
    pub unsafe fn new(size: usize, log: Log<'_>) -> Option<OwnPool> {
        // SAFETY: the log is there, as said above.
        NonNull::new(unsafe { ngx_create_pool(size, log.as_ptr()) }).map(OwnPool)
    }

    pub fn get(&self) -> Pool<'_> {
        Pool(self.0, PhantomData)
    }

    /// Gives it another log.
    ///
    /// # Safety
    /// The log is there as long as the pool, or until there is another one.
    pub unsafe fn set_log(&mut self, log: Log<'_>) {
        // SAFETY: the pool is there, and nobody else has it.
        unsafe { self.0.as_mut() }.log = log.as_ptr();
    }

    /// Empties it, as ngx_reset_pool does (src/core/ngx_palloc.c), if it has nothing but its first block.
    pub fn empty(&mut self) -> bool {
        let first = self.0.as_ptr();
        // SAFETY: the pool is there, and nobody else has it, nor what lies in it.
        let pool = unsafe { self.0.as_mut() };
        if !pool.cleanup.is_null() || !pool.large.is_null() || !pool.d.next.is_null() {
            return false;
        }
        (pool.d.last, pool.d.failed) = (first.wrapping_add(1).cast(), 0);
        (pool.current, pool.chain) = (first, ptr::null_mut());
        true
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        if !executor::is_over() {
            // SAFETY: nobody else has the pool, nor what lies in it.
            unsafe { ngx_destroy_pool(self.0.as_ptr()) };
        }
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
