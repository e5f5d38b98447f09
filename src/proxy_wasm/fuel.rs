//! Fuel: what the callbacks about a stream may compute together (`VmConfig::fuel`). Each stream context carries what is left of
//! its own; `vm.rs` puts that into the instance before a callback, and takes the rest out after it.

use super::context::Context;
use super::ids::ContextId;
use super::state::State;
use super::vm::Vm;

impl Vm {
    /// What the callbacks about a stream have used up until now; also of the one that has ended last. `None` without a limit.
    pub fn fuel_used(&self, id: ContextId) -> Option<u64> {
        let limit = self.state.config.fuel?;
        let left = match self.state.contexts.get(id) {
            Some(Context::Stream { fuel, .. }) => *fuel,
            Some(Context::Root(_)) => return None,
            None => self.state.ended.filter(|(ended, _)| *ended == id)?.1,
        };
        Some(limit.saturating_sub(left))
    }
}

impl State {
    /// What a callback about this context may use up, if there is a limit.
    pub(super) fn fuel_of(&self, id: ContextId) -> Option<u64> {
        let limit = self.config.fuel?;
        match self.contexts.get(id) {
            Some(Context::Stream { fuel, .. }) => Some(*fuel),
            _ => Some(limit),
        }
    }

    pub(super) fn set_fuel_of(&mut self, id: ContextId, left: u64) {
        if let Some(Context::Stream { fuel, .. }) = self.contexts.get_mut(id) {
            *fuel = left;
        }
    }

    pub(super) fn remove_stream(&mut self, id: ContextId) {
        if let Some(Context::Stream { fuel, .. }) = self.contexts.remove(id) {
            self.ended = Some((id, fuel));
        }
    }
}
