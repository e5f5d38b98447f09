//! Shared queues: first in, first out, by name and vm_id. Source: specification 0.2.1, "Shared Queues".
//!
//! A queue also knows which workers have somebody who registered it. For each message one of them is told, so that it runs
//! on_queue_ready: a worker is a number below [`WORKERS`], and what it means to tell one is the embedder's to know.

use super::cells::{Cells, FIELDS, pack, unpack};
use super::memory::{Memory, Usage};

/// How many workers can be told.
pub const WORKERS: usize = 256;

const QUEUE: u32 = 1;
const MESSAGE: u32 = 2;

// Fields of a queue.
/// First and last message.
const ENDS: usize = FIELDS;
/// Number of messages; of those that nobody has been told about, at the worker TOLD.
const COUNTS: usize = FIELDS + 1;
/// The worker that is to run on_queue_ready, plus one; the next queue of the memory.
const TOLD: usize = FIELDS + 2;
/// Sizes of vm_id and name.
const NAME: usize = FIELDS + 3;
/// A bit for each worker that has registered.
const REGISTERED: usize = FIELDS + 4;
const QUEUE_FIELDS: usize = REGISTERED + WORKERS / 64;

// Field of a message: the next one, and its size.
const NEXT: usize = 0;
const MESSAGE_FIELDS: usize = 1;

// Word of the memory: the first queue of all.
const FIRST: usize = 0;

/// What is shown of the name of a queue: a multiple of 8, which parts of records are.
const LONGEST_SHOWN: usize = 256;

/// The number of a queue has that of its memory here.
const ZONE_SHIFT: u32 = 24;

/// Why a message was not put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnqueueError {
    /// No queue has this number.
    Unknown,
    /// There is no room.
    Full,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DequeueError {
    /// No queue has this number.
    Unknown,
    /// The queue has none.
    Empty,
}

/// Queues in one memory.
pub struct QueueZone {
    memory: Box<dyn Memory>,
}

impl QueueZone {
    /// Queues in `memory`, with what is there.
    pub fn new(memory: Box<dyn Memory>) -> Self {
        QueueZone { memory }
    }

    fn open(&self) -> Option<Cells<'_>> {
        Cells::open(self.memory.as_ref())
    }

    /// How full it is; `None` while it has no memory.
    pub fn usage(&self) -> Option<Usage> {
        Some(self.open()?.usage(false))
    }

    fn open_for(&self, vm_id: &[u8], name: &[u8]) -> Option<Cells<'_>> {
        self.open().filter(|cells| cells.could_hold(&[vm_id, name]))
    }
}

fn find(cells: &Cells<'_>, hash: u64, vm_id: &[u8], name: &[u8]) -> Option<u32> {
    let (Ok(vm_len), Ok(name_len)) = (u32::try_from(vm_id.len()), u32::try_from(name.len())) else { return None };
    cells.find(hash, |queue| {
        let mut bytes = cells.bytes(queue, QUEUE_FIELDS);
        cells.field(queue, NAME) == pack(vm_len, name_len) && bytes.is(vm_id) && bytes.is(name)
    })
}

fn is_registered(cells: &Cells<'_>, queue: u32, worker: usize) -> bool {
    worker < WORKERS && cells.field(queue, REGISTERED + worker / 64) >> (worker % 64) & 1 == 1
}

fn set_registered(cells: &Cells<'_>, queue: u32, worker: usize, registered: bool) {
    if worker >= WORKERS {
        return;
    }
    let (field, bit) = (REGISTERED + worker / 64, 1 << (worker % 64));
    let before = cells.field(queue, field);
    cells.set_field(queue, field, if registered { before | bit } else { before & !bit });
}

/// The worker that is to be told of the messages of a queue.
fn told(cells: &Cells<'_>, queue: u32) -> Option<usize> {
    (unpack(cells.field(queue, TOLD)).0 as usize).checked_sub(1)
}

fn set_told(cells: &Cells<'_>, queue: u32, worker: Option<usize>) {
    let (_, next) = unpack(cells.field(queue, TOLD));
    let worker = worker.map_or(0, |worker| worker as u32 + 1);
    cells.set_field(queue, TOLD, pack(worker, next));
}

/// All queues of the memory.
fn all<'c>(cells: &'c Cells<'_>) -> impl Iterator<Item = u32> + 'c {
    let mut link = cells.own(FIRST) as u32;
    (0..cells.count()).map_while(move |_| {
        let queue = link;
        link = unpack(cells.field(queue, TOLD)).1;
        (cells.kind(queue) == QUEUE).then_some(queue)
    })
}

/// Chooses who is to be told of the messages of a queue that nobody has been told about: the one before if it can be,
/// any other that can. Answers who that is.
fn choose(cells: &Cells<'_>, queue: u32, can_be_told: &dyn Fn(usize) -> bool) -> Option<usize> {
    let (_, untold) = unpack(cells.field(queue, COUNTS));
    if untold == 0 {
        return None;
    }
    let fits = |worker: &usize| is_registered(cells, queue, *worker) && can_be_told(*worker);
    let chosen = told(cells, queue).filter(fits).or_else(|| (0..WORKERS).find(fits));
    set_told(cells, queue, chosen);
    chosen
}

