//! `proxy_on_queue_ready`: for each message of a shared queue, one of the filters that registered the queue is told, in
//! whichever worker it runs. A worker that has such a filter tells it itself, after the callback that sent the message; one
//! that has none wakes up a worker that does (`mailboxes.rs`).
//!
//! Who has registered in which worker, and who is to be told of how many messages, is kept with the queue in shared memory
//! (`ngx_wasm::shared::Queues`). Here is what this worker needs to run the callbacks.

#[allow(unsafe_code)]
mod mailboxes;

use std::cell::RefCell;
use std::rc::Weak;

use ngx_wasm::proxy_wasm::{Callback, ContextId};
use ngx_wasm::shared::Queues;

use crate::config::conf::MainConf;
use crate::filters::instances::Instances;
use crate::filters::root_callback::RootCallback;
use crate::nginx::channel::{Channel, Later, Unwatched};
use crate::nginx::cycle;
use crate::process::engine;
use crate::process::shared_memory;

/// So many messages of a queue before the worker looks after requests again.
const AT_ONCE: usize = 16;

/// A filter that is to be told of messages.
#[derive(Clone)]
struct Registration {
    queue: u32,
    /// The instances of the filter.
    instances: Weak<RefCell<Instances>>,
    /// Which of them.
    generation: u64,
    /// Which root context of that.
    root: ContextId,
}

impl Registration {
    /// Whether it is of the same filter, and about the same queue.
    fn is_like(&self, other: &Registration) -> bool {
        self.queue == other.queue && self.instances.ptr_eq(&other.instances)
    }
}

/// This worker.
struct Worker {
    /// The number of its mailbox.
    number: usize,
    /// Posted when it has to look.
    look: Later,
    registrations: Vec<Registration>,
}

thread_local! {
    /// There once a filter has registered a queue. Never borrowed while a guest runs.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

fn log_error(what: String) {
    cycle::log().error(format!("wasm: {what}"));
}

fn queues() -> Option<&'static Queues> {
    shared_memory::stores().map(|stores| &stores.queues)
}

/// Makes what workers need to wake each other up, in the master, if there are filters that can be told of messages.
pub fn prepare(main: &MainConf) {
    let is_wanted = main.filters.iter().any(|filter| {
        let module = filter.module(&main.modules).and_then(|module| module.compiled(filter.form()));
        module.is_some_and(|module| module.has(Callback::OnQueueReady))
    });
    if !is_wanted {
        return;
    }
    if let Err(err) = mailboxes::prepare() {
        log_error(format!("no sockets between workers, filters are not told of messages in shared queues: {err}"));
    }
}

/// The number of this worker's mailbox, once it has one.
fn own_number() -> Option<usize> {
    WORKER.with_borrow(|worker| worker.as_ref().map(|worker| worker.number))
}

/// Takes a mailbox, and has nginx look into it.
fn begin() -> Option<Worker> {
    let (number, end) = match mailboxes::claim() {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            log_error("too many workers: filters here are not told of messages in shared queues".into());
            return None;
        }
        Err(err) => {
            log_error(format!("no socket, filters here are not told of messages in shared queues: {err}"));
            return None;
        }
    };
    // What a worker that died with this mailbox has left.
    leave_queues(number);
    match Channel::open(end, on_mail) {
        Ok(()) => return Some(Worker { number, look: Later::new(run), registrations: Vec::new() }),
        Err(Unwatched::NoConnection) => {}
        Err(Unwatched::CannotWatch) => {
            log_error("nginx cannot wait for a socket: filters are not told of messages in shared queues".into());
        }
    }
    mailboxes::release(number);
    None
}

/// Has this worker look for messages, after what it does now.
fn look_later() {
    if let Some(look) = WORKER.with_borrow(|worker| worker.as_ref().map(|worker| worker.look)) {
        look.post();
    }
}

