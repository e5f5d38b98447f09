//! What nginx finds when it loads the shared object: two modules (one for the top level of the configuration, one for
//! HTTP), their hooks, and the place of the second in the chain of filters.

use std::ffi::{c_char, c_void};
use std::ptr;

use nginx_sys::{
    NGX_CORE_MODULE, NGX_HTTP_MODULE, NGX_LOG_EMERG, NGX_PROCESS_MASTER, ngx_conf_t, ngx_core_module_t, ngx_cycle_t,
    ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_uint_t,
};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};

use crate::commands;
use crate::config::conf::MainConf;
use crate::config::location::Location;
use crate::content::program;
use crate::filters::{queue_ready, requests, worker};
use crate::http::{for_filters, phases, report, upstream_choice};
use crate::net;
use crate::nginx::conf::Conf;
use crate::nginx::guard::guard;
use crate::nginx::module::name;
use crate::nginx::{cycle, log, modules, rc, symbols, variables};
use crate::process::status;
use crate::process::{engine, new_workers, supply};
use crate::programs;
use crate::startup;

/// The core module, with the `wasm` block.
#[unsafe(no_mangle)]
pub static mut ngx_wasm_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const CORE_CTX).cast_mut().cast(),
    commands: (&raw mut commands::CORE).cast(),
    type_: NGX_CORE_MODULE as _,
    init_module: Some(init_module),
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    ..ngx_module_t::default()
};

/// The HTTP module, with the filters of locations.
#[unsafe(no_mangle)]
pub static mut ngx_http_wasm_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const HTTP_CTX).cast_mut().cast(),
    commands: (&raw mut commands::HTTP).cast(),
    type_: NGX_HTTP_MODULE as _,
    ..ngx_module_t::default()
};

static mut CORE_CTX: ngx_core_module_t =
    ngx_core_module_t { name: name(c"wasm"), create_conf: Some(create_main_conf), init_conf: Some(init_main_conf) };

static mut HTTP_CTX: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: None,
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(create_loc_conf),
    merge_loc_conf: Some(merge_loc_conf),
};

#[cfg(feature = "export-modules")]
mod exports {
    //! The tables that nginx reads from a dynamic module; its own build generates them otherwise.

    use super::*;

    #[unsafe(no_mangle)]
    pub static mut ngx_modules: [*const ngx_module_t; 3] =
        [&raw const ngx_http_wasm_module, &raw const ngx_wasm_module, ptr::null()];

    #[unsafe(no_mangle)]
    pub static mut ngx_module_names: [*const c_char; 3] =
        [c"ngx_http_wasm_module".as_ptr(), c"ngx_wasm_module".as_ptr(), ptr::null()];

    /// Nginx calls filters from the last in its list to the first. Standing right before the copy filter means to run
    /// right after it, where bodies are in memory, and before gzip, chunked and the rest see them.
    #[unsafe(no_mangle)]
    pub static mut ngx_module_order: [*const c_char; 3] =
        [c"ngx_http_wasm_module".as_ptr(), c"ngx_http_copy_filter_module".as_ptr(), ptr::null()];
}

unsafe extern "C" fn create_main_conf(cycle: *mut ngx_cycle_t) -> *mut c_void {
    guard(ptr::null_mut(), || {
        if let Some(reason) = symbols::wrong_headers() {
            // SAFETY: nginx is making the cycle.
            unsafe { cycle::log_of(cycle) }.write(NGX_LOG_EMERG, reason);
            return ptr::null_mut();
        }
        // SAFETY: nginx calls this for a cycle that it is making.
        unsafe { MainConf::create(cycle) }
    })
}