/// How many messages a queue has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Whose it is, or the beginning of that.
    pub vm_id: Vec<u8>,
    /// Its name, or the beginning of that.
    pub name: Vec<u8>,
    /// How many it has.
    pub messages: u64,
}

/// All queues of a configuration.
pub struct Queues {
    zones: Vec<QueueZone>,
    /// The queues that have a memory of their own, from that with number 1 on.
    names: Vec<Vec<u8>>,
}

impl Queues {
    /// Queues in one memory.
    pub fn new(default: QueueZone) -> Self {
        Queues { zones: vec![default], names: Vec::new() }
    }

    /// Adds a memory for the queues of this name alone. There can be 254 of them: answers whether there is room.
    pub fn add(&mut self, name: &[u8], zone: QueueZone) -> bool {
        if self.zones.len() >= 255 {
            return false;
        }
        self.names.push(name.to_vec());
        self.zones.push(zone);
        true
    }

    /// The memories, with the names of the queues that they are for; that for all others has none.
    pub fn zones(&self) -> impl Iterator<Item = (Option<&[u8]>, &QueueZone)> {
        let names = std::iter::once(None).chain(self.names.iter().map(|name| Some(name.as_slice())));
        names.zip(&self.zones)
    }

    /// How many messages the queues have: each of `most` at most, those that were made first, and then how many all others have
    /// together, if there are any.
    pub fn depths(&self, most: usize) -> (Vec<Depth>, Option<u64>) {
        let (mut shown, mut others) = (Vec::new(), None);
        for cells in self.zones.iter().filter_map(QueueZone::open) {
            // Each new queue is put before all others.
            let mut queues: Vec<u32> = all(&cells).collect();
            queues.reverse();
            for queue in queues {
                let messages = u64::from(unpack(cells.field(queue, COUNTS)).0);
                if shown.len() == most {
                    others = Some(others.unwrap_or_default() + messages);
                    continue;
                }
                let (vm_len, name_len) = unpack(cells.field(queue, NAME));
                let (mut vm_id, mut name) = (Vec::new(), Vec::new());
                let mut bytes = cells.bytes(queue, QUEUE_FIELDS);
                for (len, part) in [(vm_len as usize, &mut vm_id), (name_len as usize, &mut name)] {
                    let shown = len.min(LONGEST_SHOWN);
                    bytes.take(shown, part);
                    bytes.skip(len - shown);
                }
                shown.push(Depth { vm_id, name, messages });
            }
        }
        (shown, others)
    }

    fn zone_of(&self, name: &[u8]) -> usize {
        self.names.iter().position(|known| known == name).map_or(0, |n| n + 1)
    }

    fn open(&self, id: u32) -> Option<(Cells<'_>, u32)> {
        let cells = self.zones.get((id >> ZONE_SHIFT) as usize)?.open()?;
        let queue = id & ((1 << ZONE_SHIFT) - 1);
        (cells.kind(queue) == QUEUE).then_some((cells, queue))
    }

    /// The number of the queue of this name, made if it is not there. `None` when there is no room.
    pub fn register(&self, vm_id: &[u8], name: &[u8]) -> Option<u32> {
        let zone = self.zone_of(name);
        let cells = self.zones[zone].open_for(vm_id, name)?;
        let hash = cells.hash(&[vm_id, name]);
        let queue = match find(&cells, hash, vm_id, name) {
            Some(queue) => queue,
            None => {
                let name_len = u32::try_from(name.len()).ok()?;
                let vm_len = u32::try_from(vm_id.len()).ok()?;
                let needed = Cells::needed(QUEUE_FIELDS, &[vm_id.len(), name.len()]);
                let Some(queue) = cells.allocate(needed, QUEUE) else {
                    cells.count_refusal();
                    return None;
                };
                cells.set_field(queue, NAME, pack(vm_len, name_len));
                let mut bytes = cells.bytes(queue, QUEUE_FIELDS);
                bytes.put(vm_id);
                bytes.put(name);
                cells.set_field(queue, TOLD, pack(0, cells.own(FIRST) as u32));
                cells.set_own(FIRST, u64::from(queue));
                cells.insert(queue, hash);
                queue
            }
        };
        Some((zone as u32) << ZONE_SHIFT | queue)
    }

    /// The number of the queue of this name, if somebody has registered it.
    pub fn resolve(&self, vm_id: &[u8], name: &[u8]) -> Option<u32> {
        let zone = self.zone_of(name);
        let cells = self.zones[zone].open_for(vm_id, name)?;
        let queue = find(&cells, cells.hash(&[vm_id, name]), vm_id, name)?;
        Some((zone as u32) << ZONE_SHIFT | queue)
    }

