//! What happens once nginx has read the whole configuration, in the master or in `nginx -t`: modules are compiled and
//! linked, and each filter is started once, to see whether it likes its configuration. A mistake is reported with the
//! place of the directive that made it, and nginx stays as it was.

use std::path::Path;

use nginx_sys::{NGX_LOG_EMERG, NGX_LOG_WARN, NGX_PROCESS_SIGNALLER, ngx_cycle_t, ngx_uint_t};
use ngx::core::NgxStr;
use ngx_wasm::programs::START;
use ngx_wasm::proxy_wasm::{ContextId, Vm};
use ngx_wasm::vm::Engine;

use crate::config::conf::MainConf;
use crate::config::configuration_file;
use crate::config::filter_conf::{FilterConf, ModuleConf};
use crate::config::program_conf::{AnswererKind, ProgramLocation};
use crate::config::rules::Isolation;
use crate::filters::configured;
use crate::filters::cycle::make as make_running;
use crate::filters::instances::told;
use crate::filters::root_host::RootHost;
use crate::nginx::conf_position::ConfPosition;
use crate::nginx::log::{self, Log};
use crate::nginx::variables;
use crate::nginx::{cycle, modules};
use crate::process::cpu_clock::with_cpu_clock;
use crate::process::engine::ModuleVariant;
use crate::process::status::FilterStatus;
use crate::process::supply::{self, Note, Supplier};

/// The error is in the log already.
pub struct Reported;

/// Checks the configuration of a cycle and makes it ready for workers.
///
/// # Safety
/// `cycle` is the cycle that nginx is making, and `main` its configuration.
pub unsafe fn check(cycle: *mut ngx_cycle_t, main: &mut MainConf) -> Result<(), Reported> {
    // SAFETY: nginx is making the cycle, as said above.
    let log = unsafe { cycle::log_of(cycle) };
    // SAFETY: nginx is making the cycle, as said above.
    let result = unsafe { prepare(cycle, main, log) };
    if result.is_err() || supply::is_test() {
        supply::tell_warnings(&mut main.notes, log);
    }
    result
}

