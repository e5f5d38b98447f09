//! Connections that have been made and can be used again, for each worker. HTTP/1.1 has one use at a time, and an idle
//! connection waits here; HTTP/2 is shared by all that want it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_task::Task;
use hyper::client::conn::{http1, http2};

use super::address::Address;
use super::body::Outgoing;
use super::connection::Handle;
use super::settings::CallSettings;
use crate::nginx::timer::{AtExit, sleep};
use crate::nginx::{cycle, executor};

/// Connections with the same key serve each other's calls.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub address: Address,
    /// Whose TLS, and for which host: a certificate that has been checked for one says nothing about another. The number is that of
    /// the cycle: settings of one that has gone may have had the address of these.
    pub tls: Option<(u64, *const CallSettings, String)>,
    pub kind: Protocol,
}

/// What a connection speaks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP, whichever version was agreed upon.
    Http,
    /// HTTP/2, and nothing else.
    Http2,
    /// Redis, after this log-in.
    Redis { username: Vec<u8>, password: Vec<u8>, database: Option<u32> },
}

/// An idle connection.
struct Idle<T> {
    what: T,
    handle: Handle,
    uses: usize,
    expires: Instant,
}

/// A connection of HTTP/2.
#[derive(Clone)]
pub struct SharedConnection {
    pub sender: http2::SendRequest<Outgoing>,
    handle: Handle,
    _ending: Rc<Ending>,
    /// Calls on it now, and calls at all.
    active: Rc<Cell<usize>>,
    uses: Rc<Cell<usize>>,
    idle_since: Rc<Cell<Instant>>,
    timeout: Duration,
}

/// Sees to the end of a connection that nobody has any more: `hyper` says goodbye to the other end first, and would wait for
/// ever for one that does not read.
struct Ending(Handle);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

impl Drop for Ending {
    fn drop(&mut self) {
        if executor::is_over() || !self.0.is_open() {
            return;
        }
        let handle = self.0.clone();
        executor::spawn(async move {
            sleep(GOODBYE, AtExit::Leave).await;
            handle.close();
        })
        .detach();
    }
}

/// A connection of HTTP/1.1, for one call at a time.
pub struct Single {
    pub sender: http1::SendRequest<Outgoing>,
    pub handle: Handle,
    /// How often it has been used.
    pub uses: usize,
}

/// A use of a shared connection, until it is dropped.
pub struct Use {
    pub shared: SharedConnection,
    /// Somebody has used it before.
    pub is_reused: bool,
}

#[derive(Default)]
struct Slot {
    singles: Vec<Idle<http1::SendRequest<Outgoing>>>,
    shared: Vec<SharedConnection>,
    raw: Vec<Idle<super::connection::Connection>>,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.singles.is_empty() && self.shared.is_empty() && self.raw.is_empty()
    }
}

#[derive(Default)]
struct Pool {
    slots: RefCell<BTreeMap<Key, Slot>>,
    /// When something will look for connections that have been idle for too long, and what that is.
    close_idle: RefCell<Option<(Instant, Task<()>)>>,
}

thread_local! {
    /// Never dropped; see `executor.rs`.
    static POOL: &'static Pool = Box::leak(Box::default());
}

/// Whether connections are worth keeping: a worker that shuts down keeps none.
fn is_exiting() -> bool {
    cycle::is_ending()
}

/// An idle connection of HTTP/1.1.
pub fn take_single(key: &Key) -> Option<Single> {
    POOL.with(|pool| {
        let mut slots = pool.slots.borrow_mut();
        let slot = slots.get_mut(key)?;
        while let Some(idle) = slot.singles.pop() {
            if idle.what.is_ready() && !idle.what.is_closed() {
                idle.handle.set_idle(false);
                return Some(Single { sender: idle.what, handle: idle.handle, uses: idle.uses });
            }
        }
        None
    })
}

/// Keeps a connection of HTTP/1.1 that is ready for its next use, if that is wanted.
pub fn put_single(key: Key, single: Single, settings: &CallSettings) {
    if !keeps(settings, single.uses) || single.sender.is_closed() {
        return;
    }
    single.handle.set_idle(true);
    let idle = Idle {
        what: single.sender,
        handle: single.handle,
        uses: single.uses,
        expires: Instant::now() + settings.keepalive_timeout,
    };
    put(key, settings, |slot| &mut slot.singles, idle);
}

/// An idle connection of another protocol, and how often it has been used.
pub fn take_raw(key: &Key) -> Option<(super::connection::Connection, usize)> {
    POOL.with(|pool| {
        let mut slots = pool.slots.borrow_mut();
        let slot = slots.get_mut(key)?;
        while let Some(idle) = slot.raw.pop() {
            // What has something to say while nobody asks is at its end, or broken.
            if idle.what.is_quiet() {
                idle.handle.set_idle(false);
                return Some((idle.what, idle.uses));
            }
        }
        None
    })
}

/// Keeps a connection of another protocol.
pub fn put_raw(key: Key, connection: super::connection::Connection, uses: usize, settings: &CallSettings) {
    if !keeps(settings, uses) {
        return;
    }
    let handle = connection.handle();
    handle.set_idle(true);
    let expires = Instant::now() + settings.keepalive_timeout;
    put(key, settings, |slot| &mut slot.raw, Idle { what: connection, handle, uses, expires });
}

fn keeps(settings: &CallSettings, uses: usize) -> bool {
    settings.keepalive > 0 && uses < settings.keepalive_requests && !is_exiting()
}

