//! Runs a function of an Extism plugin for a request: the body of the request is its input, what it gives is the response. Instances are
//! put back to their start between requests, and each request has one for itself. The adapter makes a [`FunctionJob`] for each location.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::bell::Bell;
use super::ending::Ending;
use super::head::Head;
use super::place::{Place, new_number};
use super::run::Run;
use super::world::{Input, NotRead};
use crate::extism::envelope;
use crate::extism::{
    Failure, HttpRequest, HttpResponse, Instance, InstanceImage, Level, Plugin, Reason, Settings, World,
};

/// What goes in and comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The body of the request, and that of the response.
    Raw,
    /// A description of the request, and one of the response ([`envelope`]).
    Json,
}

/// What is the same for all requests of a location.
pub struct FunctionJob {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// One of its functions.
    pub function: String,
    /// What it may do.
    pub settings: Settings,
    /// What goes in and comes out.
    pub mode: Mode,
    /// The time of the processor that a call may use.
    pub cpu_time: Duration,
    /// Values of the configuration that are the same for all requests: instances that all requests get see no others while they start.
    pub constants: Vec<(Vec<u8>, Vec<u8>)>,
    number: u64,
    /// What instances start as, once one has started.
    image: Mutex<Option<Arc<InstanceImage>>>,
    /// They cannot be put back: each request starts one, and that sees its configuration.
    is_made_anew: AtomicBool,
}

/// What a request says.
pub struct FunctionRequest {
    /// Its method.
    pub method: Vec<u8>,
    /// Its path, with arguments.
    pub uri: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Values of the plugin's configuration, which win over those of the manifest.
    pub config: Vec<(Vec<u8>, Vec<u8>)>,
    /// The least level that the log takes.
    pub level: Option<Level>,
}

impl FunctionJob {
    /// A job that has not run.
    pub fn new(
        plugin: Arc<Plugin>,
        function: String,
        settings: Settings,
        mode: Mode,
        cpu_time: Duration,
        constants: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let (image, is_made_anew) = (Mutex::default(), AtomicBool::new(false));
        FunctionJob { plugin, function, settings, mode, cpu_time, constants, number: new_number(), image, is_made_anew }
    }

    /// What an instance sees that starts for no request, or for all.
    fn request_of_nobody(&self, level: Option<Level>) -> FunctionRequest {
        let config = self.constants.clone();
        FunctionRequest { method: Vec::new(), uri: Vec::new(), headers: Vec::new(), config, level }
    }

    /// Whether instances start and can be put back. The error says why one does not start; the answer, why they are made anew for
    /// each request.
    pub fn check(&self) -> Result<Option<String>, String> {
        let run = &Run::new(Arc::new(Bell::new().map_err(|err| err.to_string())?), 0);
        // Nobody looks at what it prints, and it is not to wait for anything.
        run.leave_to_itself();
        let place = Place::default();
        place.guard.begin(run, self.cpu_time);
        let request = self.request_of_nobody(Some(Level::Warn));
        let started =
            Instance::start(&self.plugin, &self.settings, place.guard.clone(), &mut Outside { run, request: &request });
        place.guard.end();
        let instance = started.map_err(|failure| failure.to_string())?;
        let refusal = instance.image().err().map(str::to_owned);
        self.is_made_anew.store(refusal.is_some(), Ordering::Relaxed);
        Ok(refusal)
    }

    /// Has an instance ready for the first request on this thread, unless the thread has enough of them or instances are not put back:
    /// then each request starts one, with its own configuration. `level`: the least one that the log takes.
    pub fn prepare(&self, place: &mut Place, run: &Arc<Run>, level: Option<Level>) -> Ending {
        if self.is_made_anew.load(Ordering::Relaxed) || !place.has_room_for(self.number) {
            return Ending::Done;
        }
        run.leave_to_itself();
        let request = self.request_of_nobody(level);
        place.guard.begin(run, self.cpu_time);
        let made = self.instance(place, run, &request);
        let late = place.guard.end();
        match made {
            Ok(instance) if instance.image().is_ok() => place.keep(self.number, instance),
            Ok(_) => {}
            Err(failure) => return of_failure(failure, late),
        }
        Ending::Done
    }

