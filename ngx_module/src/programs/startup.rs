//! What happens to the programs of a configuration once nginx has read it, in the master or in `nginx -t`, behind the checks of
//! filters (`filters/startup.rs`), which get all modules: their functions, directories and snapshots are looked at.

use std::path::Path;
use std::sync::Arc;

use nginx_sys::NGX_LOG_EMERG;
use ngx::core::NgxStr;
use ngx_wasm::extism::{Manifest, Settings};
use ngx_wasm::programs::{
    FunctionJob, Grants, INITIALIZE, Instances, Job, Module, NoStart, START, Start, Surroundings,
};

use crate::config::conf::MainConf;
use crate::config::configuration_file;
use crate::config::program_conf::{AnswererKind, Initializer, ProgramConf, ProgramLocation, Work};
use crate::nginx::complex_value::ComplexValue;
use crate::nginx::log::{self, Log};
use crate::process::cpu_clock::with_cpu_clock;
use crate::process::supply::{self, Note};

/// The error is in the log already.
pub struct Reported;

/// A start that some location has, and others may have too.
struct Known {
    start: Arc<Start>,
    module: Arc<Module>,
    function: Option<usize>,
    surroundings: Surroundings,
    memory: usize,
    fuel: Option<u64>,
}

/// Makes ready what locations run.
pub fn check(main: &mut MainConf, log: Log<'_>) -> Result<(), Reported> {
    let mut known = Vec::new();
    for n in 0..main.programs.len() {
        // A process that only looks for the pid has no modules.
        if main.programs[n].module.is_none() {
            return Ok(());
        }
        match work(main, n, &mut known) {
            Ok(work) => main.programs[n].work = Some(work),
            Err(reason) => {
                let ProgramLocation { name, place, .. } = &main.programs[n];
                let line = format!("program \"{}\": {reason}", NgxStr::from_bytes(name));
                log.write(NGX_LOG_EMERG, format!("{} in {place}", log::printable(&line)));
                return Err(Reported);
            }
        }
    }
    Ok(())
}

fn work(main: &mut MainConf, n: usize, known: &mut Vec<Known>) -> Result<Work, String> {
    match main.programs[n].kind.clone() {
        AnswererKind::Program => Ok(Work::Program(Arc::new(job(main, n, known)?))),
        AnswererKind::Function { function, manifest } => {
            Ok(Work::Function(Arc::new(function_job(main, n, &function, manifest.as_deref())?)))
        }
    }
}

fn function_job(
    main: &mut MainConf,
    n: usize,
    function: &[u8],
    manifest: Option<&Path>,
) -> Result<FunctionJob, String> {
    let program = &main.programs[n];
    let (form, cpu_time) = (program.form(), program.cpu_time);
    let module = program.module.and_then(|module| main.modules.get(module)).ok_or("it has no module")?;
    let plugin = module.plugin(form).ok_or("its module is not compiled")?.clone();
    let name = str::from_utf8(function).ok().filter(|name| plugin.has(name)).ok_or_else(|| {
        let names: Vec<_> = plugin.functions().map(|name| format!("\"{name}\"")).take(20).collect();
        format!("it has no function \"{}\"; it has {}", NgxStr::from_bytes(function), names.join(", "))
    })?;
    let manifest = match manifest {
        None => Manifest::default(),
        Some(path) => {
            let wrong = |reason: String| format!("its manifest \"{}\": {reason}", path.display());
            let text = configuration_file::read(path).map_err(wrong)?;
            let manifest = Manifest::parse(&text, main.folder()).map_err(|err| wrong(err.to_string()))?;
            let bytes = supply::read(&module.path, module.sha256.as_deref())?;
            manifest.check(&bytes).map_err(|err| wrong(err.to_string()))?;
            manifest
        }
    };
    let settings = Settings { manifest: Arc::new(manifest), limits: program.limits, fuel: program.fuel };
    let mode = main.levels[program.level].programs.function_mode();
    let job = FunctionJob::new(plugin, name.to_owned(), settings, mode, cpu_time);
    let engine = main.engine(form)?;
    let never_put_back = with_cpu_clock(&engine, || job.check())?;
    if let Some(reason) = never_put_back {
        note(main, n, &made_anew(&reason));
    }
    Ok(job)
}

fn job(main: &mut MainConf, n: usize, known: &mut Vec<Known>) -> Result<Job, String> {
    let program = &main.programs[n];
    let said = &main.levels[program.level].programs;
    let module = program.module.and_then(|module| main.modules.get(module)?.program(program.form()));
    let module = module.ok_or("its module is not compiled")?;
    let entry = function(module, said.entry.as_ref().map_or(START.as_bytes(), |entry| entry.as_slice()), "wasm_entry")?;
    let grants = said.grants.as_deref().cloned().unwrap_or_default();
    Grants::check(&grants)?;
    let instances = Instances { module: module.clone(), limits: program.limits, fuel: program.fuel };
    let cpu_time = program.cpu_time;
    let initialisation = initialisation(module, said)?;
    let start = start(main, n, &instances, initialisation, known)?;
    Ok(Job { instances, entry, cpu_time, grants, start })
}

