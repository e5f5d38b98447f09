//! What is said of the instances of one location.

use std::sync::Arc;

use super::blocks;
use super::manifest::Manifest;
use crate::vm::InstanceLimits;

/// What instances are made with.
#[derive(Clone, Default)]
pub struct Settings {
    /// What the plugin may do; nothing but compute without one.
    pub manifest: Arc<Manifest>,
    /// The largest memory, and where instances are made. The memory that the plugin shares with its host can be as large as its own.
    pub limits: InstanceLimits,
    /// What each call may use up, if the engine counts it.
    pub fuel: Option<u64>,
}

impl Settings {
    /// The longest input that a function can be given.
    pub fn longest_input(&self) -> u64 {
        blocks::longest(self.memory() as u64)
    }

    /// The largest memory: what the manifest says, if that is less.
    pub(super) fn memory(&self) -> usize {
        self.manifest.memory().map_or(self.limits.memory, |memory| memory.min(self.limits.memory))
    }

    /// The same, for the engine.
    pub(super) fn instance_limits(&self) -> InstanceLimits {
        InstanceLimits { memory: self.memory(), ..self.limits }
    }
}
