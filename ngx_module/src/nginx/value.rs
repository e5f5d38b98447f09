//! The value of a variable of nginx, which a getter of this module fills.

use std::ptr::NonNull;

use nginx_sys::{ngx_http_variable_value_t, ngx_int_t};

use super::rc;
use super::request::HttpRequest;

/// The place for a value.
pub struct VariableValue(NonNull<ngx_http_variable_value_t>);

impl VariableValue {
    /// # Safety
    /// `value` is what nginx passed to the getter that runs.
    pub unsafe fn from_ptr(value: *mut ngx_http_variable_value_t) -> VariableValue {
        // SAFETY: nginx passes a place.
        VariableValue(unsafe { NonNull::new_unchecked(value) })
    }

    /// Fills it; `None` is a variable without a value. The result is what the getter returns.
    pub fn set(mut self, r: HttpRequest<'_>, text: Option<&[u8]>) -> ngx_int_t {
        // SAFETY: the place is nginx's, for the time of the call.
        let value = unsafe { self.0.as_mut() };
        let Some(text) = text else {
            value.set_not_found(1);
            return rc::OK;
        };
        let Some(copy) = r.pool().copy(text) else { return rc::ERROR };
        value.data = copy.data;
        value.set_len(copy.len as u32);
        value.set_valid(1);
        value.set_no_cacheable(0);
        value.set_not_found(0);
        rc::OK
    }
}