/// Tells a worker that it has to look.
fn wake_worker(number: Option<usize>) {
    match number {
        None => {}
        number if number == own_number() => look_later(),
        Some(number) => {
            if let Err(err) = mailboxes::ring(number) {
                log_error(format!("cannot wake up another worker: {err}"));
            }
        }
    }
}

/// A filter of this worker has registered a queue: the last one that did is told.
pub fn register(instances: &Weak<RefCell<Instances>>, generation: u64, root: ContextId, queue: u32) {
    if !engine::in_worker() {
        return;
    }
    if own_number().is_none() {
        let begun = begin();
        WORKER.with_borrow_mut(|worker| *worker = begun);
    }
    let Some(number) = WORKER.with_borrow_mut(|worker| {
        let worker = worker.as_mut()?;
        let registration = Registration { queue, instances: instances.clone(), generation, root };
        // Filters go with their configuration.
        worker.registrations.retain(|known| !known.is_like(&registration) && known.instances.strong_count() > 0);
        worker.registrations.push(registration);
        Some(worker.number)
    }) else {
        return;
    };
    if queues().is_some_and(|queues| queues.add_worker(queue, number, &mailboxes::is_attended)) {
        look_later();
    }
}

/// A queue has got a message.
pub fn announce(queue: u32) {
    if let Some(queues) = queues().filter(|_| engine::in_worker()) {
        wake_worker(queues.choose(queue, own_number().unwrap_or(usize::MAX), &mailboxes::is_attended));
    }
}

/// Takes a worker out of all queues, and tells those that take its place.
fn leave_queues(number: usize) {
    let others = queues().map(|queues| queues.leave(number, &|other| other != number && mailboxes::is_attended(other)));
    others.unwrap_or_default().into_iter().for_each(|other| wake_worker(Some(other)));
}

/// The worker ends.
pub fn leave() {
    let Some(number) = own_number() else { return };
    leave_queues(number);
    mailboxes::release(number);
}

fn on_mail(mailbox: Channel) {
    mailboxes::drain();
    if mailbox.wait().is_err() {
        log_error("nginx cannot wait for a socket any more".into());
    }
    run();
}

/// Tells filters of this worker of messages.
fn run() {
    let (Some(number), Some(queues)) = (own_number(), queues()) else { return };
    for queue in queues.waiting_for(number) {
        let registration = WORKER.with_borrow(|worker| {
            worker.as_ref()?.registrations.iter().rev().find(|known| known.queue == queue).cloned()
        });
        let Some(registration) = registration else {
            wake_worker(queues.remove_worker(queue, number, &mailboxes::is_attended));
            continue;
        };
        if !run_filter(&registration, number, queues) {
            // Another filter that has registered it here takes its place, or another worker. The filter itself comes back
            // when it is started again.
            WORKER.with_borrow_mut(|worker| {
                if let Some(worker) = worker {
                    worker
                        .registrations
                        .retain(|known| !known.is_like(&registration) || known.generation != registration.generation);
                }
            });
        }
    }
    if !queues.waiting_for(number).is_empty() {
        look_later();
    }
}

/// Runs on_queue_ready for some messages. Answers whether the filter is there and stays.
fn run_filter(registration: &Registration, number: usize, queues: &Queues) -> bool {
    let &Registration { queue, generation, root, .. } = registration;
    let Some(instances) = registration.instances.upgrade() else { return false };
    let Ok(mut instances) = instances.try_borrow_mut() else { return false };
    for _ in 0..AT_ONCE {
        // One that has trapped is started again, and registers its queues again if it does so at its start.
        instances.ensure(cycle::log());
        if instances.get(generation).is_none() {
            return false;
        }
        if !queues.acknowledge(queue, number) {
            return true;
        }
        if instances.run_root(generation, RootCallback::Queue, |vm, host| vm.on_queue_ready(root, queue, host)) {
            instances.end_if_idle(generation);
        }
    }
    true
}
