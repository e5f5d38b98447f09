//! What nginx keeps of headers beside their lists: fields that lead to the lines of headers that it knows, and values that have no
//! line (src/http/ngx_http_request.h, ngx_http_headers_in_t and ngx_http_headers_out_t).

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

#[cfg(not(linked_headers))]
use nginx_sys::ngx_array_t;
use nginx_sys::{ngx_hash_find, ngx_http_header_t, ngx_http_time, ngx_str_t, ngx_table_elt_t, ngx_uint_t};

use super::Refused;
use super::list::{Line, nginx_hash};
use crate::nginx::location;
#[cfg(not(linked_headers))]
use crate::nginx::plain::Plain;
use crate::nginx::request::HttpRequest;

/// A field of a live request that leads to a line of it, or to none.
#[derive(Clone, Copy)]
pub struct Field<'r>(NonNull<*mut ngx_table_elt_t>, PhantomData<&'r Cell<()>>);

impl<'r> Field<'r> {
    /// # Safety
    /// `field` is such a field.
    unsafe fn new(field: *mut *mut ngx_table_elt_t) -> Field<'r> {
        // SAFETY: what lies in a request is not at null.
        Field(unsafe { NonNull::new_unchecked(field) }, PhantomData)
    }

    /// The line.
    pub fn get(self) -> Option<Line<'r>> {
        // SAFETY: the request is live, and so is the line, if there is one.
        unsafe { Line::from_ptr(self.0.read()) }
    }

    /// Has it lead to a line of the same request, or to none.
    pub(super) fn set(self, line: Option<Line<'r>>) {
        // SAFETY: the request is live.
        unsafe { self.0.write(line.map_or(ptr::null_mut(), Line::as_ptr)) }
    }

    /// Has it lead to the first of these lines, and each of them to the next.
    #[cfg(linked_headers)]
    fn link(self, lines: impl Iterator<Item = Line<'r>>) {
        let mut place = self;
        for line in lines {
            place.set(Some(line));
            // SAFETY: the line is live, and with it its field for the next.
            place = unsafe { Field::new(&raw mut (*line.as_ptr()).next) };
        }
        place.set(None);
    }
}

/// What leads to all lines of a name.
pub(super) enum Leads<'r> {
    /// Since nginx 1.23 a field leads to the first line, and each line to the next.
    #[cfg(linked_headers)]
    Linked(Field<'r>),
    /// Before, it led to the first line only.
    #[cfg(not(linked_headers))]
    First(Field<'r>),
    /// And some headers that may come more than once had an array.
    #[cfg(not(linked_headers))]
    Array(arrays::Array<'r>),
}

impl<'r> Leads<'r> {
    /// Has it lead to these lines, which are of the same request.
    pub(super) fn set(self, lines: impl Iterator<Item = Line<'r>>) -> Result<(), Refused> {
        match self {
            #[cfg(linked_headers)]
            Leads::Linked(field) => field.link(lines),
            #[cfg(not(linked_headers))]
            Leads::First(field) => field.set({ lines }.next()),
            #[cfg(not(linked_headers))]
            Leads::Array(array) => array.refill(lines)?,
        }
        Ok(())
    }
}

/// What leads to the lines of a request header, if nginx knows it. `lower` is its name in lower case.
pub(super) fn of_request<'r>(r: HttpRequest<'r>, lower: &[u8]) -> Option<Leads<'r>> {
    let hash = lower.iter().fold(0, |key, byte| nginx_hash(key, *byte));
    let table = ptr::from_ref(&location::main(r).headers_in_hash).cast_mut();
    // SAFETY: the table and the name are only read.
    let header = unsafe { ngx_hash_find(table, hash as ngx_uint_t, lower.as_ptr().cast_mut(), lower.len()) };
    // SAFETY: this table has headers that nginx knows, as long as the configuration.
    let offset = unsafe { header.cast::<ngx_http_header_t>().as_ref() }?.offset;
    if offset == 0 && lower != b"host" {
        return None;
    }
    // SAFETY: nginx's table gives the offset of the field in headers_in.
    let place = unsafe { (&raw mut (*r.as_ptr()).headers_in).cast::<u8>().add(offset) };
    #[cfg(linked_headers)]
    // SAFETY: it is a pointer, as all fields of that table.
    return Some(Leads::Linked(unsafe { Field::new(place.cast()) }));
    #[cfg(not(linked_headers))]
    Some(match lower {
        // SAFETY: these two fields are arrays.
        b"cookie" | b"x-forwarded-for" => Leads::Array(unsafe { arrays::Array::new(r, place.cast()) }),
        // SAFETY: the others are pointers.
        _ => Leads::First(unsafe { Field::new(place.cast()) }),
    })
}