    /// Adds a message at the end. [`Queues::choose`] says whom to tell.
    pub fn enqueue(&self, id: u32, message: &[u8]) -> Result<(), EnqueueError> {
        let (cells, queue) = self.open(id).ok_or(EnqueueError::Unknown)?;
        let len = u32::try_from(message.len()).map_err(|_| EnqueueError::Full)?;
        let needed = Cells::needed(MESSAGE_FIELDS, &[message.len()]);
        let Some(added) = cells.allocate(needed, MESSAGE) else {
            cells.count_refusal();
            return Err(EnqueueError::Full);
        };
        cells.set_field(added, NEXT, pack(0, len));
        cells.bytes(added, MESSAGE_FIELDS).put(message);
        let (first, last) = unpack(cells.field(queue, ENDS));
        if last == 0 {
            cells.set_field(queue, ENDS, pack(added, added));
        } else {
            let (_, last_len) = unpack(cells.field(last, NEXT));
            cells.set_field(last, NEXT, pack(added, last_len));
            cells.set_field(queue, ENDS, pack(first, added));
        }
        let (messages, untold) = unpack(cells.field(queue, COUNTS));
        cells.set_field(queue, COUNTS, pack(messages.saturating_add(1), untold.saturating_add(1)));
        Ok(())
    }

    /// Takes the first message out and appends it to `out`.
    pub fn dequeue(&self, id: u32, out: &mut Vec<u8>) -> Result<(), DequeueError> {
        let (cells, queue) = self.open(id).ok_or(DequeueError::Unknown)?;
        let (first, last) = unpack(cells.field(queue, ENDS));
        if first == 0 {
            return Err(DequeueError::Empty);
        }
        cells.write();
        let (next, len) = unpack(cells.field(first, NEXT));
        cells.bytes(first, MESSAGE_FIELDS).take(len as usize, out);
        cells.set_field(queue, ENDS, pack(next, if next == 0 { 0 } else { last }));
        cells.release(first);
        let (messages, untold) = unpack(cells.field(queue, COUNTS));
        let messages = messages.saturating_sub(1);
        // Whoever takes a message needs not be told of it.
        cells.set_field(queue, COUNTS, pack(messages, untold.min(messages)));
        Ok(())
    }

    /// Notes that somebody in this worker has registered the queue. Answers whether there are messages for it: the worker
    /// is told of them.
    pub fn add_worker(&self, id: u32, worker: usize, can_be_told: &dyn Fn(usize) -> bool) -> bool {
        let Some((cells, queue)) = self.open(id) else { return false };
        cells.write();
        set_registered(&cells, queue, worker, true);
        choose(&cells, queue, can_be_told) == Some(worker)
    }

    /// Notes that nobody in this worker waits for the queue any more. Answers which worker is to be told in its place.
    pub fn remove_worker(&self, id: u32, worker: usize, can_be_told: &dyn Fn(usize) -> bool) -> Option<usize> {
        let (cells, queue) = self.open(id)?;
        cells.write();
        set_registered(&cells, queue, worker, false);
        choose(&cells, queue, can_be_told)
    }

    /// Notes that a worker is gone, or is another one by now. Answers which workers are to be told in its place.
    pub fn leave(&self, worker: usize, can_be_told: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut others = Vec::new();
        for cells in self.zones.iter().filter_map(QueueZone::open) {
            cells.write();
            for queue in all(&cells) {
                set_registered(&cells, queue, worker, false);
                if told(&cells, queue) == Some(worker) {
                    others.extend(choose(&cells, queue, can_be_told));
                }
            }
        }
        others.sort_unstable();
        others.dedup();
        others
    }

    /// The worker to tell that a queue has messages: `preferred` if it has registered, the one that was told before, or any
    /// other that has registered and can be told. `None`: nobody, until somebody registers.
    pub fn choose(&self, id: u32, preferred: usize, can_be_told: &dyn Fn(usize) -> bool) -> Option<usize> {
        let (cells, queue) = self.open(id)?;
        cells.write();
        let (_, untold) = unpack(cells.field(queue, COUNTS));
        let was_told = untold > 1 && told(&cells, queue).is_some();
        if !was_told && is_registered(&cells, queue, preferred) {
            set_told(&cells, queue, Some(preferred));
        }
        choose(&cells, queue, can_be_told)
    }

    /// The queues with messages that this worker is to be told of.
    pub fn waiting_for(&self, worker: usize) -> Vec<u32> {
        let mut found = Vec::new();
        for (number, zone) in self.zones.iter().enumerate() {
            let Some(cells) = zone.open() else { continue };
            let queues = all(&cells)
                .filter(|queue| told(&cells, *queue) == Some(worker) && unpack(cells.field(*queue, COUNTS)).1 > 0);
            found.extend(queues.map(|queue| (number as u32) << ZONE_SHIFT | queue));
        }
        found
    }

    /// Takes note that this worker is told of one message. Answers whether there was one.
    pub fn acknowledge(&self, id: u32, worker: usize) -> bool {
        let Some((cells, queue)) = self.open(id) else { return false };
        let (messages, untold) = unpack(cells.field(queue, COUNTS));
        if told(&cells, queue) != Some(worker) || untold == 0 {
            return false;
        }
        cells.write();
        cells.set_field(queue, COUNTS, pack(messages, untold - 1));
        true
    }
}

#[cfg(test)]
mod tests;