fn put<T>(key: Key, settings: &CallSettings, list: impl FnOnce(&mut Slot) -> &mut Vec<Idle<T>>, idle: Idle<T>) {
    POOL.with(|pool| {
        let mut slots = pool.slots.borrow_mut();
        let list = list(slots.entry(key).or_default());
        // The one that has waited longest makes room. It is closed once nothing is borrowed.
        let oldest = (list.len() >= settings.keepalive).then(|| list.remove(0));
        let due = idle.expires;
        list.push(idle);
        drop(slots);
        drop(oldest);
        pool.close_idle_at(due);
    });
}

/// A connection of HTTP/2 that has room for one more call.
pub fn share(key: &Key, settings: &CallSettings) -> Option<Use> {
    POOL.with(|pool| {
        let mut slots = pool.slots.borrow_mut();
        let slot = slots.get_mut(key)?;
        slot.shared.retain(|shared| !shared.sender.is_closed());
        let place = slot.shared.iter().position(|shared| shared.uses.get() < settings.keepalive_requests)?;
        // After its last use it belongs to its calls alone, and ends with them.
        let is_last = slot.shared[place].uses.get() + 1 == settings.keepalive_requests;
        let shared = if is_last { slot.shared.remove(place) } else { slot.shared[place].clone() };
        Some(Use::of(shared, true))
    })
}

/// Offers a connection of HTTP/2 to all calls with this key, and uses it.
pub fn put_shared(key: Key, sender: http2::SendRequest<Outgoing>, handle: Handle, settings: &CallSettings) -> Use {
    let shared = SharedConnection {
        sender,
        _ending: Rc::new(Ending(handle.clone())),
        handle,
        active: Rc::default(),
        uses: Rc::default(),
        idle_since: Rc::new(Cell::new(Instant::now())),
        timeout: settings.keepalive_timeout,
    };
    if keeps(settings, 1) {
        POOL.with(|pool| {
            let mut slots = pool.slots.borrow_mut();
            let kept = &mut slots.entry(key).or_default().shared;
            // Calls that begin at the same time may all have found none.
            if kept.len() < settings.keepalive {
                kept.push(shared.clone());
                drop(slots);
                pool.close_idle_at(Instant::now() + settings.keepalive_timeout);
            }
        });
    }
    Use::of(shared, false)
}

/// Closes what nobody uses now. CallSettings are known by their address, and a reload in one process may put others there.
pub fn clear() {
    if !executor::is_over() {
        POOL.with(|pool| drop(pool.slots.take()));
    }
}

/// A connection of this key has ended.
pub fn forget_closed(key: &Key) {
    POOL.with(|pool| {
        let mut slots = pool.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        slot.singles.retain(|idle| !idle.what.is_closed());
        slot.shared.retain(|shared| !shared.sender.is_closed());
        if slot.is_empty() {
            slots.remove(key);
        }
    });
}

impl Use {
    fn of(shared: SharedConnection, is_reused: bool) -> Use {
        shared.active.set(shared.active.get() + 1);
        shared.uses.set(shared.uses.get() + 1);
        shared.handle.set_idle(false);
        Use { shared, is_reused }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let active = self.shared.active.get() - 1;
        self.shared.active.set(active);
        if active == 0 && !executor::is_over() {
            self.shared.idle_since.set(Instant::now());
            self.shared.handle.set_idle(true);
            if is_exiting() {
                self.shared.handle.close();
            }
        }
    }
}

impl Pool {
    /// Closes what has been idle for too long, at `due` or before, and so on until nothing is left.
    fn close_idle_at(&'static self, due: Instant) {
        let mut planned = self.close_idle.borrow_mut();
        if planned.as_ref().is_some_and(|(planned, _)| *planned <= due) {
            return;
        }
        // The one that was planned for later ends.
        let task = executor::spawn(async move {
            // Times are in whole milliseconds; one more, and what is due is due.
            let wait = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            sleep(wait, AtExit::Leave).await;
            let next = self.close_idle();
            if let Some((_, task)) = self.close_idle.take() {
                // It is this one.
                task.detach();
            }
            if let Some(next) = next {
                self.close_idle_at(next);
            }
        });
        *planned = Some((due, task));
    }

    /// Closes what is due, and says when the next will be. What others share and use now is looked at again after its time-out.
    fn close_idle(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut closed = (Vec::new(), Vec::new(), Vec::new());
        let mut slots = self.slots.borrow_mut();
        for slot in slots.values_mut() {
            closed.0.extend(slot.singles.extract_if(.., |idle| idle.expires <= now || idle.what.is_closed()));
            closed.1.extend(slot.raw.extract_if(.., |idle| idle.expires <= now));
            closed.2.extend(slot.shared.extract_if(.., |shared| {
                let is_due = shared.active.get() == 0 && shared.idle_since.get() + shared.timeout <= now;
                is_due || shared.sender.is_closed()
            }));
            let due = slot.singles.iter().map(|idle| idle.expires).chain(slot.raw.iter().map(|idle| idle.expires));
            let due = due.chain(slot.shared.iter().map(|shared| match shared.active.get() {
                0 => shared.idle_since.get() + shared.timeout,
                _ => now + shared.timeout,
            }));
            next = due.chain(next).min();
        }
        slots.retain(|_, slot| !slot.is_empty());
        drop(slots);
        drop(closed);
        next
    }
}
