//! A call of a foreign function, as the function sees it.

use crate::proxy_wasm::host::Host;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::types::Status;

/// A foreign function gets its arguments as bytes, and appends its result to an empty buffer. The Rust SDK survives
/// NotFound, BadArgument, SerializationFailure and InternalFailure; no other status may be answered.
pub(in crate::proxy_wasm) type Function = fn(&mut Call<'_>, &[u8], &mut Vec<u8>) -> Result<(), Status>;

/// A call of a foreign function.
pub(in crate::proxy_wasm) struct Call<'a> {
    pub state: &'a mut State,
    pub host: &'a mut dyn Host,
}

impl Call<'_> {
    /// The root context of the context that the call is about.
    pub(super) fn root(&self) -> Result<ContextId, Status> {
        let root = self.state.contexts.root_of(self.state.effective());
        root.map(|(id, _)| id).ok_or(Status::InternalFailure)
    }
}
