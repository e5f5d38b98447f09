//! What a thread of programs has from one run to the next: who watches the guest that runs on it, and instances that have been put
//! back to what they were, for the next run of the same program.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::run::Run;
use crate::vm::{Watch, cpu_time};

/// A thread keeps so many instances at most; the one that has not been used for longest goes.
const MOST_KEPT: usize = 8;

/// A number for a start, which no other has.
pub(super) fn new_number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// What one thread has.
#[derive(Default)]
pub struct Place {
    pub(super) guard: Arc<Guard>,
    /// Instances, by the number of their start, the one that was used last at the end.
    kept: VecDeque<(u64, Box<dyn Any>)>,
}

impl Place {
    /// The instance that is kept for this start, if any.
    pub(super) fn take<T: 'static>(&mut self, start: u64) -> Option<T> {
        let place = self.kept.iter().position(|(kept, _)| *kept == start)?;
        let (_, instance) = self.kept.remove(place)?;
        instance.downcast().ok().map(|instance| *instance)
    }

    /// Whether there is none for this start, and there is room for one.
    pub(super) fn has_room_for(&self, start: u64) -> bool {
        self.kept.len() < MOST_KEPT && self.kept.iter().all(|(kept, _)| *kept != start)
    }

    /// Keeps an instance that is what it was when it started.
    pub(super) fn keep<T: 'static>(&mut self, start: u64, instance: T) {
        if self.kept.len() == MOST_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((start, Box::new(instance)));
    }
}

/// Watches what runs on one thread: all instances of the thread have it, whatever run they are for.
#[derive(Default)]
pub(super) struct Guard(Mutex<Option<Watched>>);

struct Watched {
    run: Arc<Run>,
    /// What the thread had used when the run began.
    begun: Duration,
    cpu_time: Duration,
    is_late: bool,
}

impl Guard {
    /// Watches a run from now on, which may use so much time of the processor.
    pub fn begin(&self, run: &Arc<Run>, limit: Duration) {
        let watched = Watched { run: run.clone(), begun: cpu_time(), cpu_time: limit, is_late: false };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
    }

    /// Watches nothing any more. What the run may have used, if that is why it was ended.
    pub fn end(&self) -> Option<Duration> {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        watched.filter(|watched| watched.is_late).map(|watched| watched.cpu_time)
    }
}

impl Watch for Guard {
    fn may_go_on(&self) -> bool {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing runs without a run.
        let Some(watched) = &mut *watched else { return false };
        if cpu_time().saturating_sub(watched.begun) >= watched.cpu_time {
            watched.is_late = true;
            return false;
        }
        watched.run.flush()
    }
}
