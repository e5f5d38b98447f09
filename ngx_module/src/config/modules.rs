//! The files of modules, and what is made of them in the master: read and looked at as a whole, before the first of them is compiled.
//! Start-up has all of them (`startup.rs`), and looks at what stands in them (`filters/startup.rs`, `programs/startup.rs`).

use std::path::Path;

use nginx_sys::NGX_LOG_WARN;
use ngx::core::NgxStr;
use ngx_wasm::extism::{self, Plugin};
use ngx_wasm::programs::{self, START};
use ngx_wasm::proxy_wasm::Module;
use ngx_wasm::supply::{Content, Linked};
use ngx_wasm::vm::{Engine, Outline};

use crate::config::conf::MainConf;
use crate::config::filter_conf::ModuleConf;
use crate::config::mistakes::Mistakes;
use crate::config::program_conf::{AnswererKind, ProgramLocation};
use crate::nginx::log::{self, Log};
use crate::process::engine::{EngineName, ModuleVariant};
use crate::process::regular_file::{self, Stamp};
use crate::process::supply::{self, Note, Supplier};

/// The modules of a configuration before they are compiled.
#[derive(Default)]
pub struct Modules {
    supplier: Supplier,
    /// In the order of [`MainConf::modules`]; `None` is one with a mistake, which is told.
    files: Vec<Option<File>>,
}

/// The file of a module, and what it is for.
struct File {
    content: Content<'static>,
    /// What it looked like before it was read.
    stamp: Option<Stamp>,
    uses: Uses,
}

/// The forms in which filters, programs and plugins want a module.
#[derive(Default)]
struct Uses {
    filters: Vec<ModuleVariant>,
    programs: Vec<ModuleVariant>,
    plugins: Vec<ModuleVariant>,
}

impl Modules {
    /// Reads all files, and tells what is wrong with them.
    pub fn look(main: &mut MainConf, mistakes: &mut Mistakes<'_>) -> Modules {
        let dir = main.cache_dir.as_ref();
        let supplier = Supplier::open(dir).unwrap_or_else(|reason| {
            match dir {
                Some(dir) => mistakes.add(&dir.place, &reason),
                None => mistakes.add_told(&reason),
            }
            Supplier::default()
        });
        let mut modules = Modules { supplier, files: Vec::new() };
        for n in 0..main.modules.len() {
            let file = modules.look_at(main, n, mistakes);
            modules.files.push(file);
        }
        modules
    }

    fn look_at(&self, main: &mut MainConf, n: usize, mistakes: &mut Mistakes<'_>) -> Option<File> {
        let (name, place) = (full_name(&main.modules[n]), main.modules[n].place.clone());
        let stamp = regular_file::stamp(Path::new(&main.modules[n].path));
        let content = match supply::read(&main.modules[n].path, main.modules[n].sha256.as_deref()) {
            Ok(content) => content,
            Err(reason) => {
                mistakes.add(&place, &format!("{name}: {reason}"));
                return None;
            }
        };
        let mut uses = Uses::of(main, n);
        if uses.are_none() {
            uses = Uses::unused(main, &content);
        }
        let mut is_right = true;
        let mut found = |checked: Result<(), Wrong>| match checked {
            Ok(()) => {}
            Err(wrong) => {
                is_right = false;
                match wrong {
                    // It is the same for all modules.
                    Wrong::Engine(reason) => mistakes.add_once(&place, &reason),
                    Wrong::Module(reason) => mistakes.add(&place, &format!("{name}: {reason}")),
                }
            }
        };
        for form in &uses.filters {
            found(self.check::<Module>(main, *form, &content));
        }
        for form in &uses.programs {
            found(self.check::<programs::Module>(main, *form, &content));
        }
        for form in &uses.plugins {
            found(self.check::<Plugin>(main, *form, &content));
        }
        is_right.then_some(File { content, stamp, uses })
    }

    fn check<M: supply::Kind>(
        &self,
        main: &mut MainConf,
        form: ModuleVariant,
        content: &Content<'_>,
    ) -> Result<(), Wrong> {
        let engine = main.engine(form).map_err(Wrong::Engine)?;
        if M::IS_WATCHED {
            check_watch(engine.as_ref()).map_err(Wrong::Module)?;
        }
        self.supplier.check::<M>(&engine, content).map_err(Wrong::Module)
    }

