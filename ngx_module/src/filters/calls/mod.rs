//! Calls of filters to other services. A VM collects what its guest asks for; `instances/` hands that to
//! [`Calls`] after each callback, which runs it as futures of `net/`. Results come back through the [`Owner`], in callbacks
//! that are about no request, from which the guest chooses its own.

mod grpc;
mod http;
mod redis;
mod unsendable;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::{Rc, Weak};

use async_task::Task;
use ngx_wasm::net::head::Head;
use ngx_wasm::net::target::{Target, split_scheme};
use ngx_wasm::proxy_wasm::{CallCommand, CallError, CallFailure, CallId, Host, StreamToken, Vm};

use crate::filters::instances::Instances;
use crate::filters::requests;
use crate::filters::root_callback::RootCallback;
use crate::net::balancer::BalancerInput;
use crate::net::http::{Endpoint, Feed, Service};
use crate::net::service;
use crate::net::settings::CallSettings;
use crate::nginx::cycle;
use crate::nginx::log::{self, Log};
use crate::nginx::timer::AtExit;
use crate::process::engine;

/// The calls of a VM that run, by their number.
#[derive(Default)]
pub struct Calls(BTreeMap<u32, Running>);

/// A call on its way. The box keeps it in its place from the beginning: it is large, and goes through many hands.
type Call = Pin<Box<dyn Future<Output = ()>>>;

/// A call that runs; it ends when this is dropped.
struct Running {
    task: Task<()>,
    /// Where the messages of a gRPC stream go.
    feed: Option<Feed>,
}

/// Whose calls they are, and who gets the results: an instance of a filter, as long as it is there.
pub struct Owner {
    pub instances: Weak<RefCell<Instances>>,
    pub generation: u64,
    /// The name of the filter.
    pub name: Vec<u8>,
    pub settings: Rc<CallSettings>,
}

impl Calls {
    /// Does what a guest asked for.
    pub fn start(&mut self, owner: &Rc<Owner>, commands: Vec<CallCommand>) {
        for command in commands {
            match command {
                CallCommand::Http(call) => {
                    let id = call.id;
                    self.run(id, None, http::run(owner.clone(), call));
                }
                CallCommand::Grpc(call) => {
                    let id = call.id;
                    let feed = grpc::feed(&call);
                    self.run(id, feed.clone(), grpc::run(owner.clone(), call, feed));
                }
                CallCommand::GrpcSend { call, message, is_end } => {
                    if let Some(feed) = self.0.get(&call.0).and_then(|running| running.feed.as_ref()) {
                        grpc::send(feed, message, is_end);
                    }
                }
                CallCommand::GrpcCancel(call) => drop(self.0.remove(&call.0)),
                CallCommand::Redis(call) => {
                    let id = call.id;
                    self.run(id, None, redis::run(owner.clone(), call));
                }
                CallCommand::Unsendable(call) => {
                    let id = call.id;
                    self.run(id, None, unsendable::run(owner.clone(), call));
                }
            }
        }
    }

    fn run(&mut self, id: CallId, feed: Option<Feed>, call: Call) {
        self.0.insert(id.0, Running { task: crate::nginx::executor::spawn(call), feed });
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends those that nobody waits for any more.
    pub fn retain(&mut self, is_wanted: impl Fn(CallId) -> bool) {
        self.0.retain(|id, _| is_wanted(CallId(*id)));
    }

    /// A call has had its last callback.
    pub fn forget(&mut self, id: CallId) {
        if let Some(running) = self.0.remove(&id.0) {
            // It is the one that says so.
            running.task.detach();
        }
    }
}

impl Owner {
    /// Runs a callback about a call. Without the VM that made it, there is nobody to be told.
    fn deliver(&self, id: CallId, run: impl FnOnce(&mut Vm, &mut dyn Host) -> Result<(), CallError>) {
        // Calls go on in events of nginx, in which no guest runs, so nobody has the instance.
        if let Some(instances) = self.instances.upgrade()
            && let Ok(mut instances) = instances.try_borrow_mut()
        {
            instances.run_root(self.generation, RootCallback::Call(id), run);
        }
    }

