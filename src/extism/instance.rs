//! Instances of a plugin: start, calls of its functions, and the way back to what it was after its start.

use std::sync::Arc;
use std::time::Duration;

use super::failure::{Failure, Reason};
use super::host_calls::Dispatch;
use super::image::InstanceImage;
use super::plugin::Plugin;
use super::settings::Settings;
use super::state::State;
use super::watch::CallWatch;
use super::world::World;
use crate::vm::{self, Deadline, InstanceStats, Trap, Watch};

/// The function of a program, which runs once.
const PROGRAM: &str = "_start";

/// What a failure names while an instance is made.
const MAKING: &str = "start";

/// A running plugin. It belongs to the thread that made it.
pub struct Instance {
    plugin: Arc<Plugin>,
    /// The engine's, or why there is none any more.
    instance: Result<Box<dyn vm::Instance>, &'static str>,
    state: State,
    /// What it is put back to, or why it cannot be.
    image: Result<Arc<InstanceImage>, String>,
    /// What the last call has left.
    fuel: Option<u64>,
}

impl Instance {
    /// Makes an instance, and runs what starts it: `_initialize` and `hs_init` of Haskell, else `__wasm_call_ctors`, else
    /// `_initialize`. Then an image is taken of it, if there are images of such. `watch` is asked for all of its life.
    pub fn start(
        plugin: &Arc<Plugin>,
        settings: &Settings,
        watch: Arc<dyn Watch>,
        world: &mut dyn World,
    ) -> Result<Instance, Failure> {
        let mut state = prepare(settings, Arc::new(CallWatch::new(watch)))?;
        let deadline = Deadline::Watch(state.watch.clone());
        let mut dispatch = Dispatch { state: &mut state, world };
        let made = plugin.program.instantiate(settings.instance_limits(), settings.fuel, deadline, &mut dispatch);
        state.flush(world);
        let instance = made.map_err(|trap| failed(MAKING, trap))?;
        let mut instance = Instance::of(plugin, instance, state, Err("it has not started".into()))?;
        for (number, start) in plugin.starts.iter().enumerate() {
            let result = instance.run(number, &[0; 2][..start.arguments], world);
            result.map_err(|trap| failed(start.name, trap))?;
        }
        instance.image = instance.take_image().map(Arc::new);
        Ok(instance)
    }

    /// Makes an instance that is what another one of the plugin was behind its start, with the same settings. Nothing of it runs.
    pub fn from_image(
        plugin: &Arc<Plugin>,
        settings: &Settings,
        watch: Arc<dyn Watch>,
        image: &Arc<InstanceImage>,
    ) -> Result<Instance, Failure> {
        let state = prepare(settings, Arc::new(CallWatch::new(watch)))?;
        Instance::of_image(plugin, state, image)
    }

    fn of_image(plugin: &Arc<Plugin>, mut state: State, image: &Arc<InstanceImage>) -> Result<Instance, Failure> {
        let deadline = Deadline::Watch(state.watch.clone());
        let made = plugin.program.instantiate_from(&image.instance, state.settings.instance_limits(), deadline);
        let instance = made.map_err(|trap| failed(MAKING, trap))?;
        state.put_back(&image.state).map_err(|reason| failed(MAKING, Trap::Instantiate(reason)))?;
        Instance::of(plugin, instance, state, Ok(image.clone()))
    }

    fn of(
        plugin: &Arc<Plugin>,
        mut instance: Box<dyn vm::Instance>,
        state: State,
        image: Result<Arc<InstanceImage>, String>,
    ) -> Result<Instance, Failure> {
        let fuel = instance.fuel();
        if state.settings.fuel.is_some() && fuel.is_none() {
            let trap = Trap::Instantiate("it has fuel, but the module was compiled without counting it".into());
            return Err(failed(MAKING, trap));
        }
        Ok(Instance { plugin: plugin.clone(), instance: Ok(instance), state, image, fuel })
    }

    /// What it is behind its start. The error says why there is no image, so that it cannot be put back.
    pub fn image(&self) -> Result<&Arc<InstanceImage>, &str> {
        self.image.as_ref().map_err(String::as_str)
    }

    /// Somebody else watches it from now on, for another request.
    pub fn set_watch(&mut self, watch: Arc<dyn Watch>) {
        self.state.watch.set_watch(watch);
    }

    /// What is known of its memory; nothing when it has ended.
    pub fn stats(&mut self) -> InstanceStats {
        self.instance.as_mut().map(|instance| instance.stats()).unwrap_or_default()
    }