    /// What is in the file of a module, if nothing is wrong with it.
    pub fn content(&self, module: usize) -> Option<&Content<'static>> {
        Some(&self.files.get(module)?.as_ref()?.content)
    }

    /// What a module in this form imports and exports, if that can be told before it is compiled.
    pub fn outline(&self, main: &mut MainConf, module: usize, form: ModuleVariant) -> Option<&Outline> {
        let engine = main.engine(form).ok()?;
        self.content(module)?.outline(engine.as_ref())
    }

    /// Compiles all modules, in all forms that are wanted.
    pub fn compile(mut self, main: &mut MainConf, mistakes: &mut Mistakes<'_>) {
        for n in 0..self.files.len() {
            // What was read is not needed behind this.
            if let Some(Some(file)) = self.files.get_mut(n).map(Option::take) {
                self.compile_one(main, n, &file, mistakes);
            }
        }
        if !supply::is_test() {
            self.supplier.finish();
        }
        main.notes.append(&mut self.supplier.take_notes());
        if let Some(caution) = main.engines.iter().find_map(|(_, engine)| engine.caution()) {
            main.notes.push(Note::warning(format!("wasm: {caution}")));
        }
        give_memory_back();
    }

    fn compile_one(&mut self, main: &mut MainConf, n: usize, file: &File, mistakes: &mut Mistakes<'_>) {
        let name = full_name(&main.modules[n]);
        let supplier = &mut self.supplier;
        macro_rules! compile {
            ($uses:ident: $kind:ty => $compiled:ident) => {
                for form in &file.uses.$uses {
                    let made = main.engine(*form).and_then(|engine| {
                        let module = supplier.module::<$kind>(&engine, &name, &file.content, mistakes.log());
                        module.map_err(|reason| format!("{name}: {reason}")).map(|module| (engine, module))
                    });
                    let module = &mut main.modules[n];
                    match made {
                        Ok((engine, compiled)) => {
                            warn_of_pool(mistakes.log(), *form, engine.as_ref(), module, compiled.pool_refusal());
                            module.$compiled.push((*form, compiled));
                        }
                        Err(reason) => mistakes.add(&module.place, &reason),
                    }
                }
            };
        }
        compile!(filters: Module => compiled);
        compile!(programs: programs::Module => programs);
        compile!(plugins: Plugin => plugins);
        main.modules[n].origin = self.supplier.take_origin(file.stamp);
    }
}

/// Why a module cannot be run.
enum Wrong {
    Engine(String),
    Module(String),
}

impl Uses {
    /// What module number `module` is for.
    fn of(main: &MainConf, module: usize) -> Uses {
        let mut uses = Uses::default();
        for filter in main.filters.iter().filter(|filter| filter.module == Some(module)) {
            add(&mut uses.filters, filter.form());
        }
        for program in main.programs.iter().filter(|program| program.module == Some(module)) {
            add(uses.of_kind(program), program.form());
        }
        uses
    }

    fn of_kind(&mut self, program: &ProgramLocation) -> &mut Vec<ModuleVariant> {
        match program.kind {
            AnswererKind::Program => &mut self.programs,
            AnswererKind::Function { .. } => &mut self.plugins,
        }
    }

    /// What a module could be for that nothing uses. What is wrong with what is nothing is said as of a filter.
    fn unused(main: &mut MainConf, content: &Content<'_>) -> Uses {
        let form = ModuleVariant::default();
        let engine = main.engine(form).ok();
        let mut uses = Uses::default();
        // Nearly every module could be one or the other; these say what they are.
        match engine.and_then(|engine| content.outline(engine.as_ref()).map(kind_of)) {
            Some(Kind::Program) => uses.programs.push(form),
            Some(Kind::Plugin) => uses.plugins.push(form),
            Some(Kind::Filter) | None => uses.filters.push(form),
        }
        uses
    }

    fn are_none(&self) -> bool {
        self.filters.is_empty() && self.programs.is_empty() && self.plugins.is_empty()
    }
}

enum Kind {
    Filter,
    Program,
    Plugin,
}

fn kind_of(outline: &Outline) -> Kind {
    if Module::check(outline).is_ok() {
        Kind::Filter
    } else if programs::Module::check(outline).is_ok() && programs::functions(outline).any(|name| name == START) {
        Kind::Program
    } else if Plugin::check(outline).is_ok() && extism::is_of_pdk(outline) {
        Kind::Plugin
    } else {
        Kind::Filter
    }
}

fn add(forms: &mut Vec<ModuleVariant>, form: ModuleVariant) {
    if !forms.contains(&form) {
        forms.push(form);
    }
}

/// What messages about a module begin with.
fn full_name(module: &ModuleConf) -> String {
    format!("module \"{}\" ({})", NgxStr::from_bytes(&module.name), module.path)
}

/// Whether the engine can run what answers requests by itself.
fn check_watch(engine: &dyn Engine) -> Result<(), String> {
    let Some(reason) = engine.watch_refusal() else { return Ok(()) };
    let able = [EngineName::Wasmtime, EngineName::Pulley].into_iter().filter(|name| name.is_built_in());
    let able: Vec<_> = able.map(|name| format!("\"wasm_vm {}\"", name.name())).collect();
    let able = if able.is_empty() { "a module that is built with Wasmtime".into() } else { able.join(" or ") };
    Err(format!("it is to answer requests by itself (wasm_cgi, wasm_function), which needs {able}: {reason}"))
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

/// The compiler takes much memory for a large module, and the allocator would keep it: in the master, and in each worker that
/// is forked from it.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function has no precondition.
    unsafe {
        libc::malloc_trim(0)
    };
}
