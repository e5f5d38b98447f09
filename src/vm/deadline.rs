//! How long guest code may run: a time-out for each call, or somebody who watches an instance on a thread of its own. `proxy_wasm`
//! has the first, `programs` and `extism` the second.

use std::sync::Arc;
use std::time::Duration;

/// What ends a guest that runs too long.
#[derive(Clone)]
pub enum Deadline {
    /// Each call has its time-out.
    Timeout(Duration),
    /// Somebody is asked, time and again. Such an instance may wait in its host calls, and runs on another thread than those with
    /// time-outs.
    Watch(Arc<dyn Watch>),
}

/// Looks after an instance that has a thread to itself.
pub trait Watch: Send + Sync {
    /// Whether the guest may go on. It is asked on the guest's thread, once in each [`super::TICK`] in which the guest runs.
    fn may_go_on(&self) -> bool;
}

impl From<Duration> for Deadline {
    fn from(timeout: Duration) -> Self {
        Deadline::Timeout(timeout)
    }
}
