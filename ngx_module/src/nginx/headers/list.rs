//! Nginx's lists of header lines: iteration, and removal that leaves all pointers to other lines valid.

use std::ptr;

use nginx_sys::{ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_palloc, ngx_pnalloc, ngx_pool_t, ngx_table_elt_t};

use super::Refused;
use crate::nginx::pool;

/// The lines of a list, in order. Lines of a response that nginx dropped have a hash of 0 and are left out.
///
/// # Safety
/// `list` is a list of header lines, which does not change while the iterator is used.
pub unsafe fn lines(list: *mut ngx_list_t) -> impl Iterator<Item = *mut ngx_table_elt_t> {
    // SAFETY: see above.
    let mut part: *mut ngx_list_part_t = unsafe { &raw mut (*list).part };
    let mut n = 0;
    std::iter::from_fn(move || {
        loop {
            if part.is_null() {
                return None;
            }
            // SAFETY: a part has `nelts` elements, and a null pointer ends the chain of parts.
            unsafe {
                if n < (*part).nelts {
                    let line = (*part).elts.cast::<ngx_table_elt_t>().add(n);
                    n += 1;
                    if (*line).hash != 0 {
                        return Some(line);
                    }
                } else {
                    part = (*part).next;
                    n = 0;
                }
            }
        }
    })
}

/// Whether a line has this name; names are compared without regard to case.
///
/// # Safety
/// `line` is a header line.
pub unsafe fn is(line: *mut ngx_table_elt_t, name: &[u8]) -> bool {
    // SAFETY: see above.
    unsafe { (*line).key.as_bytes().eq_ignore_ascii_case(name) }
}

/// Shows a line to `visit`, its name in lower case.
///
/// # Safety
/// `line` is a header line.
pub unsafe fn show(line: *mut ngx_table_elt_t, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: see above. Names are short; the copy stays on the stack.
    unsafe {
        let mut name = smallvec::SmallVec::<[u8; 64]>::from_slice((*line).key.as_bytes());
        name.make_ascii_lowercase();
        visit(&name, (*line).value.as_bytes());
    }
}

/// Makes a list of request headers that has no lines.
///
/// # Safety
/// `list` belongs to a request with this pool, and its old lines, if any, are not wanted.
pub unsafe fn begin(list: *mut ngx_list_t, pool: *mut ngx_pool_t) -> Result<(), Refused> {
    // nginx's own number (src/http/ngx_http_request.c, ngx_http_process_request_line).
    const ROOM: usize = 20;
    // SAFETY: as ngx_list_init does, which is inline in C.
    unsafe {
        let elts = ngx_palloc(pool, ROOM * size_of::<ngx_table_elt_t>());
        if elts.is_null() {
            return Err(Refused::NoMemory);
        }
        (*list).part = ngx_list_part_t { elts, nelts: 0, next: ptr::null_mut() };
        (*list).last = &raw mut (*list).part;
        (*list).size = size_of::<ngx_table_elt_t>();
        (*list).nalloc = ROOM;
        (*list).pool = pool;
    }
    Ok(())
}

/// Adds a line at the end.
///
/// # Safety
/// `list` is a list of header lines of a request with this pool.
pub unsafe fn push(
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
    name: &[u8],
    value: &[u8],
) -> Result<*mut ngx_table_elt_t, Refused> {
    // SAFETY: ngx_list_push gives room for an element of the list; the texts are copied into the pool first, so that the
    // list never has a line that is not complete.
    unsafe {
        let key = pool::copy(pool, name).ok_or(Refused::NoMemory)?;
        let value = pool::copy(pool, value).ok_or(Refused::NoMemory)?;
        let lowcase_key = ngx_pnalloc(pool, name.len()).cast::<u8>();
        if lowcase_key.is_null() {
            return Err(Refused::NoMemory);
        }
        let mut hash = 0usize;
        for (n, byte) in name.iter().enumerate() {
            let byte = byte.to_ascii_lowercase();
            lowcase_key.add(n).write(byte);
            hash = nginx_hash(hash, byte);
        }
        let line = ngx_list_push(list).cast::<ngx_table_elt_t>();
        if line.is_null() {
            return Err(Refused::NoMemory);
        }
        // The list's memory is not cleared; every field that this version of nginx has is written.
        ptr::write_bytes(line, 0, 1);
        // 0 would mean a dropped line.
        (*line).hash = hash.max(1);
        (*line).key = key;
        (*line).value = value;
        (*line).lowcase_key = lowcase_key;
        Ok(line)
    }
}