/// # Safety
/// As [`check`]. The log is that of the cycle.
unsafe fn prepare(cycle: *mut ngx_cycle_t, main: &mut MainConf, log: Log<'_>) -> Result<(), Reported> {
    // `nginx -s reload` reads the configuration too, only to find the pid.
    if cycle::process() == NGX_PROCESS_SIGNALLER as ngx_uint_t {
        return Ok(());
    }
    let report = |place: &ConfPosition, reason: String| {
        log.write(NGX_LOG_EMERG, format!("{} in {place}", log::printable(&reason)));
        Reported
    };

    // SAFETY: nginx has read the configuration.
    main.measures_time = unsafe { variables::is_named(cycle, b"wasm_time") };

    // SAFETY: nginx is making the cycle, and makes shared memory after this.
    if let Err((place, reason)) = unsafe { declare_zones(cycle, main) } {
        let place = place.or_else(|| main.wasm_block.clone()).or_else(|| Some(main.filters.first()?.place.clone()));
        let place = place.map(|place| format!(" in {place}")).unwrap_or_default();
        log.write(NGX_LOG_EMERG, format!("{}{place}", log::printable(&reason)));
        return Err(Reported);
    }

    for n in 0..main.filters.len() {
        let filter = &main.filters[n];
        let Some(module) = main.modules.iter().position(|module| module.name == filter.name) else {
            return Err(report(&filter.place, unknown(&filter.name, "proxy_wasm", &main.modules)));
        };
        main.filters[n].module = Some(module);
    }
    for n in 0..main.programs.len() {
        let program = &main.programs[n];
        let Some(module) = main.modules.iter().position(|module| module.name == program.name) else {
            return Err(report(&program.place, unknown(&program.name, program.kind.directive(), &main.modules)));
        };
        main.programs[n].module = Some(module);
    }
    if main.modules.is_empty() {
        return Ok(());
    }

    read_configurations(main).map_err(|(place, reason)| report(&place, reason))?;
    let mut notes = Vec::new();
    let supplied = supply_all(main, log, &mut notes);
    main.notes.append(&mut notes);
    supplied.map_err(|(place, reason)| report(&place, reason))?;
    give_memory_back();
    for filter in &mut main.filters {
        let mut host =
            RootHost::new(log, filter.name.clone(), filter.timeout, filter.lines.clone(), FilterStatus::default());
        let Some(engine) = main.engines.iter().find(|(form, _)| *form == filter.form()).map(|(_, engine)| engine)
        else {
            return Err(report(&filter.place, "its module is not compiled".into()));
        };
        // The instance ends here. Workers make their own: what a guest keeps, and its random numbers, must not be shared.
        let name = NgxStr::from_bytes(&filter.name);
        match with_cpu_clock(engine, || configured::start(filter, &main.modules, &mut host)) {
            Ok((vm, root)) => note_start(filter, vm, root, &mut main.notes),
            Err(reason) => {
                return Err(report(&filter.place, format!("filter \"{name}\" does not start: {reason}")));
            }
        }
    }
    // SAFETY: nothing writes what is said about filters any more, and the configuration has its place in the pool of its cycle.
    unsafe { make_running(main) };
    Ok(())
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

/// Reads the configurations that are in files.
fn read_configurations(main: &mut MainConf) -> Result<(), (ConfPosition, String)> {
    let cannot = |what: &str, name: &[u8], path: &Path, reason: String| {
        let (name, path) = (NgxStr::from_bytes(name), path.display());
        format!("{what} \"{name}\": cannot read its configuration from \"{path}\": {reason}")
    };
    for module in &mut main.modules {
        if let Some(path) = &module.file {
            module.vm_configuration = configuration_file::read(path)
                .map_err(|reason| (module.place.clone(), cannot("module", &module.name, path, reason)))?;
        }
    }
    for filter in &mut main.filters {
        if let Some(path) = &filter.file {
            filter.configuration = configuration_file::read(path)
                .map_err(|reason| (filter.place.clone(), cannot("filter", &filter.name, path, reason)))?;
        }
    }
    Ok(())
}

/// Gets all modules, in the forms in which filters want them.
fn supply_all(main: &mut MainConf, log: Log<'_>, notes: &mut Vec<Note>) -> Result<(), (ConfPosition, String)> {
    let dir = main.cache_dir.as_ref();
    let mut supplier = Supplier::open(dir, notes)
        .map_err(|reason| (dir.map_or_else(|| main.modules[0].place.clone(), |dir| dir.place.clone()), reason))?;
    for n in 0..main.modules.len() {
        let name = format!("module \"{}\" ({})", NgxStr::from_bytes(&main.modules[n].name), main.modules[n].path);
        let place = main.modules[n].place.clone();
        let bytes = supply::read(&main.modules[n].path, main.modules[n].sha256.as_deref())
            .map_err(|reason| (place.clone(), format!("{name}: {reason}")))?;
        let failed = |reason: String| (place.clone(), format!("{name}: {reason}"));
        let filters = forms(main, n);
        let programs = forms_of_answerers(main, n, |kind| *kind == AnswererKind::Program);
        let plugins = forms_of_answerers(main, n, |kind| matches!(kind, AnswererKind::Function { .. }));
        if filters.is_empty() && programs.is_empty() && plugins.is_empty() {
            check_unused(main, &mut supplier, &name, &bytes).map_err(failed)?;
        }
        for form in filters {
            let engine = main.engine(form).map_err(|err| (place.clone(), err))?;
            let compiled = supplier.module(&engine, &name, &bytes).map_err(failed)?;
            let module = &mut main.modules[n];
            warn_of_pool(log, form, engine.as_ref(), module, compiled.pool_refusal());
            module.compiled.push((form, compiled));
        }
        for form in programs {
            let engine = main.engine(form).map_err(|err| (place.clone(), err))?;
            check_watch(engine.as_ref()).map_err(failed)?;
            let compiled = supplier.program(&engine, &name, &bytes).map_err(failed)?;
            let module = &mut main.modules[n];
            warn_of_pool(log, form, engine.as_ref(), module, compiled.pool_refusal());
            module.programs.push((form, compiled));
        }
        for form in plugins {
            let engine = main.engine(form).map_err(|err| (place.clone(), err))?;
            check_watch(engine.as_ref()).map_err(failed)?;
            let compiled = supplier.plugin(&engine, &name, &bytes).map_err(failed)?;
            let module = &mut main.modules[n];
            warn_of_pool(log, form, engine.as_ref(), module, compiled.pool_refusal());
            module.plugins.push((form, compiled));
        }
    }
    if !supply::is_test() {
        supplier.finish();
    }
    if let Some(caution) = main.engines.iter().find_map(|(_, engine)| engine.caution()) {
        notes.push(Note::warning(format!("wasm: {caution}")));
    }
    Ok(())
}

/// Whether the engine can run what answers requests by itself.
fn check_watch(engine: &dyn Engine) -> Result<(), String> {
    let Some(reason) = engine.watch_refusal() else { return Ok(()) };
    Err(format!(
        "it is to answer requests by itself (wasm_cgi, wasm_function), which needs \"wasm_vm wasmtime\": {reason}"
    ))
}

/// Compiles a module that nothing uses, to see whether it is one.
fn check_unused(main: &mut MainConf, supplier: &mut Supplier<'_>, name: &str, bytes: &[u8]) -> Result<(), String> {
    let engine = main.engine(ModuleVariant::default())?;
    // What is wrong with what is neither is said as of a filter.
    let Err(reason) = supplier.module(&engine, name, bytes) else { return Ok(()) };
    // Nearly every module could be one or the other; these say what they are.
    let is_program = supplier.program(&engine, name, bytes).is_ok_and(|program| program.function(START).is_some());
    if is_program || supplier.plugin(&engine, name, bytes).is_ok_and(|plugin| plugin.is_of_pdk()) {
        return Ok(());
    }
    Err(reason)
}

/// The forms in which the filters want module number `module`.
fn forms(main: &MainConf, module: usize) -> Vec<ModuleVariant> {
    let mut forms = Vec::new();
    for filter in main.filters.iter().filter(|filter| filter.module == Some(module)) {
        if !forms.contains(&filter.form()) {
            forms.push(filter.form());
        }
    }
    forms
}

/// The forms in which locations want it that are answered by it in this way.
fn forms_of_answerers(main: &MainConf, module: usize, is_meant: impl Fn(&AnswererKind) -> bool) -> Vec<ModuleVariant> {
    let mut forms = Vec::new();
    let wanted = |program: &&ProgramLocation| program.module == Some(module) && is_meant(&program.kind);
    for program in main.programs.iter().filter(wanted) {
        if !forms.contains(&program.form()) {
            forms.push(program.form());
        }
    }
    forms
}

/// Says why instances that are meant to be in a pool will not be. They work all the same, at a higher cost.
fn warn_of_pool(log: Log<'_>, form: ModuleVariant, engine: &dyn Engine, module: &ModuleConf, refusal: Option<&str>) {
    let reason = engine.pool_failure().or(refusal);
    if let (true, Some(reason)) = (form.pooled, reason) {
        let name = NgxStr::from_bytes(&module.name);
        let line = format!(
            "module \"{name}\": its instances are made on demand, because the pool (instance_pool) has no room for them: {}",
            log::printable(reason)
        );
        log.write(NGX_LOG_WARN, line);
    }
}

/// Asks nginx for shared memory, if anything needs it. An error has the place of the directive that made it, if any.
///
/// # Safety
/// As [`check`].
unsafe fn declare_zones(cycle: *mut ngx_cycle_t, main: &mut MainConf) -> Result<(), (Option<ConfPosition>, String)> {
    // SAFETY: all modules of the cycle are known.
    if !unsafe { wants_shared_memory(cycle, main) } {
        return Ok(());
    }
    // SAFETY: nginx makes shared memory after this, as said above.
    unsafe { main.shared.declare(cycle, &main.settings) }?;
    // SAFETY: nginx makes shared memory after this, as said above.
    unsafe { main.status.declare(cycle, main.filters.len() + main.programs.len()) }.map_err(|reason| (None, reason))
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

/// The compiler takes much memory for a large module, and the allocator would keep it: in the master, and in each worker that
/// is forked from it.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function has no precondition.
    unsafe {
        libc::malloc_trim(0)
    };
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
