//! Runs a program on its thread: makes an instance, or takes one that was put back to its start, lets the program run in it, and says
//! how that has ended. The adapter makes a [`Job`] for each request, and hands it to `threads.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::ending::Ending;
use super::grants::Grants;
use super::instances::{Dispatch, Instances};
use super::place::Place;
use super::run::Run;
use super::start::Start;
use super::world::{Input, World};
use crate::vm::{Deadline, Instance, Trap};
use crate::wasi;

/// What is the same for all runs in a location.
pub struct Job {
    /// The program, and caps on its instances.
    pub instances: Instances,
    /// The number of the function that it begins with.
    pub entry: usize,
    /// The time of the processor that it may use.
    pub cpu_time: Duration,
    /// The directories that it may use.
    pub grants: Grants,
    /// What its instances start as.
    pub start: Option<Arc<Start>>,
}

impl Job {
    /// Runs the program. `arguments`: the first is what it is called; `environment`: `NAME=VALUE`, each. The run has been told of the
    /// ending that this answers when what comes behind it has been done: nobody waits for that.
    pub fn perform(
        &self,
        place: &mut Place,
        run: &Arc<Run>,
        arguments: &[Vec<u8>],
        environment: &[Vec<u8>],
        input: Input,
    ) -> Ending {
        let files = match self.grants.open() {
            Ok(files) => files,
            Err(reason) => return Ending::NotStarted(reason),
        };
        let mut state = wasi::State { files, ..wasi::State::default() };
        let mut world = World::new(run, arguments, environment, input);
        place.guard.begin(run, self.cpu_time);
        run.start();
        let mut instance = match self.instance(place) {
            Ok(instance) => instance,
            Err(trap) => return Ending::of(trap, place.guard.end()),
        };
        self.instances.fill_up(instance.as_mut());
        let dispatch = &mut Dispatch { state: &mut state, world: &mut world };
        let refused = instance.stats().refused_growth;
        let result = instance.call(self.entry, &[], Duration::ZERO, dispatch);
        let late = place.guard.end();
        state.output.flush(&mut world);
        let fuel = self.instances.fuel.zip(instance.fuel()).map(|(given, left)| given.saturating_sub(left));
        run.note_used(fuel, instance.stats().refused_growth.saturating_sub(refused));
        let is_whole = matches!(result, Ok(_) | Err(Trap::Exit(_)));
        let ending = result.map_or_else(|trap| Ending::of(trap, late), |_| Ending::Done);
        run.end(ending.clone());
        if let Some(start) = self.start.as_ref().filter(|_| is_whole)
            && start.put_back(instance.as_mut())
        {
            place.keep(start.number(), instance);
        }
        ending
    }

    /// Has an instance ready for the first request on this thread, unless the thread has one, or has enough. Nothing of the program runs
    /// but what initialises it.
    pub fn prepare(&self, place: &mut Place, run: &Arc<Run>) -> Ending {
        let Some(start) = self.start.as_ref().filter(|start| place.has_room_for(start.number())) else {
            return Ending::Done;
        };
        run.leave_to_itself();
        place.guard.begin(run, self.cpu_time);
        let made = start.instance(Deadline::Watch(place.guard.clone()));
        let late = place.guard.end();
        match made {
            Ok(instance) => place.keep(start.number(), instance),
            Err(trap) => return Ending::of(trap, late),
        }
        Ending::Done
    }

    fn instance(&self, place: &mut Place) -> Result<Box<dyn Instance>, Trap> {
        let deadline = Deadline::Watch(place.guard.clone());
        match &self.start {
            Some(start) => match place.take(start.number()) {
                Some(instance) => Ok(instance),
                None => start.instance(deadline),
            },
            None => self.instances.make(deadline),
        }
    }
}
