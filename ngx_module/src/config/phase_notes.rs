//! What `nginx -t` warns of when `proxy_wasm_phase` and other modules do not go together in a location. `conf.rs` calls this when
//! it merges levels.

use std::ffi::c_void;

use nginx_sys::{
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_module, ngx_http_core_srv_conf_t, ngx_str_t, ngx_uint_t,
};

use crate::config::conf::MainConf;
use crate::config::loc_conf::{LocConf, Phase};
use crate::nginx::modules::{self, Known};
use crate::nginx::returns;
use crate::process::supply::Note;

/// What the realip module says of a level: the beginning of its structure
/// (src/http/modules/ngx_http_realip_module.c, ngx_http_realip_loc_conf_t).
#[repr(C)]
struct Realip {
    from: *const c_void,
    type_: ngx_uint_t,
    hash: ngx_uint_t,
    header: ngx_str_t,
    recursive: isize,
}

impl Realip {
    fn is_like(&self, other: &Realip) -> bool {
        let key = |realip: &Realip| (realip.from, realip.type_, realip.header.len, realip.recursive, realip.hash);
        key(self) == key(other)
    }
}

/// Looks at a level that nginx has just merged.
///
/// # Safety
/// `cf` is nginx's, while it merges this level. The modules of the program itself have merged theirs before.
pub unsafe fn look(main: &mut MainConf, level: &LocConf, cf: *mut ngx_conf_t) {
    let first = main.chains.get(level.chain).and_then(|chain| main.filters.get(*chain.first()?));
    let Some(filter) = first else { return };
    let (name, place) = (String::from_utf8_lossy(&filter.name), &filter.place);
    // SAFETY: see above; the context has the arrays of the level, and the server's configuration leads to those of the server.
    let text = unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let own = (*ctx).loc_conf;
        let server: *mut ngx_http_core_srv_conf_t = (*(*ctx).srv_conf.add(ngx_http_core_module.ctx_index)).cast();
        let of_server = (*(*server).ctx).loc_conf;
        match level.phase() {
            Phase::Rewrite if is_known_later(own, of_server) => format!(
                "\"proxy_wasm {name}\" in {place} sees the address of the proxy in front, not the client's, in a location whose \
                 \"set_real_ip_from\" or \"real_ip_header\" is not that of its server: nginx finds the address out behind the \
                 rewrite phase; say them in the server, or \"proxy_wasm_phase access\", or leave \"proxy_wasm_phase\" out"
            ),
            Phase::Access if returns::in_location(own) => format!(
                "\"proxy_wasm {name}\" in {place} does not see requests that a \"return\" of the location answers: with \
                 \"proxy_wasm_phase access\" it runs behind that; use \"proxy_wasm_phase rewrite\" where it is to guard them"
            ),
            _ => return,
        }
    };
    // Levels further in inherit it.
    if !main.notes.iter().any(|note| note.says(&text)) {
        main.notes.push(Note::warning(text));
    }
}

/// Whether the address of clients is found out behind the rewrite phase, or in another way than before it.
unsafe fn is_known_later(own: *mut *mut c_void, of_server: *mut *mut c_void) -> bool {
    // SAFETY: see `look`; both are that module's, or null.
    unsafe {
        let own = modules::loc_conf(own, Known::Realip).cast::<Realip>().as_ref();
        let of_server = modules::loc_conf(of_server, Known::Realip).cast::<Realip>().as_ref();
        match (own, of_server) {
            (Some(own), Some(of_server)) => !own.from.is_null() && !own.is_like(of_server),
            _ => false,
        }
    }
}
