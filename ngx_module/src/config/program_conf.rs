//! What a level of the configuration says about programs, and what is known of each location that runs one.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nginx_sys::ngx_http_handler_pt;
use ngx_wasm::programs::{FunctionJob, Grants, Job, Mode, SplitPathInfo};
use ngx_wasm::proxy_wasm::Capabilities;
use ngx_wasm::vm::InstanceLimits;

use crate::config::inherit::inherit;
use crate::config::level::{KnownAs, Level, LevelName};
use crate::net::settings::CallSettings;
use crate::nginx::complex_value::ComplexValue;
use crate::nginx::conf_position::ConfPosition;
use crate::process::engine::ModuleVariant;
use crate::process::guest_log::GuestLog;
use crate::process::status::Identity;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_HEADER_LIMIT: usize = 64 << 10;

/// What becomes of what a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// A block of headers, and the body behind it.
    Cgi,
    /// All of it is the body.
    Raw,
}

/// `wasm_snapshot`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub behind: Initializer,
    /// The initialisation may read random numbers.
    pub has_random: bool,
}

/// What runs before a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initializer {
    /// There is no snapshot.
    Off,
    /// The function that programs have for it, if they have it.
    On,
    /// This function.
    Function(Vec<u8>),
}

/// What answers a location: `wasm_cgi NAME;` or `wasm_function NAME FUNCTION [manifest=FILE];`
pub struct Answerer {
    /// That of a module.
    pub name: Vec<u8>,
    pub kind: AnswererKind,
    pub place: ConfPosition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswererKind {
    Program,
    /// A function of a plugin, and what the plugin may do.
    Function {
        function: Vec<u8>,
        manifest: Option<PathBuf>,
    },
}

impl AnswererKind {
    /// What stands before its name in the log.
    pub fn word(&self) -> &'static [u8] {
        match self {
            AnswererKind::Program => b"program ",
            AnswererKind::Function { .. } => b"plugin ",
        }
    }

    /// The directive that says so.
    pub fn directive(&self) -> &'static str {
        match self {
            AnswererKind::Program => "wasm_cgi",
            AnswererKind::Function { .. } => "wasm_function",
        }
    }
}

/// `wasm_function_error CODE [text];`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionError {
    pub status: u16,
    /// What the function says is the body.
    pub is_told: bool,
}

/// What start-up has made of a location.
#[derive(Clone)]
pub enum Work {
    Program(Arc<Job>),
    Function(Arc<FunctionJob>),
}

/// The name of a variable for programs, and its value.
pub type Setting = (Vec<u8>, ComplexValue);

/// What a level says of programs, or inherits.
#[derive(Clone, Default)]
pub struct ProgramConf {
    pub answerer: Option<Rc<Answerer>>,
    /// nginx's name for what runs it.
    pub handler: ngx_http_handler_pt,
    /// The level says so itself, or a request gets to it by the location around it (`if`, `limit_except`).
    pub is_answering: bool,
    /// Set once all levels are merged: the place in `MainConf::programs`.
    pub number: Option<usize>,
    pub arguments: Option<Rc<Vec<ComplexValue>>>,
    pub environment: Option<Rc<Vec<Setting>>>,
    pub grants: Option<Rc<Grants>>,
    pub output: Option<OutputForm>,
    pub entry: Option<Rc<Vec<u8>>>,
    pub snapshot: Option<Rc<Snapshot>>,
    pub split_path_info: Option<Rc<SplitPathInfo>>,
    pub pass_authorization: Option<bool>,
    pub query_arguments: Option<bool>,
    pub request_buffering: Option<bool>,
    pub timeout: Option<Duration>,
    pub header_limit: Option<usize>,
    pub output_limit: Option<usize>,
    pub function_mode: Option<Mode>,
    pub function_error: Option<FunctionError>,
}