    /// What the last call has left of its fuel; `None` if the engine does not count.
    pub fn fuel(&self) -> Option<u64> {
        self.fuel
    }

    /// Calls a function with this input. The answer is its output.
    pub fn call(&mut self, function: &str, input: &[u8], world: &mut dyn World) -> Result<Vec<u8>, Failure> {
        let fail = |reason| Err(Failure::new(function, reason));
        let instance = match &mut self.instance {
            Ok(instance) => instance,
            Err(why) => return fail(Reason::Ended(why)),
        };
        let Some(number) = self.plugin.number(function) else {
            return fail(Reason::Unknown(self.plugin.functions().map(str::to_owned).collect()));
        };
        if !self.state.begin(input) {
            return fail(Reason::TooLarge { input: input.len() as u64, memory: self.state.kernel.limit() });
        }
        if let Some(fuel) = self.state.settings.fuel {
            instance.set_fuel(fuel);
        }
        let time = self.state.settings.manifest.timeout();
        self.state.watch.begin(time);
        let result = self.run(number, &[], world);
        let has_run_out = self.state.watch.has_run_out();
        self.state.watch.begin(None);
        if function == PROGRAM && self.instance.is_ok() {
            self.instance = Err("it has run \"_start\", and programs run once");
        }
        self.outcome(function, result, time.filter(|_| has_run_out))
    }

    /// What came of a call. `timeout`: its time was over.
    fn outcome(
        &self,
        function: &str,
        result: Result<u32, Trap>,
        timeout: Option<Duration>,
    ) -> Result<Vec<u8>, Failure> {
        let message = self.state.kernel.error_bytes().unwrap_or_default().to_vec();
        match result {
            // A program may say that it is done.
            Ok(0) | Err(Trap::Exit(0)) if message.is_empty() => Ok(self.state.kernel.output_bytes().to_vec()),
            Ok(code) => Err(Failure::new(function, Reason::Failed { code, message })),
            Err(Trap::Exit(code)) if !message.is_empty() => {
                Err(Failure::new(function, Reason::Failed { code, message }))
            }
            Err(trap) => Err(Failure::of_trap(function, trap, message, timeout)),
        }
    }

    /// Runs a function, and logs what it has printed.
    fn run(&mut self, number: usize, args: &[u32], world: &mut dyn World) -> Result<u32, Trap> {
        let instance = self.instance.as_mut().map_err(|why| Trap::host(*why))?;
        let mut dispatch = Dispatch { state: &mut self.state, world };
        let result = instance.call(number, args, Duration::ZERO, &mut dispatch);
        self.fuel = instance.fuel();
        self.state.flush(world);
        match &result {
            Ok(_) => {}
            Err(Trap::Exit(_)) => self.instance = Err("it has exited"),
            Err(_) => self.instance = Err("it has trapped"),
        }
        result
    }

    fn take_image(&mut self) -> Result<InstanceImage, String> {
        let state = self.state.image()?;
        let instance = self.instance.as_mut().map_err(|why| (*why).to_owned())?;
        Ok(InstanceImage { instance: instance.snapshot()?, state })
    }

    /// Makes the instance what it was behind its start: its memory and its globals, variables, the memory that it shares with its host,
    /// its files. Nothing of the calls before is left. Where that cannot be done in its place, since its memory has grown or it has
    /// ended, a new one is made of the image; nothing of it runs. After an error it must be dropped: there is no image, for example.
    pub fn put_back(&mut self) -> Result<(), String> {
        let image = self.image.clone()?;
        if let Ok(instance) = &mut self.instance
            && self.state.put_back(&image.state).is_ok()
            && instance.restore(&image.instance).is_ok()
        {
            return Ok(());
        }
        // Its memory goes before there is another one.
        self.instance = Err("it could not be put back");
        let made = prepare(&self.state.settings, self.state.watch.clone())
            .and_then(|state| Instance::of_image(&self.plugin, state, &image));
        *self = made.map_err(|failure| failure.to_string())?;
        Ok(())
    }
}

/// What the host keeps of an instance, before there is one.
fn prepare(settings: &Settings, watch: Arc<CallWatch>) -> Result<State, Failure> {
    State::new(settings, watch).map_err(|reason| Failure::new(MAKING, Reason::Directory(reason)))
}

fn failed(function: &str, trap: Trap) -> Failure {
    Failure::of_trap(function, trap, Vec::new(), None)
}
