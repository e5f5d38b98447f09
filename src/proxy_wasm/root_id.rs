//! What a guest makes of the root id that it is given (`plugin_root_id`). Guests in C++ choose their class by it, and for one that
//! they do not know take a class that does nothing and refuses nothing; some in AssemblyScript trap. Others never ask. Whoever
//! can only guess the root id, as Lua's way in, looks at this.

use super::callbacks::Callback;
use super::errors::{CallError, StartError};
use super::ids::ContextId;
use super::state::{Asked, State};

/// What became of a root id, as far as that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootIdUse {
    /// The guest did not ask for it.
    Ignored,
    /// It asked, and went on to work.
    Known,
    /// It asked, and looked at nothing after that: it does not know the id, or has nothing to look at.
    Silent,
    /// It trapped when it was to make the context.
    Unknown,
}

/// Looks at the start of a root context, before which the guest had asked `before`.
pub(super) fn seen(state: &State, before: Asked, result: &Result<ContextId, StartError>) -> RootIdUse {
    let asked = state.asked.root_id - before.root_id;
    let others = state.asked.calls - before.calls - asked;
    match result {
        _ if asked == 0 => RootIdUse::Ignored,
        Err(StartError::Call(CallError::Trap { callback: Callback::OnContextCreate, .. })) => RootIdUse::Unknown,
        // The class that does nothing answers true.
        Ok(_) if others == 0 => RootIdUse::Silent,
        _ => RootIdUse::Known,
    }
}
