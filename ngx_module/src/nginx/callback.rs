//! How nginx enters this module: [`callback!`] makes the function that nginx calls, with the guard against panics, and the
//! handles that the rest of the code works with in place of raw pointers.

use nginx_sys::{ngx_chain_t, ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t};

use super::after::After;
use super::chain::Chain;
use super::request::HttpRequest;
use super::value::VariableValue;

/// What a pointer that nginx passes becomes.
pub trait Handle<Raw> {
    /// # Safety
    /// nginx has passed `raw` to the callback that runs; the handle does not outlive that.
    unsafe fn from_nginx(raw: Raw) -> Self;
}

impl Handle<*mut ngx_http_request_t> for HttpRequest<'_> {
    unsafe fn from_nginx(raw: *mut ngx_http_request_t) -> Self {
        // SAFETY: nginx passes a live request.
        unsafe { HttpRequest::from_ptr(raw) }
    }
}

impl Handle<*mut ngx_chain_t> for Chain {
    unsafe fn from_nginx(raw: *mut ngx_chain_t) -> Self {
        // SAFETY: nginx passes a chain of live buffers.
        unsafe { Chain::from_ptr(raw) }
    }
}

impl Handle<*mut ngx_http_variable_value_t> for VariableValue {
    unsafe fn from_nginx(raw: *mut ngx_http_variable_value_t) -> Self {
        // SAFETY: nginx passes a place for a value.
        unsafe { VariableValue::from_ptr(raw) }
    }
}

impl Handle<usize> for usize {
    unsafe fn from_nginx(raw: usize) -> Self {
        raw
    }
}

/// What a callback's function answers.
pub trait End {
    /// What nginx gets.
    type Code;

    /// Does what comes last, and answers what nginx gets.
    ///
    /// # Safety
    /// Nobody uses a handle of the callback after this.
    unsafe fn end(self) -> Self::Code;
}

impl End for ngx_int_t {
    type Code = ngx_int_t;

    unsafe fn end(self) -> ngx_int_t {
        self
    }
}

impl End for After<'_> {
    type Code = ();

    unsafe fn end(self) {
        // SAFETY: nobody uses a handle of the callback after this.
        unsafe { self.run() }
    }
}

impl End for (After<'_>, ngx_int_t) {
    type Code = ngx_int_t;

    unsafe fn end(self) -> ngx_int_t {
        // SAFETY: nobody uses a handle of the callback after this.
        unsafe { self.0.run() };
        self.1
    }
}

/// Makes `extern "C" fn NAME(raw pointers) -> CODE`, which hands safe handles to a function, and ends as that one says ([`End`]). A
/// panic there becomes `otherwise`.
///
/// ```text
/// callback! {
///     /// What it is for.
///     pub fn filter(r: HttpRequest<'_> = *mut ngx_http_request_t, chain: Chain = *mut ngx_chain_t) -> ngx_int_t,
///     otherwise rc::ERROR => deed
/// }
/// ```
macro_rules! callback {
    ($(#[$doc:meta])* $seen:vis fn $name:ident($($arg:ident: $handle:ty = $raw:ty),*) $(-> $code:ty)?, otherwise $otherwise:expr => $deed:path) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        $seen unsafe extern "C" fn $name($($arg: $raw),*) $(-> $code)? {
            $crate::nginx::guard::guard($otherwise, || {
                // SAFETY: nginx calls this with what it says: a live request, a chain of live buffers.
                $(let $arg = unsafe { <$handle as $crate::nginx::callback::Handle<$raw>>::from_nginx($arg) };)*
                let end = $deed($($arg),*);
                // SAFETY: the function that had the handles is over.
                unsafe { $crate::nginx::callback::End::end(end) }
            })
        }
    };
}
pub(crate) use callback;