impl ProgramConf {
    /// Takes from the outer level what this one does not say.
    pub fn inherit(&mut self, outer: &ProgramConf) {
        self.handler = self.handler.or(outer.handler);
        self.answerer = self.answerer.take().or_else(|| outer.answerer.clone());
        self.arguments = self.arguments.take().or_else(|| outer.arguments.clone());
        self.environment = self.environment.take().or_else(|| outer.environment.clone());
        self.grants = self.grants.take().or_else(|| outer.grants.clone());
        self.entry = self.entry.take().or_else(|| outer.entry.clone());
        self.snapshot = self.snapshot.take().or_else(|| outer.snapshot.clone());
        self.split_path_info = self.split_path_info.take().or_else(|| outer.split_path_info.clone());
        inherit!(self, outer => output, pass_authorization, query_arguments, request_buffering, timeout);
        inherit!(self, outer => header_limit, output_limit, function_mode, function_error);
    }

    /// What functions get and give.
    pub fn function_mode(&self) -> Mode {
        self.function_mode.unwrap_or(Mode::Raw)
    }

    /// What a function that fails answers.
    pub fn function_error(&self) -> FunctionError {
        self.function_error.unwrap_or(FunctionError { status: 500, is_told: false })
    }

    pub fn output(&self) -> OutputForm {
        self.output.unwrap_or(OutputForm::Cgi)
    }

    /// Whether programs see what clients have sent as credentials.
    pub fn passes_authorization(&self) -> bool {
        self.pass_authorization == Some(true)
    }

    /// Whether a query that is a search of words becomes arguments.
    pub fn has_query_arguments(&self) -> bool {
        self.query_arguments == Some(true)
    }

    /// Whether the body of a request is read as a whole before a program begins.
    pub fn buffers_request(&self) -> bool {
        self.request_buffering != Some(false)
    }

    /// How long a program may take between two signs of life.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// How many bytes of headers a program may write.
    pub fn header_limit(&self) -> usize {
        self.header_limit.unwrap_or(DEFAULT_HEADER_LIMIT)
    }

    /// How many bytes a program may write in all, if that is limited.
    pub fn output_limit(&self) -> Option<u64> {
        self.output_limit.filter(|limit| *limit > 0).map(|limit| limit as u64)
    }
}

/// A location that runs a program.
pub struct ProgramLocation {
    /// That of its module.
    pub name: Vec<u8>,
    pub kind: AnswererKind,
    pub place: ConfPosition,
    pub level: Level,
    /// What operators know it by.
    pub known_as: KnownAs,
    /// Caps on each instance.
    pub limits: InstanceLimits,
    /// What a run may use up, if that is limited.
    pub fuel: Option<u64>,
    /// The time of the processor that a run may use.
    pub cpu_time: Duration,
    /// Its lines in the log.
    pub lines: Rc<GuestLog>,
    /// Set by start-up: the place of its module in `MainConf::modules`.
    pub module: Option<usize>,
    /// How it calls other services.
    pub calls: Rc<CallSettings>,
    /// What it may do; `None` is everything but files.
    pub capabilities: Option<Arc<Capabilities>>,
    /// Set by start-up.
    pub work: Option<Work>,
}

impl ProgramLocation {
    /// What a complaint about it begins with.
    pub fn who(&self) -> String {
        let name = String::from_utf8_lossy(&self.name);
        match &self.kind {
            AnswererKind::Program => format!("wasm program \"{name}\": "),
            AnswererKind::Function { function, .. } => {
                format!("wasm plugin \"{name}\": function \"{}\" ", String::from_utf8_lossy(function))
            }
        }
    }

    /// The form in which it wants its module.
    pub fn form(&self) -> ModuleVariant {
        ModuleVariant { fuel: self.fuel.is_some(), pooled: true }
    }

    /// What it is counted under.
    pub fn identity(&self) -> Identity<'_> {
        let Self { name, kind, place, known_as, .. } = self;
        let function: &[u8] = match kind {
            AnswererKind::Program => b"",
            AnswererKind::Function { function, .. } => function,
        };
        let kind = kind.directive().as_bytes();
        let LevelName { server, location } = known_as.level.as_ref();
        Identity { name, vm_configuration: kind, configuration: function, root_id: b"", server, location, place }
    }
}
