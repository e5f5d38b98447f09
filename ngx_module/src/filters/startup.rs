//! What happens to filters once nginx has read the whole configuration, in the master or in `nginx -t`: their modules and configurations
//! are found, and, once modules are compiled, each filter is started once, to see whether it likes its configuration.
//! `startup.rs` above the rooms calls this.

use std::path::Path;
use std::time::Instant;

use nginx_sys::ngx_cycle_t;
use ngx::core::NgxStr;
use ngx_wasm::proxy_wasm::{ContextId, Vm};

use crate::config::conf::MainConf;
use crate::config::configuration_file;
use crate::config::filter_conf::{FilterConf, ModuleConf};
use crate::config::mistakes::Mistakes;
use crate::config::modules::Modules;
use crate::config::rules::Isolation;
use crate::filters::configured;
use crate::filters::instances::told;
use crate::filters::root_host::RootHost;
use crate::nginx::conf_position::ConfPosition;
use crate::nginx::{modules, variables};
use crate::process::cpu_clock::with_cpu_clock;
use crate::process::status::FilterStatus;
use crate::process::supply::Note;

/// Finds what is wrong with filters and modules, as far as that can be seen before anything is compiled.
///
/// # Safety
/// `cycle` is the cycle that nginx is making, and `main` its configuration.
pub unsafe fn look(cycle: *mut ngx_cycle_t, main: &mut MainConf, mistakes: &mut Mistakes<'_>) -> Modules {
    // SAFETY: nginx has read the configuration.
    main.measures_time = unsafe { variables::is_named(cycle, b"wasm_time") };
    for mistake in std::mem::take(&mut main.mistakes) {
        mistakes.add_told(&mistake);
    }
    // SAFETY: nginx is making the cycle, and makes shared memory after this.
    if let Err((place, reason)) = unsafe { declare_zones(cycle, main) } {
        match place.or_else(|| main.wasm_block.clone()).or_else(|| Some(main.filters.first()?.place.clone())) {
            Some(place) => mistakes.add(&place, &reason),
            None => mistakes.add_told(&reason),
        }
    }
    find_modules(main, mistakes);
    read_configurations(main, mistakes);
    check_grants(main, mistakes);
    Modules::look(main, mistakes)
}

/// Starts each filter whose module is there, to see whether it does.
pub fn start(main: &mut MainConf, mistakes: &mut Mistakes<'_>) {
    let begin = Instant::now();
    for filter in &mut main.filters {
        let (lines, trace) = (filter.lines.clone(), filter.policy.trace);
        let mut host = RootHost::new(mistakes.log(), filter.timeout, lines, FilterStatus::default(), trace);
        let engine = main.engines.iter().find(|(form, _)| *form == filter.form()).map(|(_, engine)| engine);
        let is_compiled = filter.module(&main.modules).is_some_and(|module| module.compiled(filter.form()).is_some());
        // Why its module is not compiled, was told.
        let (Some(engine), true) = (engine, is_compiled) else { continue };
        // The instance ends here. Workers make their own: what a guest keeps, and its random numbers, must not be shared.
        match with_cpu_clock(engine, || configured::start(filter, &main.modules, &mut host)) {
            Ok((vm, root)) => note_start(filter, vm, root, &mut main.notes),
            Err(reason) => mistakes.add(&filter.place, &does_not_start(filter, &reason)),
        }
    }
    main.start_time = begin.elapsed();
}

fn does_not_start(filter: &FilterConf, reason: &str) -> String {
    format!("filter \"{}\" does not start: {reason}", NgxStr::from_bytes(&filter.name))
}

/// Notes what the start of a filter tells about it.
fn note_start(filter: &mut FilterConf, mut vm: Vm, root: ContextId, notes: &mut Vec<Note>) {
    let (name, place) = (NgxStr::from_bytes(&filter.name), &filter.place);
    if vm.may_not_know_root(root) {
        notes.push(Note::warning(format!(
            "filter \"{name}\" has asked for its root id, which is \"{}\", and not looked at its configuration: if it does not \
             know that root id, it does nothing; \"root_id=ID\" names another, in {place}",
            NgxStr::from_bytes(&filter.root_id),
        )));
    }
    if !vm.has_callbacks() {
        let why = match filter.capabilities {
            Some(_) => "it exports none, or \"proxy_wasm_allow\" leaves it none",
            None => "it exports none, as \"proxy_on_request_headers\" is one: build it with a Proxy-Wasm SDK",
        };
        notes.push(Note::warning(format!(
            "filter \"{name}\" has no callbacks of Proxy-Wasm, so it does nothing, and all requests pass: {why}, in {place}"
        )));
    }
    if filter.policy.isolation != Isolation::Request {
        return;
    }
    match vm.image() {
        Err(reason) => {
            filter.always_starts = true;
            notes.push(Note::notice(format!("{}, in {place}", told(&filter.name, &reason))));
        }
        Ok(_) if vm.has_read_random() => notes.push(Note::notice(format!(
            "filter \"{name}\" reads random numbers at its start, which all requests of a worker find as they were then: a \
             generator that is seeded there gives each request the same numbers; \"proxy_wasm_isolation request fresh\" has it \
             start for each, in {place}"
        ))),
        Ok(_) => {}
    }
}

