//! What happens once nginx has read the whole configuration, in the master or in `nginx -t`. All that can be found without compiling
//! anything is looked for first, in all modules, filters and programs; then modules are compiled; then filters and programs start
//! once, to see whether they like their configuration. Each mistake is told with the place of the directive that made it, and nginx
//! stays as it was. `module.rs` calls this.

use nginx_sys::{NGX_PROCESS_SIGNALLER, ngx_cycle_t, ngx_uint_t};

use crate::config::conf::MainConf;
use crate::config::mistakes::Mistakes;
use crate::config::rule_notes;
use crate::filters::{cycle, startup as filters};
use crate::nginx;
use crate::process::supply;
use crate::programs::startup as programs;

/// Mistakes, which are in the log already.
pub struct Reported;

/// Checks the configuration of a cycle and makes it ready for workers.
///
/// # Safety
/// `cycle` is the cycle that nginx is making, and `main` its configuration.
pub unsafe fn check(cycle: *mut ngx_cycle_t, main: &mut MainConf) -> Result<(), Reported> {
    // `nginx -s reload` reads the configuration too, only to find the pid.
    if nginx::cycle::process() == NGX_PROCESS_SIGNALLER as ngx_uint_t {
        return Ok(());
    }
    // SAFETY: nginx is making the cycle, as said above.
    let mut mistakes = Mistakes::new(unsafe { nginx::cycle::log_of(cycle) });
    // SAFETY: as said above; all of the configuration has been read.
    if !unsafe { nginx::cycle::debugs_connections(cycle) } {
        // SAFETY: as said above.
        rule_notes::look_at_logs(main, unsafe { nginx::cycle::next_log_of(cycle) });
    }
    // SAFETY: as said above.
    unsafe { prepare(cycle, main, &mut mistakes) };
    if mistakes.any() || supply::is_test() {
        supply::tell_warnings(&mut main.notes, mistakes.log());
    }
    if mistakes.any() { Err(Reported) } else { Ok(()) }
}

/// # Safety
/// As [`check`].
unsafe fn prepare(cycle: *mut ngx_cycle_t, main: &mut MainConf, mistakes: &mut Mistakes<'_>) {
    // SAFETY: nginx is making the cycle, as said above.
    let modules = unsafe { filters::look(cycle, main, mistakes) };
    let manifests = programs::look(main, &modules, mistakes);
    if mistakes.any() || main.modules.is_empty() {
        return;
    }
    modules.compile(main, mistakes);
    filters::start(main, mistakes);
    programs::make(main, manifests, mistakes);
    if !mistakes.any() {
        // SAFETY: nothing writes what is said about filters any more, and the configuration has its place in the pool of its cycle.
        unsafe { cycle::make(main) };
    }
}