    /// Calls the function.
    pub fn perform(&self, place: &mut Place, run: &Arc<Run>, request: &FunctionRequest, input: Input) -> Ending {
        let longest = self.settings.longest_input();
        let body = match input.read_all(run, longest) {
            Ok(body) => body,
            Err(NotRead::TooLong) => {
                return Ending::TooLarge(format!(
                    "cannot take a body of more than {longest} bytes (wasm_memory_limit, memory.max_pages of its manifest)"
                ));
            }
            Err(NotRead::Failed) if run.is_stopped() => return Ending::Stopped,
            Err(NotRead::Failed) => return Ending::NotStarted("the body of the request cannot be read".into()),
        };
        let input = match self.mode {
            Mode::Raw => body,
            Mode::Json => encode(request, &body),
        };
        place.guard.begin(run, self.cpu_time);
        run.start();
        let mut outside = Outside { run, request };
        let called = self.instance(place, run, request).map(|mut instance| {
            let refused = instance.stats().refused_growth;
            let output = instance.call(&self.function, &input, &mut outside);
            let fuel = self.settings.fuel.zip(instance.fuel()).map(|(given, left)| given.saturating_sub(left));
            run.note_used(fuel, instance.stats().refused_growth.saturating_sub(refused));
            (instance, output)
        });
        let late = place.guard.end();
        let (instance, output) = match called {
            Ok((instance, output)) => (Some(instance), output),
            Err(failure) => (None, Err(failure)),
        };
        let ending = match output {
            Ok(output) => self.respond(run, output),
            Err(failure) => {
                if matches!(failure.reason, Reason::Trap { .. }) && !failure.message().is_empty() {
                    // What it says itself is the ending; what has happened behind that is for the log.
                    outside.log(Level::Error, failure.to_string().as_bytes());
                }
                of_failure(failure, late)
            }
        };
        run.end(ending.clone());
        if let Some(mut instance) = instance
            && instance.put_back().is_ok()
        {
            place.keep(self.number, instance);
        }
        ending
    }

    fn instance(&self, place: &mut Place, run: &Run, request: &FunctionRequest) -> Result<Instance, Failure> {
        if let Some(instance) = place.take::<Instance>(self.number) {
            return Ok(instance);
        }
        let image = self.image.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(image) = image {
            return Instance::from_image(&self.plugin, &self.settings, place.guard.clone(), &image);
        }
        let start =
            |request| Instance::start(&self.plugin, &self.settings, place.guard.clone(), &mut Outside { run, request });
        if self.is_made_anew.load(Ordering::Relaxed) {
            return start(request);
        }
        // All requests get what it starts as, so nothing of this one may be in it.
        let instance = start(&self.request_of_nobody(request.level))?;
        if let Ok(image) = instance.image() {
            *self.image.lock().unwrap_or_else(PoisonError::into_inner) = Some(image.clone());
        }
        Ok(instance)
    }

    /// Makes a response of what the function has given.
    fn respond(&self, run: &Run, output: Vec<u8>) -> Ending {
        let (mut head, body) = match self.mode {
            Mode::Raw => (Head { status: Some(200), ..Head::default() }, output),
            Mode::Json => match envelope::Response::decode(&output) {
                Ok(response) => {
                    let mut head = Head { status: Some(response.status), ..Head::default() };
                    for (name, value) in response.headers {
                        add(&mut head, name, value);
                    }
                    (head, response.body)
                }
                Err(err) => return Ending::Failed(err.to_string().into_bytes()),
            },
        };
        head.content_length = Some(body.len() as u64);
        run.begin(head);
        let mut left = &body[..];
        while !left.is_empty() {
            match run.write(left) {
                Ok(written) => left = &left[written..],
                Err(_) => return Ending::Stopped,
            }
        }
        Ending::Done
    }
}

fn encode(request: &FunctionRequest, body: &[u8]) -> Vec<u8> {
    let headers: Vec<(&[u8], &[u8])> =
        request.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    envelope::Request { method: &request.method, uri: &request.uri, headers: &headers, body }.encode()
}

/// Adds a header that a function says. How long the body is, is known.
fn add(head: &mut Head, name: String, value: String) {
    if name.eq_ignore_ascii_case("content-type") {
        head.content_type = Some(value.into_bytes());
    } else if !name.eq_ignore_ascii_case("content-length") {
        head.fields.push((name.into_bytes(), value.into_bytes()));
    }
}

fn of_failure(failure: Failure, late: Option<Duration>) -> Ending {
    match &failure.reason {
        Reason::Failed { message, .. } if !message.is_empty() => Ending::Failed(message.clone()),
        Reason::Failed { .. } => Ending::Failed(failure.to_string().into_bytes()),
        Reason::Trap { message, .. } if !message.is_empty() => Ending::Failed(message.clone()),
        Reason::Trap { .. } => Ending::Trap(failure.reason.to_string().trim_start_matches("trapped: ").to_owned()),
        Reason::Stopped => late.map_or(Ending::Stopped, Ending::CpuTime),
        Reason::Timeout(_) => Ending::Late(failure.to_string()),
        Reason::Exit(code) => Ending::Exit(*code),
        Reason::OutOfFuel => Ending::Fuel,
        Reason::TooLarge { .. } => Ending::TooLarge(failure.to_string()),
        Reason::Unknown(_) | Reason::Directory(_) | Reason::Ended(_) => Ending::NotStarted(failure.to_string()),
    }
}

/// The world around a function.
struct Outside<'a> {
    run: &'a Run,
    request: &'a FunctionRequest,
}

impl World for Outside<'_> {
    fn log(&mut self, level: Level, message: &[u8]) {
        // Where nobody waits for the function, nobody reads what it logs.
        let _ = self.run.print(level, message);
    }

    fn log_level(&self) -> Option<Level> {
        self.request.level
    }

    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, String> {
        self.run.call(request)
    }

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    }

    fn config(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.request.config.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}