/// Finds the module of each filter, and of each location that a program answers.
fn find_modules(main: &mut MainConf, mistakes: &mut Mistakes<'_>) {
    let MainConf { filters, programs, modules, .. } = main;
    let mut find = |name: &[u8], directive: &str, place: &ConfPosition| {
        let found = modules.iter().position(|module| module.name == name);
        if found.is_none() {
            mistakes.add(place, &unknown(name, directive, modules));
        }
        found
    };
    for filter in filters {
        filter.module = find(&filter.name, "proxy_wasm", &filter.place);
    }
    for program in programs {
        program.module = find(&program.name, program.kind.directive(), &program.place);
    }
}

/// Reads the configurations that are in files.
fn read_configurations(main: &mut MainConf, mistakes: &mut Mistakes<'_>) {
    let mut read = |what: &str, name: &[u8], path: &Path, place: &ConfPosition| {
        configuration_file::read(path).unwrap_or_else(|reason| {
            let (name, path) = (NgxStr::from_bytes(name), path.display());
            mistakes.add(place, &format!("{what} \"{name}\": cannot read its configuration from \"{path}\": {reason}"));
            Vec::new()
        })
    };
    for module in &mut main.modules {
        if let Some(path) = &module.file {
            module.vm_configuration = read("module", &module.name, path, &module.place);
        }
    }
    for filter in &mut main.filters {
        if let Some(path) = &filter.file {
            filter.configuration = read("filter", &filter.name, path, &filter.place);
        }
    }
}

/// Opens the directories that filters may use.
fn check_grants(main: &MainConf, mistakes: &mut Mistakes<'_>) {
    for filter in &main.filters {
        if let Some(Err(reason)) = filter.capabilities.as_deref().map(Vm::check_grants) {
            mistakes.add(&filter.place, &does_not_start(filter, &reason.to_string()));
        }
    }
}

/// Asks nginx for shared memory, if anything needs it. An error has the place of the directive that made it, if any.
///
/// # Safety
/// As [`look`].
unsafe fn declare_zones(cycle: *mut ngx_cycle_t, main: &mut MainConf) -> Result<(), (Option<ConfPosition>, String)> {
    // SAFETY: all modules of the cycle are known.
    if !unsafe { wants_shared_memory(cycle, main) } {
        return Ok(());
    }
    // SAFETY: nginx makes shared memory after this, as said above.
    unsafe { main.shared.declare(cycle, &main.settings) }?;
    // SAFETY: nginx makes shared memory after this, as said above.
    unsafe {
        let (filters, measures) = (main.filters.len() + main.programs.len(), main.measures_callbacks == Some(true));
        main.status.declare(cycle, filters, measures).map_err(|reason| (None, reason))
    }
}

/// Whether anything can run that shares something: filters, or what Lua loads.
///
/// # Safety
/// `cycle` is the cycle that nginx is making, all of whose modules are known.
unsafe fn wants_shared_memory(cycle: *mut ngx_cycle_t, main: &MainConf) -> bool {
    if main.wasm_block.is_some() || main.engine.is_some() || !main.filters.is_empty() {
        return true;
    }
    // SAFETY: all modules of the cycle are known, as said above.
    unsafe { modules::has_lua(cycle) }
}

fn unknown(name: &[u8], directive: &str, modules: &[ModuleConf]) -> String {
    let known = match modules {
        [] => "there is no \"wasm { module NAME PATH; }\"".to_owned(),
        modules => {
            let names: Vec<_> = modules.iter().map(|module| NgxStr::from_bytes(&module.name).to_string()).collect();
            format!("known are {}", names.join(", "))
        }
    };
    format!("unknown module \"{}\" in \"{directive}\"; {known}", NgxStr::from_bytes(name))
}
