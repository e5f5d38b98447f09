//! Images of instances whose start is over, with all that the host knows of them: an instance is put back to it between two requests,
//! and others are made right from it.

use super::state::StateImage;
use crate::vm::Image;

/// What an instance was when its start was over.
pub struct InstanceImage {
    pub(super) instance: Image,
    pub(super) state: StateImage,
}

impl InstanceImage {
    /// Bytes of memory that each instance made from it has for itself, at least.
    pub fn own_memory(&self) -> usize {
        self.instance.changed_bytes()
    }

    /// Whether the plugin was given random numbers by its start. All that are put back to it, or made from it, have the same.
    pub fn has_read_random(&self) -> bool {
        self.state.has_read_random
    }
}
