//! Getters and setters of the fields and bits that nginx's structures have, for handles.

use std::ffi::c_uint;
use std::mem::offset_of;

use nginx_sys::{
    ngx_buf_t, ngx_connection_t, ngx_event_t, ngx_http_headers_in_t, ngx_http_request_body_t, ngx_http_request_t,
    ngx_http_upstream_t,
};

/// Bits of these structures must begin with a word: bindgen places the bits behind the first word wrongly otherwise, and what reads or
/// writes them would have others.
macro_rules! begin_with_a_word {
    ($($structure:ty),*) => {$(
        const _: () = assert!(
            offset_of!($structure, _bitfield_1).is_multiple_of(size_of::<c_uint>()),
            "the bindings of this nginx are wrong: build with 'make build', which tells bindgen how to make them (tools/nginx-bits.sh)"
        );
    )*};
}

begin_with_a_word!(
    ngx_buf_t,
    ngx_connection_t,
    ngx_event_t,
    ngx_http_headers_in_t,
    ngx_http_request_body_t,
    ngx_http_request_t,
    ngx_http_upstream_t
);

/// Makes a method for each row, of a handle that has `as_ptr`: `get NAME: NGINX_NAME;` or `set NAME: NGINX_NAME;`.
macro_rules! bits {
    ($($(#[$doc:meta])* $kind:ident $name:ident: $nginx:ident;)*) => {$(bits! { @ $(#[$doc])* $kind $name: $nginx })*};
    (@ $(#[$doc:meta])* get $name:ident: $nginx:ident) => {
        $(#[$doc])*
        pub fn $name(self) -> bool {
            // SAFETY: what the handle leads to is live.
            unsafe { (*self.as_ptr()).$nginx() != 0 }
        }
    };
    (@ $(#[$doc:meta])* set $name:ident: $nginx:ident) => {
        $(#[$doc])*
        pub fn $name(self, on: bool) {
            // SAFETY: what the handle leads to is live.
            unsafe { (*self.as_ptr()).$nginx(on.into()) }
        }
    };
}
pub(crate) use bits;

/// Makes a method for each row, of a handle that has `as_ptr`, for a field that is copied: `get NAME: TYPE = FIELD;` or
/// `set NAME: TYPE = FIELD;`. What nginx may follow is none to be set by this, unless all that has the type is as long there.
macro_rules! fields {
    ($($(#[$doc:meta])* $seen:vis $kind:ident $name:ident: $type:ty = $($field:ident).+;)*) => {
        $(fields! { @ $(#[$doc])* $seen $kind $name: $type = $($field).+ })*
    };
    (@ $(#[$doc:meta])* $seen:vis get $name:ident: $type:ty = $($field:ident).+) => {
        $(#[$doc])*
        $seen fn $name(self) -> $type {
            // SAFETY: what the handle leads to is live.
            unsafe { (*self.as_ptr()).$($field).+ }
        }
    };
    (@ $(#[$doc:meta])* $seen:vis set $name:ident: $type:ty = $($field:ident).+) => {
        $(#[$doc])*
        $seen fn $name(self, value: $type) {
            // SAFETY: what the handle leads to is live.
            unsafe { (*self.as_ptr()).$($field).+ = value }
        }
    };
}
pub(crate) use fields;

/// Makes a method for each row, of a handle that has `as_ptr` and a lifetime, for a string: `NAME: FIELD;`.
macro_rules! texts {
    ($life:lifetime: $($(#[$doc:meta])* $name:ident: $($field:ident).+;)*) => {$(
        $(#[$doc])*
        pub fn $name(self) -> &$life [u8] {
            // SAFETY: what the handle leads to is live, and its strings are as long there, in its pool or its buffers.
            unsafe { $crate::nginx::request::bytes((*self.as_ptr()).$($field).+) }
        }
    )*};
}
pub(crate) use texts;
