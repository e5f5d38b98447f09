//! What nginx hands to those who read its configuration with it: the directive that it is reading, the level that it is at, and
//! the cycle that all of it is for. nginx's own parsers of sizes and times are here too.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use nginx_sys::{
    NGX_CORE_MODULE, NGX_HTTP_MODULE, NGX_LOG_EMERG, ngx_conf_full_name, ngx_conf_parse, ngx_conf_t, ngx_cycle_t,
    ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_srv_conf_t, ngx_http_handler_pt, ngx_parse_size,
    ngx_parse_time, ngx_str_t, ngx_uint_t,
};
use ngx::core::NGX_CONF_OK;
use ngx::http::{HttpModule, HttpModuleConfExt, NgxHttpCoreModule};

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::log::{self, Log};
use crate::nginx::pool::{Kept, Pool};
use crate::nginx::resolver::Resolver;
use crate::nginx::upstream_block::{self, UpstreamBlock};
use crate::nginx::{location, modules, rc, realip, returns};

/// What a relative path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The folder of nginx.conf, as for `include` and `ssl_certificate`.
    Conf,
    /// nginx's prefix, as for what nginx writes to.
    Prefix,
}

/// nginx, reading a configuration.
pub struct Conf<'c>(*mut ngx_conf_t, PhantomData<&'c ()>);

