//! Nginx's lists of header lines, as handles: iteration, and removal that leaves all pointers to other lines valid. Lists, their
//! parts and the lines lie in the request and its pool, which takes nothing of them back before it ends.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use nginx_sys::{ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_table_elt_t};

use super::Refused;
use crate::nginx::bits::{fields, texts};
use crate::nginx::pool::Pool;
use crate::nginx::request::HttpRequest;

/// A list of header lines of a live request. One that nobody has made yet is of zeros, and has no lines
/// (src/http/ngx_http_request.c, ngx_http_alloc_request).
#[derive(Clone, Copy)]
pub struct List<'r> {
    list: NonNull<ngx_list_t>,
    pool: Pool<'r>,
}

/// A header line of a live request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line<'r>(NonNull<ngx_table_elt_t>, PhantomData<&'r Cell<()>>);

/// Headers of a request.
pub fn of_request(r: HttpRequest<'_>) -> List<'_> {
    // SAFETY: the list is a part of the request.
    unsafe { List::new(r, &raw mut (*r.as_ptr()).headers_in.headers) }
}

/// Headers of its response.
pub fn of_response(r: HttpRequest<'_>) -> List<'_> {
    // SAFETY: the list is a part of the request.
    unsafe { List::new(r, &raw mut (*r.as_ptr()).headers_out.headers) }
}

/// Trailers of its response.
pub fn of_trailers(r: HttpRequest<'_>) -> List<'_> {
    // SAFETY: the list is a part of the request.
    unsafe { List::new(r, &raw mut (*r.as_ptr()).headers_out.trailers) }
}

impl<'r> Line<'r> {
    /// # Safety
    /// `line` is null, or a line of a request that is live for as long as the handle.
    pub(super) unsafe fn from_ptr(line: *mut ngx_table_elt_t) -> Option<Line<'r>> {
        NonNull::new(line).map(|line| Line(line, PhantomData))
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_table_elt_t {
        self.0.as_ptr()
    }

    texts! { 'r:
        name: key;
        value: value;
    }

    /// Gives it another value. `pool` is that of its request.
    pub fn set_value(self, pool: Pool<'r>, value: &[u8]) -> Result<(), Refused> {
        let value = pool.copy(value).ok_or(Refused::NoMemory)?;
        // SAFETY: the line is live, and the text as long as it.
        unsafe { (*self.as_ptr()).value = value };
        Ok(())
    }

    /// Whether it has this name; names are compared without regard to case.
    pub fn is(self, name: &[u8]) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Drops a line of a response: nginx skips those whose hash is 0.
    pub fn hide(self) {
        // SAFETY: the line is live.
        unsafe { (*self.as_ptr()).hash = 0 }
    }

    /// Shows the line to `visit`, its name in lower case.
    pub fn show(self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        // Names are short; the copy stays on the stack.
        let mut name = smallvec::SmallVec::<[u8; 64]>::from_slice(self.name());
        name.make_ascii_lowercase();
        visit(&name, self.value());
    }
}

impl<'r> List<'r> {
    /// # Safety
    /// `list` is a list of header lines, in the request itself.
    unsafe fn new(r: HttpRequest<'r>, list: *mut ngx_list_t) -> List<'r> {
        // SAFETY: what lies in the request is not at null.
        List { list: unsafe { NonNull::new_unchecked(list) }, pool: r.pool() }
    }

    fn as_ptr(self) -> *mut ngx_list_t {
        self.list.as_ptr()
    }

    fields! {
        get nalloc: usize = nalloc;
        set set_nalloc: usize = nalloc;
        get last_part: *mut ngx_list_part_t = last;
        set set_last_part: *mut ngx_list_part_t = last;
    }

    /// The lines, in order. Lines of a response that nginx dropped have a hash of 0 and are left out.
    ///
    /// The list may change meanwhile: each step looks at its part again, and a part that has left the list stays in memory.
    pub fn lines(self) -> impl Iterator<Item = Line<'r>> {
        // SAFETY: the list is live, and begins with its first part.
        let mut part: *mut ngx_list_part_t = unsafe { &raw mut (*self.as_ptr()).part };
        let mut n = 0;
        std::iter::from_fn(move || {
            // SAFETY: a part is in the list or its pool, and a null pointer ends the chain of parts.
            while let Some(ngx_list_part_t { elts, nelts, next }) = unsafe { part.as_ref() }.copied() {
                if n < nelts {
                    // SAFETY: a part has `nelts` elements, which are header lines.
                    let line = unsafe { Line::from_ptr(elts.cast::<ngx_table_elt_t>().add(n)) }?;
                    n += 1;
                    // SAFETY: the line is live.
                    if unsafe { (*line.as_ptr()).hash } != 0 {
                        return Some(line);
                    }
                } else {
                    part = next;
                    n = 0;
                }
            }
            None
        })
    }

    /// The lines with a name, whatever its case.
    pub fn named(self, name: &[u8]) -> impl Iterator<Item = Line<'r>> {
        self.lines().filter(move |line| line.is(name))
    }

    /// Drops all lines of a response with a name. They stay in the list.
    pub fn hide(self, name: &[u8]) {
        self.named(name).for_each(Line::hide);
    }

    /// Begins again without lines, as ngx_list_init does, which is inline in C; there is room for so many at first. Lines that
    /// there were stay in memory.
    pub(in crate::nginx) fn begin(self, room: usize) -> Result<(), Refused> {
        let room = room.max(1);
        let elts = self.pool.all_zeroed::<ngx_table_elt_t>(room).ok_or(Refused::NoMemory)?.as_mut_ptr().cast();
        // SAFETY: the list is live, and nobody has a reference to it.
        let list = unsafe { &mut *self.as_ptr() };
        list.part = ngx_list_part_t { elts, nelts: 0, next: ptr::null_mut() };
        // A list of one part leads to itself.
        list.last = &raw mut list.part;
        (list.size, list.nalloc, list.pool) = (size_of::<ngx_table_elt_t>(), room, self.pool.as_ptr());
        Ok(())
    }

    /// Room for a line at the end, of zeros: the list's memory is not cleared. A request without header lines has no list yet:
    /// HTTP/0.9, and one that nginx refused before it came to them.
    fn grow(self) -> Result<NonNull<ngx_table_elt_t>, Refused> {
        // nginx's own number (src/http/ngx_http_request.c, ngx_http_process_request_line).
        const ROOM: usize = 20;
        if self.last_part().is_null() {
            self.begin(ROOM)?;
        }
        // SAFETY: ngx_list_push gives room for an element of the list.
        let line = unsafe { ngx_list_push(self.as_ptr()) }.cast::<ngx_table_elt_t>();
        let line = NonNull::new(line).ok_or(Refused::NoMemory)?;
        // SAFETY: it is room for a line; one of zeros is one that nginx dropped.
        unsafe { line.write_bytes(0, 1) };
        Ok(line)
    }

    /// Adds a line at the end.
    pub fn push(self, name: &[u8], value: &[u8]) -> Result<Line<'r>, Refused> {
        // The texts are copied first, so that the list never has a line that is not complete.
        let key = self.pool.copy(name).ok_or(Refused::NoMemory)?;
        let value = self.pool.copy(value).ok_or(Refused::NoMemory)?;
        let lowcase_key = self.pool.bytes(name.len()).ok_or(Refused::NoMemory)?;
        let mut hash = 0usize;
        for (place, byte) in lowcase_key.iter_mut().zip(name) {
            let byte = byte.to_ascii_lowercase();
            place.write(byte);
            hash = nginx_hash(hash, byte);
        }
        let lowcase_key = lowcase_key.as_mut_ptr().cast();
        let mut line = self.grow()?;
        // SAFETY: `grow` gave room for it, and all zeros; every other field that this version of nginx has stays so.
        let new = unsafe { line.as_mut() };
        // 0 would mean a dropped line.
        new.hash = hash.max(1);
        (new.key, new.value, new.lowcase_key) = (key, value, lowcase_key);
        Ok(Line(line, PhantomData))
    }

    /// Adds a line that is as `line`, texts and all, which are those of a request of the same pool.
    pub(super) fn push_copy(self, line: Line<'r>) -> Result<(), Refused> {
        let copy = self.grow()?;
        // SAFETY: `grow` gave room for it.
        unsafe { copy.write(line.as_ptr().read()) };
        Ok(())
    }

    /// Takes all lines of a name out of a list of request headers. Modules read that list without looking at hashes, so a line
    /// must really go; but pointers lead to the others, so none may move. Two more rules of nginx: its loops expect every part
    /// but the first to have lines, and ngx_list_push takes `nalloc` for the room of the last part, which must not be 0.
    pub fn remove(self, name: &[u8]) -> Result<(), Refused> {
        let mut before: Option<Part> = None;
        let mut now = Some(self.first());
        while let Some(part) = now {
            let (len, next) = (part.len(), part.next());
            let is_last = self.last() == Some(part);
            match (0..len).find(|n| part.line(*n).is_some_and(|line| line.is(name))) {
                None => {
                    before = Some(part);
                    now = next;
                }
                Some(n) if n + 1 == len => {
                    part.shorten(n);
                    if let Some(before) = before.filter(|_| n == 0) {
                        before.set_next(next);
                        if is_last {
                            // The part before counts as full. An empty one is the first, whose line that went left room.
                            self.set_last(before, before.len().max(1));
                        }
                        now = next;
                    }
                }
                Some(0) => {
                    part.begin_later(1);
                    if is_last {
                        self.set_last(part, self.room() - 1);
                    }
                }
                Some(n) => {
                    let rest = part.split(self.pool, n)?;
                    rest.begin_later(1);
                    if is_last {
                        self.set_last(rest, self.room() - n - 1);
                    }
                    before = Some(part);
                    now = Some(rest);
                }
            }
        }
        Ok(())
    }

    fn first(self) -> Part {
        // SAFETY: the list is live, and begins with its first part.
        Part(unsafe { NonNull::new_unchecked(&raw mut (*self.as_ptr()).part) })
    }

    fn last(self) -> Option<Part> {
        NonNull::new(self.last_part()).map(Part)
    }

    /// For how many lines the last part has room.
    fn room(self) -> usize {
        self.nalloc()
    }

    fn set_last(self, part: Part, room: usize) {
        self.set_last_part(part.0.as_ptr());
        self.set_nalloc(room);
    }
}

/// A part of a list that is live.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Part(NonNull<ngx_list_part_t>);

impl Part {
    fn get(self) -> ngx_list_part_t {
        // SAFETY: parts lie in the list or in its pool.
        unsafe { self.0.read() }
    }

    fn set(self, part: ngx_list_part_t) {
        // SAFETY: parts lie in the list or in its pool; the callers leave what the list needs.
        unsafe { self.0.write(part) }
    }

    fn len(self) -> usize {
        self.get().nelts
    }

    fn next(self) -> Option<Part> {
        NonNull::new(self.get().next).map(Part)
    }

    /// One of its lines.
    fn line(self, n: usize) -> Option<Line<'static>> {
        let ngx_list_part_t { elts, nelts, .. } = self.get();
        // SAFETY: there are so many; nobody keeps the handle.
        (n < nelts).then(|| unsafe { Line::from_ptr(elts.cast::<ngx_table_elt_t>().add(n)) })?
    }

    fn set_next(self, next: Option<Part>) {
        let next = next.map_or(ptr::null_mut(), |next| next.0.as_ptr());
        self.set(ngx_list_part_t { next, ..self.get() });
    }

    /// Leaves the first `len` lines, of at least as many.
    fn shorten(self, len: usize) {
        let part = self.get();
        self.set(ngx_list_part_t { nelts: len.min(part.nelts), ..part });
    }

    /// Leaves out the first `count` lines, of at least as many.
    fn begin_later(self, count: usize) {
        let ngx_list_part_t { elts, nelts, .. } = self.get();
        let count = count.min(nelts);
        // SAFETY: there are so many lines.
        let elts = unsafe { elts.cast::<ngx_table_elt_t>().add(count) }.cast();
        self.set(ngx_list_part_t { elts, nelts: nelts - count, ..self.get() });
    }

    /// Makes two parts of it, over the same lines; the second begins with number `len`.
    fn split(self, pool: Pool<'_>, len: usize) -> Result<Part, Refused> {
        let rest = Part(pool.zeroed::<ngx_list_part_t>().ok_or(Refused::NoMemory)?.into());
        rest.set(self.get());
        rest.begin_later(len);
        self.shorten(len);
        self.set_next(Some(rest));
        Ok(rest)
    }
}

/// Nginx's hash of names (src/core/ngx_hash.h, ngx_hash).
pub fn nginx_hash(key: usize, byte: u8) -> usize {
    key.wrapping_mul(31).wrapping_add(usize::from(byte))
}
