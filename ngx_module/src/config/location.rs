//! What nginx keeps of us in the configuration of a location: whose it is, and which level. nginx makes one for each level, and
//! merges them from the outermost inwards.

use std::ffi::c_void;
use std::ptr;

use nginx_sys::ngx_conf_t;

use crate::config::chains;
use crate::config::conf::MainConf;
use crate::config::level::{Level, LevelName};
use crate::config::loc_conf::LocConf;
use crate::config::{phase_notes, programs};
use crate::nginx::conf::Conf;
use crate::nginx::request::{HttpRequest, LocationConf};

/// A level of a configuration.
pub struct Location {
    main: *mut MainConf,
    pub level: Level,
}

impl Location {
    /// `create_loc_conf` of the HTTP module.
    ///
    /// # Safety
    /// nginx passed `cf`.
    pub unsafe fn create(cf: *mut ngx_conf_t) -> *mut c_void {
        // SAFETY: nginx passes its own structure, which is there as long as the caller runs.
        let conf = unsafe { Conf::new(cf) };
        // SAFETY: nginx is making the cycle.
        let main = unsafe { MainConf::of(conf.cycle()) };
        // SAFETY: nothing else has hold of the configuration while nginx reads it.
        let level = unsafe { main.as_mut() }.and_then(|main| main.levels.add());
        let location = level.and_then(|level| conf.own(Location { main, level }));
        location.map_or(ptr::null_mut(), |location| location.cast())
    }

    /// `merge_loc_conf` of the HTTP module.
    ///
    /// # Safety
    /// nginx passed all three.
    pub unsafe fn merge(cf: *mut ngx_conf_t, outer: *mut c_void, inner: *mut c_void) {
        // SAFETY: nginx passes its own structure, which is there as long as the caller runs.
        let conf = unsafe { Conf::new(cf) };
        // SAFETY: it comes from `create`, and lives as long as the cycle.
        let outer = unsafe { &*outer.cast::<Location>() };
        // SAFETY: so does this one.
        let inner = unsafe { &*inner.cast::<Location>() };
        // SAFETY: both are of one configuration, and nothing else has hold of that while nginx merges levels.
        let main = unsafe { &mut *inner.main };
        chains::merge(main, inner.level, outer.level);
        main.levels.inherit(inner.level, outer.level);
        let name = conf.level_name().map(|(server, location)| LevelName { server, location });
        main.levels.set_name(inner.level, name);
        main.levels.set_log(inner.level, conf.level_log());
        main.levels[inner.level].calls.core = conf.resolver();
        programs::merge(&mut main.levels[inner.level].programs, &conf);
        phase_notes::look(main, inner.level, &conf);
    }

    /// The configuration that it is a part of.
    fn main<'a>(&self) -> &'a MainConf {
        // SAFETY: nothing has a unique borrow of a configuration that requests go by, and it is there as long as they.
        unsafe { &*self.main }
    }
}

// SAFETY: it is what `create_loc_conf` makes.
unsafe impl LocationConf for Location {}

impl MainConf {
    /// The configuration that a request goes by.
    pub fn of_request<'a>(r: HttpRequest<'_>) -> &'a MainConf {
        r.loc_conf::<Location>().main()
    }
}

impl LocConf {
    /// What the location says, or inherits, that a request is in.
    pub fn of(r: HttpRequest<'_>) -> &LocConf {
        let location = r.loc_conf::<Location>();
        &location.main().levels[location.level]
    }
}