/// Makes functions that give fields of a request.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $part:ident.$field:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(r: HttpRequest<'_>) -> Field<'_> {
            // SAFETY: the field is a part of the request.
            unsafe { Field::new(&raw mut (*r.as_ptr()).$part.$field) }
        }
    )*};
}

fields! {
    /// Of a request.
    request_content_length: headers_in.content_length;
    request_content_type: headers_in.content_type;
    /// Of a response, as those below.
    content_length: headers_out.content_length;
    last_modified: headers_out.last_modified;
    server: headers_out.server;
    date: headers_out.date;
    location: headers_out.location;
    content_range: headers_out.content_range;
    accept_ranges: headers_out.accept_ranges;
    expires: headers_out.expires;
    etag: headers_out.etag;
    content_encoding: headers_out.content_encoding;
    refresh: headers_out.refresh;
}

/// Makes functions that give what leads to several lines of a response: the name of the variant before nginx 1.23 is given.
macro_rules! several {
    ($($name:ident: $old:ident;)*) => {$(
        #[cfg(linked_headers)]
        pub(super) fn $name(r: HttpRequest<'_>) -> Leads<'_> {
            // SAFETY: the field is a part of the request.
            Leads::Linked(unsafe { Field::new(&raw mut (*r.as_ptr()).headers_out.$name) })
        }

        #[cfg(not(linked_headers))]
        pub(super) fn $name(r: HttpRequest<'_>) -> Leads<'_> {
            // SAFETY: the field is a part of the request.
            Leads::$old(unsafe { several!(@ $old, r, &raw mut (*r.as_ptr()).headers_out.$name) })
        }
    )*};
    (@ Array, $r:ident, $place:expr) => { arrays::Array::new($r, $place) };
    (@ First, $r:ident, $place:expr) => { Field::new($place) };
}

several! {
    cache_control: Array;
    link: Array;
    www_authenticate: First;
}

/// Gives a response a status line, number and reason.
pub fn set_status_line(r: HttpRequest<'_>, line: &[u8]) -> Result<(), Refused> {
    let line = r.pool().copy(line).ok_or(Refused::NoMemory)?;
    // SAFETY: the request is live, and the text is as long as it.
    unsafe { (*r.as_ptr()).headers_out.status_line = line };
    Ok(())
}

/// Gives a response the content type that its location has for the path (`types`, `default_type`). Without memory it has none.
pub fn set_default_content_type(r: HttpRequest<'_>) {
    // SAFETY: the request is live (src/http/ngx_http_core_module.c, ngx_http_set_content_type).
    unsafe { nginx_sys::ngx_http_set_content_type(r.as_ptr()) };
}

/// Drops the reason phrase that an upstream gave its status.
pub fn clear_status_line(r: HttpRequest<'_>) {
    // SAFETY: the request is live.
    unsafe { (*r.as_ptr()).headers_out.status_line = ngx_str_t::empty() }
}

/// The content type of a response as nginx will write it, with a charset that it keeps apart. Empty: it has none.
pub fn content_type(r: HttpRequest<'_>) -> Vec<u8> {
    // SAFETY: the request is live, and nobody changes it meanwhile.
    let out = unsafe { &(*r.as_ptr()).headers_out };
    let (content_type, charset, len) = (out.content_type.as_bytes(), out.charset.as_bytes(), out.content_type_len);
    let mut value = content_type.to_vec();
    if !value.is_empty() && len == value.len() && !charset.is_empty() {
        value.extend_from_slice(b"; charset=");
        value.extend_from_slice(charset);
    }
    value
}

/// Whether a response has a content type.
pub fn has_content_type(r: HttpRequest<'_>) -> bool {
    // SAFETY: the request is live.
    unsafe { !(*r.as_ptr()).headers_out.content_type.is_empty() }
}

/// Drops the content type of a response, with its charset.
pub fn clear_content_type(r: HttpRequest<'_>) {
    // SAFETY: the request is live, and nobody has a reference to its header.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    (out.content_type, out.content_type_len, out.charset) = (ngx_str_t::empty(), 0, ngx_str_t::empty());
    out.content_type_lowcase = ptr::null_mut();
}

/// Gives a response another content type.
pub fn set_content_type(r: HttpRequest<'_>, value: &[u8]) -> Result<(), Refused> {
    clear_content_type(r);
    let value = r.pool().copy(value).ok_or(Refused::NoMemory)?;
    // SAFETY: the request is live; the text is as long as it.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    (out.content_type, out.content_type_len) = (value, value.len);
    Ok(())
}

/// A time as nginx writes it in headers: "Mon, 28 Sep 1970 06:00:00 GMT".
pub fn http_time(time: i64) -> Vec<u8> {
    let mut text = [0u8; 32];
    // SAFETY: a time takes less, whatever the year.
    let len = unsafe { ngx_http_time(text.as_mut_ptr(), time).offset_from(text.as_ptr()) };
    text[..(len as usize).min(text.len())].to_vec()
}

/// Arrays of lines, which nginx before 1.23 keeps for headers that may come more than once.
#[cfg(not(linked_headers))]
mod arrays {
    use nginx_sys::{ngx_array_create, ngx_array_push};

    use super::*;
    use crate::nginx::pool::Pool;

    /// Such an array, made or still of zeros.
    pub struct Array<'r>(NonNull<ngx_array_t>, Pool<'r>);

    impl<'r> Array<'r> {
        /// # Safety
        /// `array` is one of the request.
        pub(super) unsafe fn new(r: HttpRequest<'r>, array: *mut ngx_array_t) -> Array<'r> {
            // SAFETY: what lies in a request is not at null.
            Array(unsafe { NonNull::new_unchecked(array) }, r.pool())
        }

        /// Puts these lines into it, in the place of those that it has.
        pub(super) fn refill(self, lines: impl Iterator<Item = Line<'r>>) -> Result<(), Refused> {
            let array = self.0.as_ptr();
            // SAFETY: the request is live, and nobody has a reference to the array.
            let begun = unsafe { &mut *array };
            if begun.elts.is_null() {
                // SAFETY: the pool is there.
                let fresh = unsafe { ngx_array_create(self.1.as_ptr(), 1, size_of::<*mut ngx_table_elt_t>()).as_ref() };
                *begun = *fresh.ok_or(Refused::NoMemory)?;
            }
            begun.nelts = 0;
            for line in lines {
                // SAFETY: ngx_array_push gives room for one element.
                let place = unsafe { ngx_array_push(array) }.cast::<*mut ngx_table_elt_t>();
                let place = NonNull::new(place).ok_or(Refused::NoMemory)?;
                // SAFETY: the room is new, and the elements of these arrays are lines.
                unsafe { place.write(line.as_ptr()) };
            }
            Ok(())
        }
    }
}

/// Lets go of the arrays that a subrequest shares with the request that made it. They are made anew when they are filled.
pub(super) fn forget_arrays(r: HttpRequest<'_>) {
    #[cfg(not(linked_headers))]
    {
        // SAFETY: the request is live, and nobody has a reference to its headers.
        let headers = unsafe { &mut (*r.as_ptr()).headers_in };
        headers.cookies = ngx_array_t::zeros();
        #[cfg(ngx_feature = "http_x_forwarded_for")]
        {
            headers.x_forwarded_for = ngx_array_t::zeros();
        }
    }
    let _ = r;
}
