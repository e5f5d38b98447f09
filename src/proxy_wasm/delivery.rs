//! Calls to other services, from the embedder's side: it takes what the guest asks for after each callback, and brings back
//! what came of it. A call whose root context has ended has nobody to tell.

use super::callbacks::Callback;
use super::calls::{CallCommand, CallFailure, CallId, HttpAnswer};
use super::context::ContextId;
use super::host::Host;
use super::in_flight::{Kind, Shown};
use super::vm::{CallError, Vm};

impl Vm {
    /// What the guest has asked for since this was called last, in order. The embedder looks after each callback. A callback
    /// that trapped has asked for nothing.
    pub fn take_calls(&mut self) -> Vec<CallCommand> {
        self.state.calls.take_commands()
    }

    /// Whether somebody waits for a result of this call: it was neither told nor cancelled, and its root context is there.
    pub fn has_call(&self, id: CallId) -> bool {
        self.state.calls.get(id).is_some()
    }

    /// Ends an HTTP call: runs on_http_call_response of the root context that it belongs to. Of a call that is not in flight
    /// nobody is told.
    pub fn on_http_call_response(
        &mut self,
        id: CallId,
        result: Result<HttpAnswer, CallFailure>,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        let Some(call) = self.state.calls.remove_kind(id, Kind::Http) else { return Ok(()) };
        let (headers, body, trailers) = match &result {
            Ok(answer) => (number(answer.headers.len()), number(answer.body.len()), number(answer.trailers.len())),
            Err(_) => (0, 0, 0),
        };
        let args = [call.root.0, id.0, headers, body, trailers];
        self.tell(Callback::OnHttpCallResponse, call.root, &args, Shown::http(result), host)
    }

    /// Runs a callback of a root context, in which the guest can read `shown`.
    fn tell(
        &mut self,
        callback: Callback,
        root: ContextId,
        args: &[u32],
        shown: Shown,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        if !self.has(callback) {
            return Ok(());
        }
        self.state.calls.show(shown);
        self.call(callback, root, args, host).map(|_| ())
    }
}

/// As guests count: they have 32 bits.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