    /// A call has had its last callback.
    fn forget(&self, id: CallId) {
        if let Some(instances) = self.instances.upgrade()
            && let Ok(mut instances) = instances.try_borrow_mut()
            && let Some(instance) = instances.get(self.generation)
        {
            instance.calls.forget(id);
            instances.end_if_idle(self.generation);
        }
    }

    /// Says in the log why a call has no answer.
    fn log_failed_call(&self, id: CallId, target: &[u8], failure: &CallFailure) {
        let line = format!(
            "wasm filter \"{}\": call {id} to \"{}\" failed: {}",
            String::from_utf8_lossy(&self.name),
            String::from_utf8_lossy(target),
            failure.reason
        );
        self.log(id, &line);
    }

    /// Writes a line about a call.
    fn log(&self, id: CallId, line: &str) {
        let line = log::printable(line);
        if let Some(instances) = self.instances.upgrade()
            && let Ok(mut instances) = instances.try_borrow_mut()
            && let Some(instance) = instances.get(self.generation)
        {
            log_of_call(&instance.vm, id).error(line);
        } else {
            cycle::log().error(line);
        }
    }

    /// The service that a call names, as [`service::named`] has it.
    fn service(&self, target: &[u8], host: &[u8], is_tls: bool, only_http2: bool) -> Result<Rc<Service>, String> {
        service::named(&self.settings, target, host, is_tls, only_http2)
    }

    /// Whether a call has TLS that wants it or not: `wasm_call_ssl` may have decided.
    fn has_tls(&self, is_wanted: bool) -> bool {
        self.settings.ssl.unwrap_or(is_wanted)
    }
}

/// The log of the request that a call was made for, which names it and its client, while it lives; else that of the cycle. It
/// is good until nginx does something else: no request ends while a guest runs.
pub fn log_of_call<'l>(vm: &Vm, id: CallId) -> Log<'l> {
    requests::log_of(vm.streams_of_call(id).next())
}

/// Whether a worker that shuts down waits for a call: it does when a request waits for it, as far as one can know.
fn at_exit(stream: Option<StreamToken>) -> AtExit {
    if stream.is_some() { AtExit::Wait } else { AtExit::Leave }
}

/// The client of the request that a call was made for.
fn client(stream: Option<StreamToken>) -> Option<requests::Client> {
    (requests::known()?.client)(stream?)
}

/// What the balancer of a service can look at, if it looks at all. The request that the call was made for is there now, and
/// perhaps not later.
fn subject(
    service: &Result<Rc<Service>, String>,
    stream: Option<StreamToken>,
    request: Option<&Head>,
) -> BalancerInput {
    if !service.as_ref().is_ok_and(|service| service.looks_at_requests()) {
        return BalancerInput::default();
    }
    let mut subject = BalancerInput { client: client(stream), ..BalancerInput::default() };
    if let Some(request) = request {
        subject.method = request.method.to_string();
        subject.path = request.target().to_vec();
        let host = std::iter::once((&b"host"[..], request.authority()));
        let headers = host.chain(request.fields.iter());
        subject.headers = headers.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    }
    subject
}

/// Whether calls can go to `target`: an `upstream { }`, an address, or a name that a resolver may know.
pub fn can_call(settings: Option<&CallSettings>, target: &[u8]) -> bool {
    match service::endpoint_of(split_scheme(target).1) {
        // While nginx reads a configuration, nobody knows its upstreams yet, and no call is made.
        _ if !engine::in_worker() => true,
        Ok(Endpoint::Upstream(_) | Endpoint::Target(Target::Unix(_))) => true,
        Ok(Endpoint::Target(Target::Host { host, .. })) => {
            settings.is_none_or(|settings| crate::net::resolve::can_resolve(settings.core, &host))
        }
        Err(_) => false,
    }
}
