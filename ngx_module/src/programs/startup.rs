//! What happens to the programs of a configuration once nginx has read it, in the master or in `nginx -t`, each time behind filters
//! (`filters/startup.rs`), for which all modules are read and compiled: their functions, directories and manifests are looked at, then
//! their snapshots are made. `startup.rs` above the rooms calls this.

use std::path::Path;
use std::sync::Arc;

use ngx::core::NgxStr;
use ngx_wasm::extism::{self, Manifest, Plugin, Settings};
use ngx_wasm::programs::{
    self, FunctionJob, Grants, INITIALIZE, Instances, Job, Module, NoStart, START, Start, Surroundings,
};
use ngx_wasm::supply::Content;

use crate::config::conf::MainConf;
use crate::config::configuration_file;
use crate::config::mistakes::Mistakes;
use crate::config::modules::Modules;
use crate::config::program_conf::{AnswererKind, Initializer, ProgramConf, ProgramLocation, Work};
use crate::nginx::complex_value::ComplexValue;
use crate::process::cpu_clock::with_cpu_clock;
use crate::process::supply::Note;

/// A start that some location has, and others may have too.
struct Known {
    start: Arc<Start>,
    module: Arc<Module>,
    function: Option<usize>,
    surroundings: Surroundings,
    memory: usize,
    fuel: Option<u64>,
}

/// The manifests of plugins, in the order of [`MainConf::programs`].
type Manifests = Vec<Option<Arc<Manifest>>>;

/// What looking at a location has found: of its functions and directories, and its manifest.
type Looked = (Result<(), String>, Result<Option<Arc<Manifest>>, String>);

/// Finds what is wrong with what locations run, as far as that can be seen before anything is compiled.
pub fn look(main: &mut MainConf, modules: &Modules, mistakes: &mut Mistakes<'_>) -> Manifests {
    let mut manifests = Vec::new();
    for n in 0..main.programs.len() {
        let (looked, manifest) = look_at(main, n, modules);
        looked.unwrap_or_else(|reason| wrong(main, n, &reason, mistakes));
        manifests.push(manifest.unwrap_or_else(|reason| {
            wrong(main, n, &reason, mistakes);
            None
        }));
    }
    manifests
}

/// Makes ready what locations run, once modules are compiled.
pub fn make(main: &mut MainConf, manifests: Manifests, mistakes: &mut Mistakes<'_>) {
    let mut known = Vec::new();
    for (n, manifest) in manifests.into_iter().enumerate() {
        match work(main, n, manifest, &mut known) {
            Ok(work) => main.programs[n].work = work,
            Err(reason) => wrong(main, n, &reason, mistakes),
        }
    }
}

fn wrong(main: &MainConf, n: usize, reason: &str, mistakes: &mut Mistakes<'_>) {
    let ProgramLocation { name, place, .. } = &main.programs[n];
    mistakes.add(place, &format!("program \"{}\": {reason}", NgxStr::from_bytes(name)));
}

/// Looks at location number `n`: its functions and directories, and its manifest.
fn look_at(main: &mut MainConf, n: usize, modules: &Modules) -> Looked {
    let program = &main.programs[n];
    let (form, level, kind) = (program.form(), program.level, program.kind.clone());
    // What is wrong with its module was told.
    let Some(module) = program.module.filter(|module| modules.content(*module).is_some()) else {
        return (Ok(()), Ok(None));
    };
    let outline = modules.outline(main, module, form);
    match kind {
        AnswererKind::Program => {
            let said = &main.levels[level].programs;
            let names = || outline.map(programs::functions);
            let is_there = |name: &str| names().is_none_or(|mut names| names.any(|known| known == name));
            let looked = || -> Result<(), String> {
                for (name, directive) in wanted_functions(said) {
                    find_function(
                        name,
                        directive,
                        |name| is_there(name).then_some(()),
                        || names().into_iter().flatten(),
                    )?;
                }
                Grants::check(said.grants.as_deref().unwrap_or(&Grants::default()))
            };
            (looked(), Ok(None))
        }
        AnswererKind::Function { function, manifest } => {
            let names = || outline.map(extism::functions);
            let is_there = |name: &str| names().is_none_or(|mut names| names.any(|known| known == name));
            let found = find_plugin_function(&function, is_there, || names().into_iter().flatten());
            let content = modules.content(module).map(Content::bytes).unwrap_or_default();
            let manifest = manifest.map(|path| read_manifest(&path, content, main.folder())).transpose();
            (found.map(|_| ()), manifest.map(|manifest| manifest.map(Arc::new)))
        }
    }
}

fn read_manifest(path: &Path, module: &[u8], folder: &Path) -> Result<Manifest, String> {
    let wrong = |reason: String| format!("its manifest \"{}\": {reason}", path.display());
    let text = configuration_file::read(path).map_err(wrong)?;
    let manifest = Manifest::parse(&text, folder).map_err(|err| wrong(err.to_string()))?;
    manifest.check(module).map_err(|err| wrong(err.to_string()))?;
    Ok(manifest)
}