/// The number of a function of a program.
fn function(module: &Module, name: &[u8], directive: &str) -> Result<usize, String> {
    let found = str::from_utf8(name).ok().and_then(|name| module.function(name));
    found.ok_or_else(|| {
        let mut names: Vec<_> = module.functions().map(|name| format!("\"{name}\"")).take(20).collect();
        if names.is_empty() {
            names.push("none".into());
        }
        format!(
            "it exports no function \"{}\" of type () -> (), which {directive} names or means; those that it exports: {}",
            NgxStr::from_bytes(name),
            names.join(", ")
        )
    })
}

/// What a program is initialised with before its snapshot is taken.
#[derive(Clone, Copy)]
enum Initialisation {
    /// `wasm_snapshot` is off: with nothing.
    Unasked,
    /// With this function, or it has none.
    Asked(Option<usize>),
}

fn initialisation(module: &Module, said: &ProgramConf) -> Result<Initialisation, String> {
    Ok(match said.snapshot.as_deref().map(|snapshot| &snapshot.behind) {
        None | Some(Initializer::Off) => Initialisation::Unasked,
        Some(Initializer::On) => Initialisation::Asked(module.function(INITIALIZE)),
        Some(Initializer::Function(name)) => Initialisation::Asked(Some(function(module, name, "wasm_snapshot")?)),
    })
}

/// What a program has while it is initialised: of its arguments and its environment what is the same for all requests.
fn surroundings(name: &[u8], said: &ProgramConf) -> Surroundings {
    let mut arguments = vec![name.to_vec()];
    let constant = |argument: &ComplexValue| Some(argument.constant()?.to_vec());
    // The places of all count: without one of them the others would be something else.
    let all: Option<Vec<_>> = said.arguments.iter().flat_map(|all| all.iter()).map(constant).collect();
    arguments.extend(all.unwrap_or_default());
    let environment = said.environment.iter().flat_map(|all| all.iter()).filter_map(|(name, value)| {
        let value = value.constant()?;
        Some([name.as_slice(), b"=", value].concat())
    });
    Surroundings {
        grants: said.grants.as_deref().cloned().unwrap_or_default(),
        arguments,
        environment: environment.collect(),
        has_random: said.snapshot.as_ref().is_some_and(|snapshot| snapshot.has_random),
    }
}

/// The start of these instances, which is tried once if it is new. `None`: they cannot be put back to it.
fn start(
    main: &mut MainConf,
    n: usize,
    instances: &Instances,
    initialisation: Initialisation,
    known: &mut Vec<Known>,
) -> Result<Option<Arc<Start>>, String> {
    let Instances { module, limits, fuel } = instances;
    let function = match initialisation {
        Initialisation::Unasked => None,
        Initialisation::Asked(function) => function,
    };
    let program = &main.programs[n];
    // Without a function nobody sees them.
    let surroundings = match function {
        None => Surroundings::default(),
        Some(_) => surroundings(&program.name, &main.levels[program.level].programs),
    };
    let same = |known: &&Known| {
        Arc::ptr_eq(&known.module, module)
            && (known.function, known.memory, known.fuel) == (function, limits.memory, *fuel)
            && known.surroundings == surroundings
    };
    if let Some(known) = known.iter().find(same) {
        return Ok(Some(known.start.clone()));
    }
    let (form, cpu_time) = (program.form(), program.cpu_time);
    let start = Arc::new(Start::new(instances.clone(), function, surroundings.clone()));
    let engine = main.engine(form)?;
    match (with_cpu_clock(&engine, || start.check(cpu_time)), initialisation) {
        (Ok(()), Initialisation::Asked(None)) => note(
            main,
            n,
            &format!("has no function for \"wasm_snapshot on\" ({INITIALIZE}): its instances start as without it"),
        ),
        (Ok(()), _) => {}
        (Err(NoStart::NotPutBack(reason)), Initialisation::Unasked) => {
            note(main, n, &made_anew(&reason));
            return Ok(None);
        }
        (Err(NoStart::Fails(reason)), Initialisation::Unasked) => return Err(format!("it does not start: {reason}")),
        (Err(NoStart::NotPutBack(reason) | NoStart::Fails(reason)), Initialisation::Asked(_)) => {
            return Err(format!("no snapshot can be made (wasm_snapshot): {reason}"));
        }
    }
    let (memory, fuel) = (limits.memory, *fuel);
    known.push(Known { start: start.clone(), module: module.clone(), function, surroundings, memory, fuel });
    Ok(Some(start))
}

/// Says something of a program or a plugin once nginx starts.
fn note(main: &mut MainConf, n: usize, what: &str) {
    let ProgramLocation { kind, name, place, .. } = &main.programs[n];
    let (kind, name) = (NgxStr::from_bytes(kind.word()), NgxStr::from_bytes(name));
    main.notes.push(Note::notice(format!("{kind}\"{name}\" {what}, in {place}")));
}

fn made_anew(reason: &str) -> String {
    format!("has an instance made for each request, because it cannot be put back to its start: {reason}")
}
