//! `wasm_threads` in http; `wasm_cgi NAME;` and `wasm_function NAME FUNCTION;` in a location, and what is said of programs in http, server, location.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;

use ngx_wasm::programs::{Limits, Mode, SplitPathInfo};

use super::Directive;
use super::directive::shown;
use super::values::number;
use crate::config::conf::MainConf;
use crate::config::level::Level;
use crate::config::loc_conf::LocConf;
use crate::config::program_conf::{Answerer, AnswererKind, FunctionError, Initializer, OutputForm, Snapshot};
use crate::nginx::conf::Base;

/// Nobody needs more in one worker, and each has a stack.
const MOST_THREADS: usize = 4096;
const MOST_QUEUED: usize = 1 << 20;
const LARGEST_HEADER: usize = 16 << 20;

pub fn threads(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.program_threads, limits(directive))
}

fn limits(directive: &Directive) -> Result<Limits, String> {
    let threads = directive.number(1..=MOST_THREADS)?;
    let queue = match directive.word(2) {
        None => MainConf::DEFAULT_THREADS.queue,
        Some(word) => {
            let queue = word.strip_prefix(b"queue=").and_then(number).filter(|queue| *queue <= MOST_QUEUED);
            queue.ok_or_else(|| {
                directive.invalid_parameter(word, &format!("queue=NUMBER, with a number from 0 to {MOST_QUEUED}"))
            })?
        }
    };
    Ok(Limits { threads, queue })
}

pub fn cgi(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    answer(directive, loc, AnswererKind::Program)
}

pub fn function(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let function = directive.word(2).unwrap_or_default().to_vec();
    let manifest = match directive.word(3) {
        None => None,
        Some(word) => match word.strip_prefix(b"manifest=") {
            Some(path) if !path.is_empty() => {
                Some(PathBuf::from(OsString::from_vec(directive.full_name(path, Base::Conf)?)))
            }
            _ => return Err(directive.invalid_parameter(word, "manifest=FILE")),
        },
    };
    answer(directive, loc, AnswererKind::Function { function, manifest })
}

fn answer(directive: &Directive, loc: &mut LocConf, kind: AnswererKind) -> Result<(), String> {
    if let Some(other) = loc.programs.answerer.as_ref().filter(|other| other.kind.directive() != kind.directive()) {
        return Err(format!(
            "\"{}\" and \"{}\" cannot stand in one location",
            other.kind.directive(),
            directive.name()
        ));
    }
    let name = directive.word(1).unwrap_or_default().to_vec();
    let answerer = Rc::new(Answerer { name, kind, place: directive.place() });
    directive.set(&mut loc.programs.answerer, Ok(answerer))?;
    loc.programs.is_answering = true;
    Ok(())
}

pub fn function_mode(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let known = [("raw", Mode::Raw), ("json", Mode::Json)];
    directive.set(&mut loc.programs.function_mode, directive.choice(&known))
}

pub fn function_error(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let status = directive.number(400..=599)?;
    let is_told = match directive.word(2) {
        None => false,
        Some(b"text") => true,
        Some(word) => return Err(directive.invalid_parameter(word, "\"text\", or nothing")),
    };
    directive.set(&mut loc.programs.function_error, Ok(FunctionError { status, is_told }))
}

pub fn argument(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let value = directive.complex_value(1)?;
    Rc::make_mut(loc.programs.arguments.get_or_insert_default()).push(value);
    Ok(())
}

pub fn environment(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let name = directive.word(1).unwrap_or_default();
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b'=' | 0)) {
        return Err(directive.invalid(name, "the name of a variable, without \"=\", and a value"));
    }
    let (name, value) = (name.to_vec(), directive.complex_value(2)?);
    Rc::make_mut(loc.programs.environment.get_or_insert_default()).push((name, value));
    Ok(())
}

pub fn dir(directive: &Directive, main: &mut MainConf, level: Level) -> Result<(), String> {
    let word = directive.word(1).unwrap_or_default();
    let folder = main.folder().to_owned();
    let grants = Rc::make_mut(main.levels[level].programs.grants.get_or_insert_default());
    grants
        .add(word, &folder)
        .map_err(|reason| directive.invalid(word, &format!("HOST[:GUEST][:rw], and this is not one: {reason}")))
}

pub fn output(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let known = [("cgi", OutputForm::Cgi), ("raw", OutputForm::Raw)];
    directive.set(&mut loc.programs.output, directive.choice(&known))
}

pub fn entry(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let name = match directive.word(1).unwrap_or_default() {
        b"" => return Err(directive.invalid(b"", "the name of a function of the program")),
        name => name.to_vec(),
    };
    directive.set(&mut loc.programs.entry, Ok(Rc::new(name)))
}

pub fn snapshot(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let behind = match directive.word(1).unwrap_or_default() {
        b"off" => Initializer::Off,
        b"on" => Initializer::On,
        b"" => return Err(directive.invalid(b"", "\"on\", \"off\", or the name of a function of the program")),
        function => Initializer::Function(function.to_vec()),
    };
    let has_random = match directive.word(2) {
        None => false,
        Some(b"random") if behind != Initializer::Off => true,
        Some(word) => return Err(directive.invalid(word, "\"random\" behind \"on\" or the name of a function")),
    };
    directive.set(&mut loc.programs.snapshot, Ok(Rc::new(Snapshot { behind, has_random })))
}

pub fn split_path_info(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    let word = directive.word(1).unwrap_or_default();
    let text = str::from_utf8(word).map_err(|_| directive.invalid(word, "a regular expression in UTF-8"))?;
    let split = SplitPathInfo::new(text)
        .map_err(|reason| format!("invalid value \"{}\" of \"{}\": {reason}", shown(word), directive.name()));
    directive.set(&mut loc.programs.split_path_info, split.map(Rc::new))
}

pub fn pass_authorization(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.programs.pass_authorization, directive.switch())
}

pub fn query_arguments(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.programs.query_arguments, directive.switch())
}

pub fn request_buffering(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.programs.request_buffering, directive.switch())
}

pub fn timeout(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.programs.timeout, directive.time())
}

pub fn header_limit(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.programs.header_limit, directive.size(1, 1..=LARGEST_HEADER, "64k"))
}

pub fn output_limit(directive: &Directive, loc: &mut LocConf) -> Result<(), String> {
    directive.set(&mut loc.programs.output_limit, directive.size(1, 0..=usize::MAX >> 1, "100m, or 0 for any size"))
}