/// What a location runs; `None` if its module is not there, which was told.
fn work(
    main: &mut MainConf,
    n: usize,
    manifest: Option<Arc<Manifest>>,
    known: &mut Vec<Known>,
) -> Result<Option<Work>, String> {
    let program = &main.programs[n];
    let form = program.form();
    let Some(module) = program.module.and_then(|module| main.modules.get(module)) else { return Ok(None) };
    match &program.kind {
        AnswererKind::Program => {
            let Some(module) = module.program(form).cloned() else { return Ok(None) };
            Ok(Some(Work::Program(Arc::new(job(main, n, module, known)?))))
        }
        AnswererKind::Function { function, .. } => {
            let Some(plugin) = module.plugin(form).cloned() else { return Ok(None) };
            let function = find_plugin_function(function, |name| plugin.has(name), || plugin.functions())?.to_owned();
            Ok(Some(Work::Function(Arc::new(function_job(main, n, plugin, function, manifest)?))))
        }
    }
}

fn function_job(
    main: &mut MainConf,
    n: usize,
    plugin: Arc<Plugin>,
    function: String,
    manifest: Option<Arc<Manifest>>,
) -> Result<FunctionJob, String> {
    let program = &main.programs[n];
    let (form, cpu_time) = (program.form(), program.cpu_time);
    let settings = Settings { manifest: manifest.unwrap_or_default(), limits: program.limits, fuel: program.fuel };
    let said = &main.levels[program.level].programs;
    let values = constants(said).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    let job = FunctionJob::new(plugin, function, settings, said.function_mode(), cpu_time, values);
    let engine = main.engine(form)?;
    let never_put_back = with_cpu_clock(&engine, || job.check())?;
    if let Some(reason) = never_put_back {
        note(main, n, &made_anew(&reason));
    }
    Ok(job)
}

fn job(main: &mut MainConf, n: usize, module: Arc<Module>, known: &mut Vec<Known>) -> Result<Job, String> {
    let program = &main.programs[n];
    let said = &main.levels[program.level].programs;
    let entry = function(&module, entry_name(said), ENTRY)?;
    let grants = said.grants.as_deref().cloned().unwrap_or_default();
    Grants::check(&grants)?;
    let instances = Instances { module: module.clone(), limits: program.limits, fuel: program.fuel };
    let cpu_time = program.cpu_time;
    let initialisation = initialisation(&module, said)?;
    let start = start(main, n, &instances, initialisation, known)?;
    Ok(Job { instances, entry, cpu_time, grants, start })
}

/// The directives that name functions of programs.
const ENTRY: &str = "wasm_entry";
const SNAPSHOT: &str = "wasm_snapshot";

/// The function that a program begins with.
fn entry_name(said: &ProgramConf) -> &[u8] {
    said.entry.as_ref().map_or(START.as_bytes(), |entry| entry.as_slice())
}

/// The functions that a program must have, and what says so.
fn wanted_functions(said: &ProgramConf) -> Vec<(&[u8], &'static str)> {
    let mut wanted = vec![(entry_name(said), ENTRY)];
    if let Some(Initializer::Function(name)) = said.snapshot.as_deref().map(|snapshot| &snapshot.behind) {
        wanted.push((name, SNAPSHOT));
    }
    wanted
}

/// The number of a function of a program.
fn function(module: &Module, name: &[u8], directive: &str) -> Result<usize, String> {
    find_function(name, directive, |name| module.function(name), || module.functions())
}

fn find_function<'a, T, N: Iterator<Item = &'a str>>(
    name: &[u8],
    directive: &str,
    find: impl Fn(&str) -> Option<T>,
    names: impl Fn() -> N,
) -> Result<T, String> {
    let found = str::from_utf8(name).ok().and_then(find);
    found.ok_or_else(|| {
        let mut names: Vec<_> = names().map(|name| format!("\"{name}\"")).take(20).collect();
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

/// The name of a function that a plugin has.
fn find_plugin_function<'a, 'n, N: Iterator<Item = &'a str>>(
    name: &'n [u8],
    has: impl Fn(&str) -> bool,
    names: impl Fn() -> N,
) -> Result<&'n str, String> {
    let found = str::from_utf8(name).ok().filter(|name| has(name));
    found.ok_or_else(|| {
        let names: Vec<_> = names().map(|name| format!("\"{name}\"")).take(20).collect();
        format!("it has no function \"{}\"; it has {}", NgxStr::from_bytes(name), names.join(", "))
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
        Some(Initializer::Function(name)) => Initialisation::Asked(Some(function(module, name, SNAPSHOT)?)),
    })
}

/// What `wasm_env` says without variables, by name.
fn constants(said: &ProgramConf) -> impl Iterator<Item = (&[u8], &[u8])> {
    let all = said.environment.iter().flat_map(|all| all.iter());
    all.filter_map(|(name, value)| Some((name.as_slice(), value.constant()?)))
}

/// What a program has while it is initialised: of its arguments and its environment what is the same for all requests.
fn surroundings(name: &[u8], said: &ProgramConf) -> Surroundings {
    let mut arguments = vec![name.to_vec()];
    let constant = |argument: &ComplexValue| Some(argument.constant()?.to_vec());
    // The places of all count: without one of them the others would be something else.
    let all: Option<Vec<_>> = said.arguments.iter().flat_map(|all| all.iter()).map(constant).collect();
    arguments.extend(all.unwrap_or_default());
    let environment = constants(said).map(|(name, value)| [name, b"=", value].concat());
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
