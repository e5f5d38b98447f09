//! What all directives have in common: the words of the line, the configuration that they fill, and how mistakes are told.

use std::ffi::{c_char, c_void};

use nginx_sys::{NGX_CORE_MODULE, NGX_LOG_EMERG, ngx_conf_parse, ngx_conf_t, ngx_str_t, ngx_uint_t};

use crate::config::conf::MainConf;
use crate::config::loc_conf::LocConf;
use crate::nginx::guard::guard;
use crate::nginx::log;
use crate::nginx::module::{CONF_ERROR, CONF_OK};
use crate::nginx::place::Place;

/// Directives inside `wasm { }`. Nginx compares the bit only among modules of one type, as it does for `events { }`.
pub const WASM_CONF: u32 = 0x0200_0000;

/// Directives inside `metrics { }`.
pub const METRICS_CONF: u32 = 0x0400_0000;

/// Reads what is in a block of the core module, whose directives have `kind`. They report their mistakes themselves.
///
/// # Safety
/// `cf` is what nginx passed to the handler of the block.
pub(super) unsafe fn read_block(cf: *mut ngx_conf_t, kind: u32) -> *mut c_char {
    // SAFETY: a block is parsed on a copy of the structure, as nginx's own blocks do (src/event/ngx_event.c, ngx_events_block).
    guard(CONF_ERROR, || unsafe {
        let outer = cf.read();
        (*cf).module_type = NGX_CORE_MODULE as ngx_uint_t;
        (*cf).cmd_type = kind as ngx_uint_t;
        let result = ngx_conf_parse(cf, std::ptr::null_mut());
        cf.write(outer);
        result
    })
}

/// A directive that nginx is reading.
pub struct Directive {
    pub(super) cf: *mut ngx_conf_t,
}

impl Directive {
    /// Runs `body`, and reports its error as nginx does: message, file, line.
    ///
    /// # Safety
    /// `cf` is what nginx passed to the handler that calls this.
    pub unsafe fn handle(cf: *mut ngx_conf_t, body: impl FnOnce(&Directive) -> Result<(), String>) -> *mut c_char {
        guard(CONF_ERROR, || {
            match body(&Directive { cf }) {
                Ok(()) => CONF_OK,
                Err(reason) => {
                    // SAFETY: `cf` and its log live as long as the handler runs.
                    unsafe {
                        let place = Place::of(cf);
                        log::write(NGX_LOG_EMERG, (*cf).log, format!("{} in {place}", log::printable(&reason)));
                    }
                    CONF_ERROR
                }
            }
        })
    }

    /// All words of the directive, its name first.
    pub(super) fn words(&self) -> &[ngx_str_t] {
        // SAFETY: nginx fills an array of strings before it calls a handler.
        unsafe { (*(*self.cf).args).as_slice() }
    }

    /// The argument of a directive that takes one, for nginx's own parsers.
    pub(super) fn argument(&self) -> Result<*mut ngx_str_t, String> {
        let word = self.words().get(1).ok_or("argument missing")?;
        Ok(std::ptr::from_ref(word).cast_mut())
    }

    /// The error for an argument that does not fit.
    pub(super) fn invalid(&self, wanted: &str) -> String {
        let word = |n| shown(self.word(n).unwrap_or_default()).into_owned();
        format!("invalid value \"{}\" of \"{}\": it takes {wanted}", word(1), word(0))
    }

    /// The error for a directive that stands twice on a level.
    pub(super) fn duplicate(&self) -> String {
        format!("\"{}\" directive is duplicate", shown(self.word(0).unwrap_or_default()))
    }

    /// Word number `n`, if there.
    pub(super) fn word(&self, n: usize) -> Option<&[u8]> {
        self.words().get(n).map(ngx_str_t::as_bytes)
    }

    pub(super) fn place(&self) -> Place {
        // SAFETY: as in `handle`.
        unsafe { Place::of(self.cf) }
    }

    /// The cycle's configuration. Nothing else borrows it while a directive is handled, so one short borrow at a time is
    /// unique.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn main(&self) -> Result<&mut MainConf, String> {
        // SAFETY: the core module made it before nginx read the first line.
        unsafe { MainConf::of((*self.cf).cycle).as_mut() }.ok_or_else(|| "the wasm module is not initialised".into())
    }
}

/// The location configuration that nginx passes to a handler.
///
/// # Safety
/// `conf` is that pointer, of a directive with [`NGX_HTTP_LOC_CONF_OFFSET`].
pub(super) unsafe fn loc<'a>(conf: *mut c_void) -> &'a mut LocConf {
    // SAFETY: it came from `LocConf::create`, and handlers run one at a time.
    unsafe { &mut *conf.cast::<LocConf>() }
}

/// Bytes for an error message.
pub(super) fn shown(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
