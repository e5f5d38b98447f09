//! How nginx calls the directives, all through one function; and what they get: the words of the line, and the configuration that
//! they fill. How words are read is in `values.rs`.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_http_request_t, ngx_int_t, ngx_str_t};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK, NgxStr};

use crate::config::conf::MainConf;
use crate::config::level::Level;
use crate::config::loc_conf::LocConf;
use crate::config::location::Location;
use crate::nginx::complex_value::ComplexValue;
use crate::nginx::conf::{Base, Conf};
use crate::nginx::conf_position::ConfPosition;
use crate::nginx::guard::guard;

/// Directives inside `wasm { }`. Nginx compares the bit only among modules of one type, as it does for `events { }`.
pub const WASM_CONF: u32 = 0x0200_0000;

/// Directives inside `metrics { }`.
pub const METRICS_CONF: u32 = 0x0400_0000;

/// What a directive does. An error says what is wrong with it; where it stands is said here.
pub enum Handler {
    /// It is about the whole configuration.
    Main(fn(&Directive, &mut MainConf) -> Result<(), String>),
    /// The same, and it begins a block of the core module. The directives in that have this kind.
    Block(fn(&Directive, &mut MainConf) -> Result<(), String>, u32),
    /// It is about a level of http { }.
    Level(fn(&Directive, &mut LocConf) -> Result<(), String>),
    /// It is about filters of a level of http { }.
    Filters(fn(&Directive, &mut MainConf, Level) -> Result<(), String>),
    /// The location answers.
    Content(ContentHandler),
    /// The same in one of several forms, of which the argument names one. Without one it is the first.
    ContentIn(&'static [ContentForm]),
    /// The same, and it is about the level.
    Answer(fn(&Directive, &mut LocConf) -> Result<(), String>, ContentHandler),
}

/// What nginx calls to answer a request.
pub type ContentHandler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// A form of an answer: its word, and who answers so.
pub type ContentForm = (&'static str, ContentHandler);

/// The function of all directives that nginx calls. A mistake is reported as nginx does: message, file, line.
///
/// # Safety
/// nginx calls it for a row of a table, which has a [`Handler`] in `post`; those of levels have the configuration of the
/// location (`NGX_HTTP_LOC_CONF_OFFSET`).
pub unsafe extern "C" fn handle(cf: *mut ngx_conf_t, command: *mut ngx_command_t, level: *mut c_void) -> *mut c_char {
    guard(NGX_CONF_ERROR, || {
        // SAFETY: nginx passes its own structure, which is there as long as this runs.
        let mut conf = unsafe { Conf::new(cf) };
        // SAFETY: nginx passes the row that it has found in a table of this module.
        let post = unsafe { (*command).post };
        // SAFETY: each row has a handler there, which is a part of the program.
        let handler = unsafe { &*post.cast::<Handler>() };
        // SAFETY: the level is what nginx has for a row of this kind.
        if let Err(reason) = unsafe { run(handler, &conf, level.cast()) } {
            conf.error(&reason);
            return NGX_CONF_ERROR;
        }
        match handler {
            Handler::Block(_, kind) if !conf.read_block(*kind) => NGX_CONF_ERROR,
            _ => NGX_CONF_OK,
        }
    })
}

/// # Safety
/// As [`handle`].
unsafe fn run(handler: &Handler, conf: &Conf, level: *const Location) -> Result<(), String> {
    let directive = Directive(conf);
    // SAFETY: nginx is making the cycle.
    let main = unsafe { MainConf::of(conf.cycle()) };
    // SAFETY: nothing else has hold of the configuration while a directive is handled.
    let main = unsafe { main.as_mut() }.ok_or("the wasm module is not initialised")?;
    // SAFETY: `Location::create` has made what nginx passes for a level, and it is there as long as the cycle.
    let level = || unsafe { (*level).level };
    match handler {
        Handler::Main(run) | Handler::Block(run, _) => run(&directive, main),
        Handler::Level(run) => run(&directive, &mut main.levels[level()]),
        Handler::Filters(run) => run(&directive, main, level()),
        Handler::Content(handler) => {
            conf.answer_with(Some(*handler));
            Ok(())
        }
        Handler::ContentIn(forms) => {
            let first = forms.first().map(|(_, handler)| *handler);
            let handler = if directive.word(1).is_some() { Some(directive.choice(forms)?) } else { first };
            conf.answer_with(handler);
            Ok(())
        }
        Handler::Answer(run, handler) => {
            let loc = &mut main.levels[level()];
            loc.programs.handler = Some(*handler);
            run(&directive, loc)?;
            conf.answer_with(Some(*handler));
            Ok(())
        }
    }
}

/// A directive that nginx is reading.
pub struct Directive<'c>(&'c Conf<'c>);

impl Directive<'_> {
    /// What it is called.
    pub fn name(&self) -> &NgxStr {
        shown(self.word(0).unwrap_or_default())
    }

    /// Word number `n`, if there; the name is number 0.
    pub fn word(&self, n: usize) -> Option<&[u8]> {
        self.0.words().get(n).map(ngx_str_t::as_bytes)
    }

    /// All words behind the name.
    pub fn values(&self) -> Vec<&[u8]> {
        self.0.words().iter().skip(1).map(ngx_str_t::as_bytes).collect()
    }

    /// The first word behind the name as a string of nginx, in the pool of the cycle.
    pub fn text(&self) -> Result<ngx_str_t, String> {
        self.0.words().get(1).copied().ok_or_else(|| "argument missing".into())
    }

    /// Word number `n` as a text that may have variables in it.
    pub fn complex_value(&self, n: usize) -> Result<ComplexValue, String> {
        self.complex_text(self.word(n).unwrap_or_default())
    }

    /// A part of a word as such a text.
    pub fn complex_text(&self, text: &[u8]) -> Result<ComplexValue, String> {
        ComplexValue::compile(self.0, text)
    }

    /// Where it stands.
    pub fn place(&self) -> ConfPosition {
        self.0.place()
    }

    /// The absolute path for one that may be relative.
    pub fn full_name(&self, path: &[u8], base: Base) -> Result<Vec<u8>, String> {
        self.0.full_name(path, base)
    }
}

/// Bytes for an error message.
pub fn shown(bytes: &[u8]) -> &NgxStr {
    NgxStr::from_bytes(bytes)
}
