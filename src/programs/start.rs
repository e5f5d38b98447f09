//! What the instances of a program start as, once for all runs of a worker, and where that can be for all workers: an image of an
//! instance that is new, or that a function of the program has initialised (`wasm_snapshot`). Each run gets an instance that is
//! byte for byte that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bell::Bell;
use super::grants::Grants;
use super::instances::{Dispatch, Instances};
use super::place::new_number;
use super::run::Run;
use super::world::{Input, World};
use crate::vm::{Deadline, Image, Instance, Trap};
use crate::wasi;

/// What a program has while it is initialised: what is the same for all requests of a location.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The directories that it may use, to read.
    pub grants: Grants,
    /// The first is what it is called.
    pub arguments: Vec<Vec<u8>>,
    /// `NAME=VALUE`, each.
    pub environment: Vec<Vec<u8>>,
    /// Whether it may read random numbers, which are then the same for all requests of a worker.
    pub has_random: bool,
}

/// How the instances of a program start.
pub struct Start {
    /// No other has it.
    number: u64,
    instances: Instances,
    /// The number of the function that initialises the program. Without one an instance starts as the engine makes it.
    function: Option<usize>,
    surroundings: Surroundings,
    /// What that is called.
    name: String,
    /// What it is then, once somebody has needed it.
    image: Mutex<Option<Arc<Image>>>,
}

/// Why instances do not start so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStart {
    /// A new one is not made, or its initialisation does not end well.
    Fails(String),
    /// It starts, and cannot be put back to that.
    NotPutBack(String),
}

impl Start {
    /// Starts with this function, or none.
    pub fn new(instances: Instances, function: Option<usize>, surroundings: Surroundings) -> Start {
        let name = function.and_then(|function| instances.module.name_of(function)).unwrap_or_default().to_owned();
        Start { number: new_number(), instances, function, surroundings, name, image: Mutex::default() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the program can start so: why it does not start, or what its initialisation does that must not be the same for all
    /// runs; and if so, why its instances cannot be put back. `timeout` is CPU time.
    pub fn check(&self, timeout: Duration) -> Result<(), NoStart> {
        let mut instance =
            self.initialized(Deadline::Timeout(timeout)).map_err(|trap| NoStart::Fails(trap.to_string()))?;
        let image = instance.snapshot().map_err(NoStart::NotPutBack)?;
        if self.is_same_in_all_processes() {
            *self.image.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(image));
        }
        Ok(())
    }

    /// Whether workers may have the image that the master has made: it depends neither on what another user may read of files, nor on
    /// random numbers.
    fn is_same_in_all_processes(&self) -> bool {
        let Surroundings { grants, has_random, .. } = &self.surroundings;
        self.function.is_none() || !has_random && *grants == Grants::default()
    }

    /// Makes an instance that is what all start as. Others wait while the first is made.
    pub(super) fn instance(&self, deadline: Deadline) -> Result<Box<dyn Instance>, Trap> {
        let image = {
            let mut made = self.image.lock().unwrap_or_else(PoisonError::into_inner);
            match &*made {
                Some(image) => image.clone(),
                None => {
                    let mut instance = self.initialized(deadline.clone())?;
                    match instance.snapshot() {
                        Ok(image) => made.insert(Arc::new(image)).clone(),
                        // The system does not let us look at its memory, now. It is a new one all the same.
                        Err(_) if self.function.is_none() => return Ok(instance),
                        Err(reason) => return Err(Trap::Instantiate(reason)),
                    }
                }
            }
        };
        let made = self.instances.module.program.instantiate_from(&image, self.instances.limits, deadline.clone());
        if self.function.is_none() && matches!(made, Err(Trap::Instantiate(_))) {
            return self.instances.make(deadline);
        }
        made
    }

    /// Puts an instance back. Whether it is what it was.
    pub(super) fn put_back(&self, instance: &mut dyn Instance) -> bool {
        let image = self.image.lock().unwrap_or_else(PoisonError::into_inner).clone();
        image.is_some_and(|image| instance.restore(&image).is_ok())
    }

    /// A new instance, initialised. The function sees no input, and nothing of a request.
    fn initialized(&self, deadline: Deadline) -> Result<Box<dyn Instance>, Trap> {
        let timeout = match &deadline {
            Deadline::Timeout(timeout) => *timeout,
            Deadline::Watch(_) => Duration::ZERO,
        };
        let mut instance = self.instances.make(deadline)?;
        let Some(function) = self.function else { return Ok(instance) };
        self.instances.fill_up(instance.as_mut());
        let bell = Bell::new().map_err(|err| Trap::Instantiate(err.to_string()))?;
        let run = Run::new(Arc::new(bell), 0);
        run.leave_to_itself();
        let Surroundings { grants, arguments, environment, has_random } = &self.surroundings;
        let files = grants.open_to_read().map_err(Trap::Instantiate)?;
        let mut state = wasi::State { files, ..wasi::State::default() };
        let mut world = World::new(&run, arguments, environment, Input::Whole(Vec::new()));
        let failed = |reason: String| Trap::host(format!("its initialisation, \"{}\", {reason}", self.name));
        match instance.call(function, &[], timeout, &mut Dispatch { state: &mut state, world: &mut world }) {
            Ok(_) => {}
            Err(trap @ Trap::Stopped) => return Err(trap),
            Err(trap) => {
                state.output.flush(&mut world);
                return Err(failed(format!("fails: {trap}{}", printed(&run))));
            }
        }
        state.output.flush(&mut world);
        if state.has_read_random && !has_random {
            return Err(failed(
                "reads random numbers, which would be the same in all requests (wasm_snapshot ... random allows that)"
                    .into(),
            ));
        }
        if !state.is_as_granted() {
            return Err(failed("leaves something open".into()));
        }
        Ok(instance)
    }
}

/// What the program has said last.
fn printed(run: &Run) -> String {
    let lines = run.look(false).lines;
    lines.last().map(|line| format!("; it says: {}", String::from_utf8_lossy(&line.text))).unwrap_or_default()
}