impl<'c> Conf<'c> {
    /// # Safety
    /// `cf` is what nginx passed to the function that calls this, which runs for `'c` at most, and has no other handle of it.
    pub unsafe fn new(cf: *mut ngx_conf_t) -> Conf<'c> {
        Conf(cf, PhantomData)
    }

    /// For nginx's own functions.
    pub fn raw(&self) -> *mut ngx_conf_t {
        self.0
    }

    fn get<T>(&self, read: impl FnOnce(&ngx_conf_t) -> T) -> T {
        // SAFETY: the structure is there as long as this handle, and `read` only looks at its fields.
        read(unsafe { &*self.0 })
    }

    /// The cycle that nginx is making.
    pub fn cycle(&self) -> *mut ngx_cycle_t {
        self.get(|cf| cf.cycle)
    }

    /// The words of the directive, its name first. Their bytes stay in the pool of the cycle.
    pub fn words(&self) -> &[ngx_str_t] {
        // SAFETY: nginx has an array before it reads the first directive, and keeps it.
        let words = unsafe { &*self.get(|cf| cf.args) };
        // SAFETY: it has strings in it, and nginx reads the next ones in `read_block` only, which wants this handle for itself.
        unsafe { words.as_slice() }
    }

    /// Where the directive stands.
    pub fn place(&self) -> ConfPosition {
        // SAFETY: nginx sets and clears the file that it reads (src/core/ngx_conf_file.c, ngx_conf_parse).
        unsafe { ConfPosition::of(self.0) }
    }

    /// Says what is wrong with the directive, and where that stands, as nginx does.
    pub fn error(&self, reason: &str) {
        self.write_error(&format!("{} in {}", log::printable(reason), self.place()));
    }

    /// Says what is wrong with the configuration.
    pub fn write_error(&self, reason: &str) {
        // SAFETY: the log is there as long as nginx reads the configuration.
        unsafe { Log::from_ptr(self.get(|cf| cf.log)) }.write(NGX_LOG_EMERG, reason);
    }

    /// The pool of the cycle.
    pub fn pool(&self) -> Pool<'_> {
        // SAFETY: nginx has made it before it reads the configuration; it is destroyed with the cycle.
        unsafe { Pool::from_ptr(self.get(|cf| cf.pool)) }
    }

    /// Moves `value` into the pool of the cycle, and drops it with that. `None` when there is no memory.
    pub fn own<T: 'static>(&self, value: T) -> Option<*mut T> {
        self.pool().own(value).map(Kept::as_ptr)
    }

    /// A copy of these bytes in the pool of the cycle, with a NUL behind it.
    pub fn copy(&self, bytes: &[u8]) -> Result<ngx_str_t, String> {
        self.pool().copy(bytes).ok_or_else(|| "no memory".into())
    }

    /// The absolute path for one that may be relative.
    pub fn full_name(&self, path: &[u8], base: Base) -> Result<Vec<u8>, String> {
        let mut name = self.copy(path)?;
        // SAFETY: the string is one that nginx may replace, and has a NUL behind it.
        if unsafe { ngx_conf_full_name(self.cycle(), &mut name, (base == Base::Conf).into()) } != rc::OK {
            return Err("no memory".into());
        }
        Ok(name.as_bytes().to_vec())
    }

    /// Whether Lua can load modules.
    pub fn has_lua(&self) -> bool {
        // SAFETY: `load_module` stands before everything else, so all modules are known.
        unsafe { modules::has_lua(self.cycle()) }
    }

    /// Reads what is in a block of the core module, whose directives have `kind`. They report their mistakes themselves; the
    /// answer is whether there are none.
    pub fn read_block(&mut self, kind: u32) -> bool {
        // SAFETY: a block is parsed on a copy of the structure, as nginx's own do (src/event/ngx_event.c, ngx_events_block).
        let outer = unsafe { self.0.read() };
        let inner = ngx_conf_t { module_type: NGX_CORE_MODULE as ngx_uint_t, cmd_type: kind as ngx_uint_t, ..outer };
        // SAFETY: nginx looks at the structure when it reads on, and this handle has no borrow of it now.
        unsafe { self.0.write(inner) };
        // SAFETY: the file, or the argument of -g, that the block begins in is being read.
        let result = unsafe { ngx_conf_parse(self.0, ptr::null_mut()) };
        // SAFETY: the block is read, and nginx goes on with what was there before.
        unsafe { self.0.write(outer) };
        result == NGX_CONF_OK
    }

    /// The upstreams of the configuration, once they have balancers: in `postconfiguration`.
    pub fn upstreams(&self) -> impl Iterator<Item = UpstreamBlock<'_>> {
        self.http().into_iter().flat_map(upstream_block::of_level)
    }

    /// The resolver of the level of HTTP that nginx reads or merges, which lives as long as the cycle.
    pub fn resolver(&self) -> Option<Resolver> {
        // SAFETY: that is what the core module keeps of the level.
        self.core_location().map(|core| unsafe { Resolver::from_ptr(core) })
    }

    /// The error log that the level says, or has inherited, if it has one beside that of the cycle.
    pub fn level_log(&self) -> Option<Log<'static>> {
        // SAFETY: nothing changes what the core module keeps of the level meanwhile.
        let log = unsafe { self.core_location()?.as_ref() }.error_log;
        // SAFETY: error_log makes it in the pool of the cycle, or it is that of the cycle itself, and requests write to it
        // (src/core/ngx_log.c, ngx_log_set_log). The configuration that keeps this goes with the cycle.
        (!log.is_null()).then(|| unsafe { Log::from_ptr(log) })
    }

    /// nginx's own configuration of that level.
    fn core_location(&self) -> Option<NonNull<ngx_http_core_loc_conf_t>> {
        // SAFETY: that is what the core module says of a level.
        unsafe { self.http()?.http_location_conf_unchecked(NgxHttpCoreModule::module()) }
    }

    /// Has the location that nginx reads answered by `handler`. As with nginx's own directives, the last one has it.
    pub fn answer_with(&self, handler: ngx_http_handler_pt) {
        if let Some(core) = self.core_location() {
            // SAFETY: nobody else has hold of it while nginx calls a handler.
            unsafe { (*core.as_ptr()).handler = handler };
        }
    }

    /// Whether the level that nginx merges is an `if`, in which a request stays with the handler of the location around it.
    pub fn is_if(&self) -> bool {
        // SAFETY: nothing changes what the core module keeps of the level meanwhile.
        self.core_location().is_some_and(|core| unsafe { core.as_ref() }.noname() != 0)
    }

    /// Whether it is a `limit_except` that has no handler of its own.
    pub fn is_limit_except_without_handler(&self) -> bool {
        // SAFETY: nothing changes what the core module keeps of the level meanwhile.
        let core = self.core_location().map(|core| unsafe { core.as_ref() });
        core.is_some_and(|core| core.lmt_excpt() != 0 && core.handler.is_none())
    }

    /// What the level that nginx merges is called: its server, by the first name, and its location, in the words of nginx.conf. Both are
    /// empty where there is none. `None`: it is a part of the level around it, such as an `if`, and is called as that.
    pub fn level_name(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (core, http) = (self.core_location()?, self.http()?);
        // SAFETY: nothing changes what the core module keeps of the level meanwhile.
        let core = unsafe { core.as_ref() };
        if core.noname() != 0 || core.lmt_excpt() != 0 {
            return None;
        }
        // SAFETY: that is what the core module says of a server.
        let server: Option<NonNull<ngx_http_core_srv_conf_t>> =
            unsafe { http.http_server_conf_unchecked(NgxHttpCoreModule::module()) };
        // SAFETY: the core module has merged its own levels, and changes its names no more.
        let server = server.map_or(Vec::new(), |server| unsafe { server.as_ref() }.server_name.as_bytes().to_vec());
        let name = core.name.as_bytes();
        let is_regex = location::is_regex(core);
        let sign: &[u8] = match () {
            () if is_regex => b"~ ",
            () if core.exact_match() != 0 => b"= ",
            () if core.noregex() != 0 => b"^~ ",
            () => b"",
        };
        Some((server, [sign, name].concat()))
    }

    /// Whether a `return` of the level that nginx merges answers, as [`returns::in_location`] has it. The modules of the
    /// program itself have merged theirs before.
    pub fn returns(&self) -> bool {
        // SAFETY: the context has the array of the level.
        self.http().is_some_and(|http| unsafe { returns::in_location(http.loc_conf) })
    }

    /// Whether the level that nginx merges has the address of clients found out otherwise than its server has, and so behind
    /// the rewrite phase.
    pub fn learns_address_late(&self) -> bool {
        let (Some(http), Some(server)) = (self.http(), self.server()) else { return false };
        // SAFETY: the contexts have the arrays of the level and of its server, and the realip module is in the program itself.
        unsafe { realip::is_known_later(http.loc_conf, server.loc_conf) }
    }

    /// The context of HTTP, when that is what nginx reads.
    fn http(&self) -> Option<&ngx_http_conf_ctx_t> {
        let ctx = self.get(|cf| if cf.module_type == NGX_HTTP_MODULE as ngx_uint_t { cf.ctx } else { ptr::null_mut() });
        // SAFETY: the type of modules says whose context it is (src/http/ngx_http.c, ngx_http_block), and nginx changes it between
        // calls only.
        unsafe { ctx.cast::<ngx_http_conf_ctx_t>().as_ref() }
    }

    /// The context of the server that nginx is at.
    fn server(&self) -> Option<&ngx_http_conf_ctx_t> {
        // SAFETY: that is what the core module says of a server.
        let server = unsafe { self.http()?.http_server_conf_unchecked(NgxHttpCoreModule::module()) };
        let server: NonNull<ngx_http_core_srv_conf_t> = server?;
        // SAFETY: nginx changes it while it reads the server only.
        let ctx = unsafe { server.as_ref() }.ctx;
        // SAFETY: a server has its context, and http { } has none.
        unsafe { ctx.as_ref() }
    }
}

/// A size in nginx's form, such as 64k.
pub fn parse_size(word: &[u8]) -> Option<usize> {
    let mut word = borrowed(word);
    // SAFETY: the function only reads the bytes, all of which are there (src/core/ngx_parse.c).
    usize::try_from(unsafe { ngx_parse_size(&mut word) }).ok()
}

/// A time in nginx's form, such as 50ms.
pub fn parse_time(word: &[u8]) -> Option<Duration> {
    let mut word = borrowed(word);
    // SAFETY: the function only reads the bytes, all of which are there; 0 asks for milliseconds.
    let time = unsafe { ngx_parse_time(&mut word, 0) };
    u64::try_from(time).ok().map(Duration::from_millis)
}

fn borrowed(word: &[u8]) -> ngx_str_t {
    ngx_str_t { len: word.len(), data: word.as_ptr().cast_mut() }
}
