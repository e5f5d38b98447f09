//! Variables of nginx: those of a configuration, and their values in a request.

use std::ffi::{CStr, c_void};
#[cfg(ngx_feature = "pcre")]
use std::mem;
use std::ptr::{self, NonNull};

use nginx_sys::{
    NGX_HTTP_VAR_CHANGEABLE, NGX_HTTP_VAR_INDEXED, NGX_HTTP_VAR_NOCACHEABLE, NGX_HTTP_VAR_WEAK, ngx_conf_t,
    ngx_cycle_t, ngx_hash_find, ngx_http_add_variable, ngx_http_core_main_conf_t, ngx_http_get_indexed_variable,
    ngx_http_get_variable, ngx_http_request_t, ngx_http_variable_t, ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
    ngx_uint_t,
};
use ngx::http::{HttpModule, HttpModuleConfExt, NgxHttpCoreModule};

use super::headers::list::nginx_hash;
use super::module::name;
use super::plain::Plain;
use super::request::{HttpRequest, bytes};
use super::{location, rc, symbols};

/// What nginx calls for the value of a variable.
pub type Getter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_http_variable_value_t, usize) -> ngx_int_t;

/// A variable of a configuration.
#[derive(Clone, Copy)]
pub struct Variable<'r>(&'r ngx_http_variable_t);

/// What a variable had as value in a request.
pub struct Value(ngx_http_variable_value_t);

/// Why a variable has not got a value.
pub enum Unassigned {
    /// The pool has no memory.
    NoMemory,
    /// There is no place for one.
    Fixed,
}

/// Which configuration a request is served by: a number that no other one has at the same time.
pub fn configuration(r: HttpRequest<'_>) -> usize {
    ptr::from_ref(location::main(r)) as usize
}

/// The variables that have a place in a request, in their order.
pub fn indexed<'r>(r: HttpRequest<'r>) -> impl ExactSizeIterator<Item = Variable<'r>> {
    // SAFETY: the elements of the array are variables.
    unsafe { location::main(r).variables.as_slice::<ngx_http_variable_t>() }.iter().map(Variable)
}

/// The variable with a name, in lower case. Those with a prefix are not among them, unless a directive assigns them.
pub fn find<'r>(r: HttpRequest<'r>, lower: &[u8]) -> Option<Variable<'r>> {
    let (table, hash) = (ptr::from_ref(&location::main(r).variables_hash).cast_mut(), hash(lower) as ngx_uint_t);
    // SAFETY: the table and the name are only read.
    let found = unsafe { ngx_hash_find(table, hash, lower.as_ptr().cast_mut(), lower.len()) };
    // SAFETY: nginx's table of variables has such.
    unsafe { found.cast::<ngx_http_variable_t>().as_ref() }.map(Variable)
}

fn hash(name: &[u8]) -> usize {
    name.iter().fold(0, |key, byte| nginx_hash(key, *byte))
}

impl<'r> Variable<'r> {
    pub fn name(self) -> &'r [u8] {
        // SAFETY: the name is as long there as the configuration.
        unsafe { bytes(self.0.name) }
    }

    fn has(self, flag: u32) -> bool {
        self.0.flags & flag as ngx_uint_t != 0
    }

    /// Nginx asks for its value each time.
    pub fn is_never_kept(self) -> bool {
        self.has(NGX_HTTP_VAR_NOCACHEABLE)
    }

    /// A directive makes or assigns it.
    pub fn is_changeable(self) -> bool {
        self.has(NGX_HTTP_VAR_CHANGEABLE)
    }

    /// It gives way to another one of its name.
    pub fn is_weak(self) -> bool {
        self.has(NGX_HTTP_VAR_WEAK)
    }

    /// What its function is called with.
    pub fn data(self) -> usize {
        self.0.data
    }

    /// Whether it has a function for its value, in nginx itself and no module that was loaded.
    pub fn is_of_nginx(self) -> bool {
        let known = symbols::object(ngx_http_get_indexed_variable as *const c_void);
        self.0.get_handler.is_some_and(|function| symbols::object(function as *const c_void) == known)
    }

    /// Gives it a value in a request, as `set` of the rewrite module does.
    pub fn assign(self, r: HttpRequest<'_>, value: &[u8]) -> Result<(), Unassigned> {
        let text = r.pool().copy(value).ok_or(Unassigned::NoMemory)?;
        let fill = |value: &mut ngx_http_variable_value_t| {
            value.set_valid(1);
            value.set_no_cacheable(0);
            value.set_not_found(0);
            // 28 bits of nginx's structure hold the length.
            value.set_len(text.len as u32);
            value.data = text.data;
        };
        if let Some(handler) = self.0.set_handler {
            let mut value = ngx_http_variable_value_t::zeros();
            fill(&mut value);
            // SAFETY: the function takes a live request, and is called as nginx does (src/http/ngx_http_script.c,
            // ngx_http_script_var_set_handler_code).
            unsafe { handler(r.as_ptr(), &mut value, self.0.data) };
            return Ok(());
        }
        if !self.has(NGX_HTTP_VAR_INDEXED) {
            return Err(Unassigned::Fixed);
        }
        let place = place(r, self.0.index).ok_or(Unassigned::Fixed)?;
        // SAFETY: the place is one of the request, and nobody has a reference to it.
        fill(unsafe { &mut *place });
        Ok(())
    }
}