/// Nginx's hash of names (src/core/ngx_hash.h, ngx_hash).
pub fn nginx_hash(key: usize, byte: u8) -> usize {
    key.wrapping_mul(31).wrapping_add(usize::from(byte))
}

/// Takes all lines of a name out of a list of request headers. Modules read that list without looking at hashes, so a
/// line must really go; but pointers lead to the others, so none may move. Two more rules of nginx: its loops expect every
/// part but the first to have lines, and ngx_list_push takes `nalloc` for the room of the last part, which must not be 0.
///
/// # Safety
/// `list` is a list of header lines of a request with this pool.
pub unsafe fn remove(list: *mut ngx_list_t, pool: *mut ngx_pool_t, name: &[u8]) -> Result<(), Refused> {
    // SAFETY: parts only become shorter, or two parts over the same lines.
    unsafe {
        let mut before: *mut ngx_list_part_t = ptr::null_mut();
        let mut part: *mut ngx_list_part_t = &raw mut (*list).part;
        while !part.is_null() {
            let elts = (*part).elts.cast::<ngx_table_elt_t>();
            let len = (*part).nelts;
            let is_last = part == (*list).last;
            match (0..len).find(|n| is(elts.add(*n), name)) {
                None => {
                    before = part;
                    part = (*part).next;
                }
                Some(n) if n + 1 == len => {
                    (*part).nelts = n;
                    if n == 0 && !before.is_null() {
                        (*before).next = (*part).next;
                        if is_last {
                            (*list).last = before;
                            // The part before counts as full. An empty one is the first, whose line that went left room.
                            (*list).nalloc = (*before).nelts.max(1);
                        }
                        part = (*before).next;
                    }
                }
                Some(0) => {
                    (*part).elts = elts.add(1).cast();
                    (*part).nelts = len - 1;
                    if is_last {
                        (*list).nalloc -= 1;
                    }
                }
                Some(n) => {
                    let rest = ngx_palloc(pool, size_of::<ngx_list_part_t>()).cast::<ngx_list_part_t>();
                    if rest.is_null() {
                        return Err(Refused::NoMemory);
                    }
                    rest.write(ngx_list_part_t {
                        elts: elts.add(n + 1).cast(),
                        nelts: len - n - 1,
                        next: (*part).next,
                    });
                    (*part).nelts = n;
                    (*part).next = rest;
                    if is_last {
                        (*list).last = rest;
                        (*list).nalloc -= n + 1;
                    }
                    before = part;
                    part = rest;
                }
            }
        }
    }
    Ok(())
}

/// Lets go of the arrays that a subrequest shares with the request that made it. [`refill`] makes others.
///
/// # Safety
/// `headers_in` is that of a subrequest.
#[cfg(not(linked_headers))]
pub unsafe fn forget_arrays(headers_in: *mut nginx_sys::ngx_http_headers_in_t) {
    // SAFETY: see above; an array of zeros is an empty one.
    unsafe {
        (*headers_in).cookies = std::mem::zeroed();
        #[cfg(ngx_feature = "http_x_forwarded_for")]
        {
            (*headers_in).x_forwarded_for = std::mem::zeroed();
        }
    }
}

/// Puts pointers to lines into one of the arrays that nginx before 1.23 keeps for headers that may come more than once.
///
/// # Safety
/// `array` is such an array, made or still of zeros, of a request with this pool.
#[cfg(not(linked_headers))]
pub unsafe fn refill(
    pool: *mut ngx_pool_t,
    array: *mut nginx_sys::ngx_array_t,
    lines: impl Iterator<Item = *mut ngx_table_elt_t>,
) -> Result<(), Refused> {
    // SAFETY: see above; ngx_array_push gives room for one element.
    unsafe {
        if (*array).elts.is_null() {
            let fresh = nginx_sys::ngx_array_create(pool, 1, size_of::<*mut ngx_table_elt_t>());
            if fresh.is_null() {
                return Err(Refused::NoMemory);
            }
            array.write(fresh.read());
        }
        (*array).nelts = 0;
        for line in lines {
            let place = nginx_sys::ngx_array_push(array).cast::<*mut ngx_table_elt_t>();
            if place.is_null() {
                return Err(Refused::NoMemory);
            }
            *place = line;
        }
    }
    Ok(())
}
