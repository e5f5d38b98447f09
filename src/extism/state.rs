//! What the host keeps of an instance beside the engine's: host functions work on it, and `instance.rs` puts it back.

use std::sync::Arc;

use http::HeaderMap;

use super::kernel::{Kernel, Part};
use super::printed::Printed;
use super::settings::Settings;
use super::surroundings::Surroundings;
use super::vars::Vars;
use super::watch::CallWatch;
use super::world::{Level, World};
use crate::wasi;

pub(super) struct State {
    pub kernel: Kernel,
    pub vars: Vars,
    /// What came of the last call of HTTP.
    pub answer: Answer,
    /// What the plugin has of the system.
    pub wasi: wasi::State,
    pub printed: Printed,
    pub settings: Settings,
    pub watch: Arc<CallWatch>,
}

/// The answer to a call of HTTP, without its body. There is none: status 0.
#[derive(Clone, Default)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
}

/// What is put back.
pub(super) struct StateImage {
    vars: Vars,
    /// Go chooses so once, before anything else.
    nonblocking: [bool; 3],
    pub has_read_random: bool,
}

impl State {
    /// Before there is an instance. The error says which directory cannot be opened.
    pub fn new(settings: &Settings, watch: Arc<CallWatch>) -> Result<State, String> {
        let manifest = &settings.manifest;
        let files = wasi::Descriptors::open(manifest.directories())?;
        Ok(State {
            kernel: Kernel::new(settings.memory()),
            vars: Vars::new(manifest.most_vars()),
            answer: Answer::default(),
            wasi: wasi::State { files, ..wasi::State::default() },
            printed: Printed::default(),
            settings: settings.clone(),
            watch,
        })
    }

    /// A call begins: what calls before it have left in the shared memory goes. Whether there is room for the input.
    pub fn begin(&mut self, input: &[u8]) -> bool {
        self.kernel.reset();
        let at = self.kernel.put(input);
        at.is_some_and(|at| self.kernel.set_input(Part { at, len: input.len() as u64 }))
    }

    /// Logs what has been printed without the end of a line.
    pub fn flush(&mut self, world: &mut dyn World) {
        let State { printed, wasi, watch, .. } = self;
        printed.flush(&mut |line| world.log(Level::Info, line));
        wasi.output.flush(&mut Surroundings { world, printed, watch });
    }

    /// Keeps what there is now, between calls. The error says what cannot be kept.
    pub fn image(&self) -> Result<StateImage, String> {
        if !self.wasi.is_as_granted() {
            return Err("its start leaves files open".into());
        }
        if self.answer.status != 0 {
            return Err("its start makes calls of HTTP".into());
        }
        let wasi::State { nonblocking, has_read_random, .. } = self.wasi;
        Ok(StateImage { vars: self.vars.clone(), nonblocking, has_read_random })
    }

    /// Goes back to what there was.
    pub fn put_back(&mut self, image: &StateImage) -> Result<(), String> {
        // All fields are named: whoever adds one decides what becomes of it here.
        let State { kernel, vars, answer, wasi, printed, settings: _, watch } = self;
        kernel.reset();
        vars.clone_from(&image.vars);
        *answer = Answer::default();
        *printed = Printed::default();
        watch.begin(None);
        let is_as_granted = wasi.put_back();
        wasi.nonblocking = image.nonblocking;
        if is_as_granted { Ok(()) } else { Err("it has closed a directory that it was granted".into()) }
    }
}
