//! The timer that starts a filter again which has failed, when it has work of its own to do (ticks) and cannot wait for a
//! request; and the one that lets a new instance begin with such work.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use async_task::Task;

use super::Instances;
use crate::nginx::cycle;
use crate::nginx::executor;
use crate::nginx::timer::{self, AtExit};

/// The timer of one filter, which ends with this.
#[derive(Default)]
pub struct Revival(Option<Task<()>>);

impl Revival {
    /// Has the filter started after `delay`, unless the worker shuts down.
    pub fn arm(&mut self, instances: &Weak<RefCell<Instances>>, delay: Duration) {
        if timer::is_shutting_down() {
            return;
        }
        let instances = instances.clone();
        self.0 = Some(executor::spawn(async move {
            timer::sleep(delay, AtExit::Leave).await;
            if let Some(instances) = instances.upgrade()
                && let Ok(mut instances) = instances.try_borrow_mut()
            {
                instances.revive(cycle::log());
            }
        }));
    }
}
