//! Watches an instance for whoever watches its thread, and for the time that the manifest gives to a call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::vm::Watch;

/// What the engine asks, and host calls that wait.
pub(super) struct CallWatch(Mutex<Call>);

/// The call that runs.
struct Call {
    watch: Arc<dyn Watch>,
    until: Option<Instant>,
    has_run_out: bool,
}

impl CallWatch {
    pub fn new(watch: Arc<dyn Watch>) -> CallWatch {
        CallWatch(Mutex::new(Call { watch, until: None, has_run_out: false }))
    }

    /// Somebody else watches from now on.
    pub fn set_watch(&self, watch: Arc<dyn Watch>) {
        self.call().watch = watch;
    }

    /// A call begins, which has so much time.
    pub fn begin(&self, time: Option<Duration>) {
        let mut call = self.call();
        call.until = time.and_then(|time| Instant::now().checked_add(time));
        call.has_run_out = false;
    }

    /// When its time is over.
    pub fn until(&self) -> Option<Instant> {
        self.call().until
    }

    /// Whether it was ended since its time was over. Then whoever watches had nothing against it.
    pub fn has_run_out(&self) -> bool {
        self.call().has_run_out
    }

    fn call(&self) -> MutexGuard<'_, Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for CallWatch {
    fn may_go_on(&self) -> bool {
        let mut call = self.call();
        if !call.watch.may_go_on() {
            return false;
        }
        call.has_run_out |= call.until.is_some_and(|until| Instant::now() >= until);
        !call.has_run_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Answers(bool);

    impl Watch for Answers {
        fn may_go_on(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn a_call_goes_on_until_its_time_is_over() {
        let watch = CallWatch::new(Arc::new(Answers(true)));
        assert!(watch.may_go_on());
        watch.begin(Some(Duration::from_secs(3600)));
        assert!(watch.may_go_on() && watch.until().is_some());
        watch.begin(Some(Duration::ZERO));
        assert!(!watch.has_run_out());
        assert!(!watch.may_go_on() && watch.has_run_out());
        watch.begin(None);
        assert!(watch.may_go_on() && watch.until().is_none());
    }

    #[test]
    fn whoever_watches_can_end_it_any_time() {
        let watch = CallWatch::new(Arc::new(Answers(false)));
        watch.begin(Some(Duration::ZERO));
        assert!(!watch.may_go_on() && !watch.has_run_out());
        watch.set_watch(Arc::new(Answers(true)));
        assert!(!watch.may_go_on() && watch.has_run_out());
    }
}