unsafe extern "C" fn init_main_conf(cycle: *mut ngx_cycle_t, conf: *mut c_void) -> *mut c_char {
    guard(NGX_CONF_ERROR, || {
        // SAFETY: nginx passes what `create_main_conf` returned, and nothing else has hold of it.
        let main = unsafe { &mut *conf.cast::<MainConf>() };
        // SAFETY: nginx has read the whole configuration of the cycle that it is making.
        match unsafe { startup::check(cycle, main) } {
            Ok(()) => NGX_CONF_OK,
            Err(startup::Reported) => NGX_CONF_ERROR,
        }
    })
}

unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx passes its own structure.
    guard(ptr::null_mut(), || unsafe { Location::create(cf) })
}

unsafe extern "C" fn merge_loc_conf(cf: *mut ngx_conf_t, outer: *mut c_void, inner: *mut c_void) -> *mut c_char {
    guard(NGX_CONF_ERROR, || {
        // SAFETY: both come from `create_loc_conf`.
        unsafe { Location::merge(cf, outer, inner) };
        NGX_CONF_OK
    })
}

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx knows all modules when it begins to read http { }.
        unsafe { modules::install(cf) };
        requests::know(for_filters::FOR_FILTERS);
        // SAFETY: nginx calls this before it reads what is in http { }.
        unsafe { variables::register(cf, &report::VARIABLES) }
    })
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx passes its own structure, which is there as long as this runs.
        let conf = unsafe { Conf::new(cf) };
        // SAFETY: nginx is making the cycle.
        let main = unsafe { MainConf::of(conf.cycle()) };
        // SAFETY: nginx calls this once, after it has merged all levels, and nothing else has hold of the configuration.
        let Some(main) = (unsafe { main.as_mut() }) else { return rc::ERROR };
        if let Err(reason) = main.complete(&conf) {
            conf.write_error(&log::printable(&reason));
            return rc::ERROR;
        }
        // Who has the module loaded and no filter has upstreams as without it.
        if !main.filters.is_empty() || conf.has_lua() {
            main.balancers.install(&conf, upstream_choice::INIT);
        }
        // SAFETY: this is `postconfiguration`.
        unsafe { phases::install(cf) }.map_or(rc::ERROR, |()| rc::OK)
    })
}

/// Nginx has made all that the new cycle needs, shared memory too, and goes over to it.
unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx passes the cycle that it has made.
        let main = unsafe { MainConf::of(cycle) };
        // SAFETY: the configuration is complete, no guest runs, and nothing else has hold of it.
        if let Some(main) = unsafe { main.as_mut() } {
            cycle::begin();
            main.shared.enter();
            main.balancers.enter();
            // SAFETY: nginx goes over to this cycle.
            let log = unsafe { cycle::log_of(cycle) };
            let filters = main.filters.iter().map(|filter| filter.identity(&main.modules));
            main.status.enter(filters.chain(main.programs.iter().map(|program| program.identity())), log);
            if !supply::is_test() {
                supply::log_notes(&mut main.notes, log);
            }
            queue_ready::prepare(main);
            // Workers serve already, those of the cycle before.
            if cycle::process() == NGX_PROCESS_MASTER as ngx_uint_t {
                // SAFETY: nginx goes over to this cycle.
                new_workers::expect(unsafe { cycle::workers(cycle) }, main.start_time);
            }
        }
        rc::OK
    })
}

unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard(rc::ERROR, || {
        if engine::enter_worker() {
            // SAFETY: a process that starts has a complete cycle.
            let main = unsafe { MainConf::of(cycle) };
            // SAFETY: it is as long there as the process, or until the next one, and nothing writes to it.
            if let Some(main) = unsafe { main.as_ref() } {
                // SAFETY: the process has this cycle.
                worker::start(main, unsafe { cycle::log_of(cycle) });
                program::prepare(main);
            }
            new_workers::ready();
        }
        rc::OK
    })
}

unsafe extern "C" fn exit_process(_: *mut ngx_cycle_t) {
    guard((), || {
        queue_ready::leave();
        programs::worker::leave();
        worker::tell_lines();
        status::leave();
        net::leave();
        engine::leave_worker();
    });
}
