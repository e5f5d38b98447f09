//! Texts of the configuration that may have variables of nginx in them (src/http/ngx_http_script.c).

use std::ptr::NonNull;

use nginx_sys::{
    ngx_http_compile_complex_value, ngx_http_compile_complex_value_t, ngx_http_complex_value, ngx_http_complex_value_t,
    ngx_str_t,
};

use super::conf::Conf;
use super::plain::Plain;
use super::rc;
use super::request::{HttpRequest, bytes};

/// A text, as long there as its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComplexValue(NonNull<ngx_http_complex_value_t>);

impl ComplexValue {
    /// Looks for variables in a text of a directive. nginx says itself what is wrong with it.
    pub fn compile(conf: &Conf<'_>, text: &[u8]) -> Result<ComplexValue, String> {
        let mut text = conf.copy(text)?;
        let value = NonNull::from(conf.pool().zeroed::<ngx_http_complex_value_t>().ok_or("no memory")?);
        let mut compile = ngx_http_compile_complex_value_t::zeros();
        (compile.cf, compile.value, compile.complex_value) = (conf.raw(), &raw mut text, value.as_ptr());
        // SAFETY: nginx reads a directive; what it keeps of the text lies in the pool of the cycle, as the value does.
        match unsafe { ngx_http_compile_complex_value(&raw mut compile) } {
            rc::OK => Ok(ComplexValue(value)),
            _ => Err("the variables in it are not right".into()),
        }
    }

    /// The text, if there is no variable in it.
    pub fn constant(&self) -> Option<&[u8]> {
        // SAFETY: the value is as long there as its configuration, which keeps this.
        let value = unsafe { self.0.as_ref() };
        // SAFETY: the text lies in the pool of the configuration.
        value.lengths.is_null().then(|| unsafe { bytes(value.value) })
    }

    /// The text with the values that the variables have in a request. `None`: there is no memory.
    pub fn of<'r>(&self, r: HttpRequest<'r>) -> Option<&'r [u8]> {
        let mut text = ngx_str_t::default();
        // SAFETY: the value is as long there as the configuration that the request goes by.
        if unsafe { ngx_http_complex_value(r.as_ptr(), self.0.as_ptr(), &raw mut text) } != rc::OK {
            return None;
        }
        // SAFETY: the text lies in the pool of the request, or in that of its configuration.
        Some(unsafe { bytes(text) })
    }
}