/// Appends the value of a variable, whose name is in lower case; false when there is none, or it has none now.
pub fn get(r: HttpRequest<'_>, lower: &[u8], value: &mut Vec<u8>) -> bool {
    let mut name = ngx_str_t { len: lower.len(), data: lower.as_ptr().cast_mut() };
    // SAFETY: nginx reads the name while it looks, and keeps nothing of it.
    let found = unsafe { ngx_http_get_variable(r.as_ptr(), &mut name, hash(lower) as ngx_uint_t).as_ref() };
    let Some(found) = found.filter(|found| found.not_found() == 0) else { return false };
    value.extend_from_slice(found.as_bytes());
    true
}

/// The place of a value in a request.
fn place(r: HttpRequest<'_>, index: usize) -> Option<*mut ngx_http_variable_value_t> {
    // SAFETY: a request has a value for each variable of its configuration that has a place
    // (src/http/ngx_http_request.c, ngx_http_alloc_request).
    (index < indexed(r).len()).then(|| unsafe { (*r.as_ptr()).variables.add(index) })
}

/// Whether a value is known.
pub fn is_known(r: HttpRequest<'_>, index: usize) -> bool {
    // SAFETY: the place is one of the request.
    place(r, index).is_some_and(|value| unsafe { (*value).valid() != 0 })
}

/// Makes nginx ask for a value again. The result is what it was, if it was known.
pub fn forget(r: HttpRequest<'_>, index: usize) -> Option<Value> {
    // SAFETY: the place is one of the request, and nobody has a reference to it.
    let value = unsafe { &mut *place(r, index)? };
    let before = (value.valid() != 0).then_some(Value(*value));
    value.set_valid(0);
    value.set_not_found(0);
    before
}

/// Puts back what a value was before [`forget`].
pub fn put(r: HttpRequest<'_>, index: usize, value: &Value) {
    if let Some(place) = place(r, index) {
        // SAFETY: the place is one of the request; the value was one of the same request.
        unsafe { *place = value.0 };
    }
}

/// Has nginx compute a value, if it is not known; false when there is none now.
pub fn compute(r: HttpRequest<'_>, index: usize) -> bool {
    // SAFETY: the request is live; of an unknown place the function says so.
    let value = unsafe { ngx_http_get_indexed_variable(r.as_ptr(), index as ngx_uint_t).as_ref() };
    value.is_some_and(|value| value.not_found() == 0)
}

/// Does something that may match regular expressions, and leaves what `$1` and its likes stand for as it was: a `map` would
/// change it behind the back of a location.
pub fn with_captures_kept<R>(r: HttpRequest<'_>, run: impl FnOnce() -> R) -> R {
    #[cfg(ngx_feature = "pcre")]
    let kept = {
        // SAFETY: the request is live, and nobody has a reference to it.
        let r = unsafe { &mut *r.as_ptr() };
        // Without an array, nginx makes one (src/http/ngx_http_variables.c, ngx_http_regex_exec).
        (mem::take(&mut r.ncaptures), mem::replace(&mut r.captures, ptr::null_mut()), r.captures_data)
    };
    let result = run();
    #[cfg(ngx_feature = "pcre")]
    {
        // SAFETY: the request is live, and nobody has a reference to it.
        let r = unsafe { &mut *r.as_ptr() };
        (r.ncaptures, r.captures, r.captures_data) = kept;
    }
    let _ = r;
    result
}

/// Makes variables known whose values nginx asks for each time, before it reads what may name them.
///
/// # Safety
/// `cf` is what nginx passed to `preconfiguration`.
pub unsafe fn register(cf: *mut ngx_conf_t, variables: &[(&'static CStr, Getter)]) -> ngx_int_t {
    for (text, getter) in variables {
        // SAFETY: nginx takes variables before it reads what is in http { }, and copies the name.
        let variable = unsafe { ngx_http_add_variable(cf, &mut name(text), NGX_HTTP_VAR_NOCACHEABLE as ngx_uint_t) };
        // SAFETY: a variable of the configuration that is read.
        let Some(variable) = (unsafe { variable.as_mut() }) else { return rc::ERROR };
        variable.get_handler = Some(*getter);
    }
    rc::OK
}

/// Whether the configuration names a variable.
///
/// # Safety
/// `cycle` is a cycle whose configuration nginx has read.
pub unsafe fn is_named(cycle: *const ngx_cycle_t, variable: &[u8]) -> bool {
    let core: Option<NonNull<ngx_http_core_main_conf_t>> =
        // SAFETY: nginx has read the configuration, so that the context of HTTP is there, or null without http { }.
        unsafe { (*cycle).http_main_conf_unchecked(NgxHttpCoreModule::module()) };
    // SAFETY: each variable that has a place in requests is in the array.
    let named = core.map(|core| unsafe { core.as_ref().variables.as_slice::<ngx_http_variable_t>() });
    named.unwrap_or_default().iter().any(|known| known.name.as_bytes() == variable)
}
