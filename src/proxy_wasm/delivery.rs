//! Calls to other services, from the embedder's side: it takes what the guest asks for after each callback, and brings back
//! what came of it. A call whose root context has ended has nobody to tell.

use super::callbacks::Callback;
use super::calls::{CallCommand, CallFailure, CallId, HttpAnswer};
use super::errors::CallError;
use super::host::Host;
use super::ids::{ContextId, StreamToken};
use super::in_flight::{CallKind, InFlight, Shown};
use super::pairs::Pairs;
use super::vm::Vm;
use crate::grpc::code;

impl Vm {
    /// Whether a callback has asked for anything that the embedder does after it: calls, timers, queues.
    pub fn has_wishes(&self) -> bool {
        let state = &self.state;
        state.calls.has_commands() || !state.tick_periods.is_empty() || !state.registered_queues.is_empty()
    }

    /// What the guest has asked for since this was called last, in order. The embedder looks after each callback. A callback
    /// that trapped has asked for nothing.
    pub fn take_calls(&mut self) -> Vec<CallCommand> {
        self.state.calls.take_commands()
    }

    /// Whether somebody waits for a result of this call: it was neither told nor cancelled, and its root context is there.
    pub fn has_call(&self, id: CallId) -> bool {
        self.state.calls.get(id).is_some()
    }

    /// Whether a stream wants the call whose callback ran last. Other calls are a root context's own work.
    pub fn last_call_was_for_stream(&self) -> bool {
        self.state.calls.was_for_stream()
    }

    /// The streams that a call was made for, of those that are still there.
    pub fn streams_of_call(&self, id: CallId) -> impl Iterator<Item = StreamToken> + use<> {
        let made_for = self.state.calls.get(id).map(|call| call.made_for);
        let [own, effective] =
            made_for.map(|made_for| made_for.map(|context| self.state.contexts.token_of(context))).unwrap_or_default();
        [effective, own.filter(|_| own != effective)].into_iter().flatten()
    }

    /// Whether a call that was made for this context has yet to end; not counting streams of gRPC, which end when somebody wants
    /// it.
    pub fn waits_for_calls(&self, context: ContextId) -> bool {
        self.state.calls.has_ending(context)
    }

    /// Ends a call that cannot be sent, as one that has failed.
    pub fn on_unsendable(&mut self, id: CallId, reason: String, host: &mut dyn Host) -> Result<(), CallError> {
        match self.state.calls.get(id).map(|call| call.kind) {
            Some(CallKind::Http) => self.on_http_call_response(id, Err(CallFailure { reason }), host),
            Some(CallKind::GrpcCall | CallKind::GrpcStream { .. }) => {
                self.on_grpc_close(id, code::INTERNAL, reason.into_bytes(), host)
            }
            Some(CallKind::Redis) | None => Ok(()),
        }
    }

    /// Ends an HTTP call: runs on_http_call_response of the root context that it belongs to. Of a call that is not in flight
    /// nobody is told.
    pub fn on_http_call_response(
        &mut self,
        id: CallId,
        result: Result<HttpAnswer, CallFailure>,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        let Some(call) = self.state.calls.remove_kind(id, CallKind::Http) else { return Ok(()) };
        let (headers, body, trailers) = match &result {
            Ok(answer) => (number(answer.headers.len()), number(answer.body.len()), number(answer.trailers.len())),
            Err(_) => (0, 0, 0),
        };
        let args = [call.root.0, id.0, headers, body, trailers];
        self.run_with(Callback::OnHttpCallResponse, call, &args, Shown::http(result), host)
    }

    /// What a gRPC stream answers first: runs on_grpc_receive_initial_metadata. Guests are not told of that of a call.
    pub fn on_grpc_initial_metadata(
        &mut self,
        id: CallId,
        metadata: Pairs,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        self.metadata(Callback::OnGrpcReceiveInitialMetadata, id, metadata, Shown::initial_metadata, host)
    }

    /// A message of a gRPC stream, or the answer of a call, which ends it: runs on_grpc_receive.
    pub fn on_grpc_message(&mut self, id: CallId, message: Vec<u8>, host: &mut dyn Host) -> Result<(), CallError> {
        let calls = &mut self.state.calls;
        let call = match calls.get(id) {
            Some(call @ InFlight { kind: CallKind::GrpcCall, .. }) => {
                calls.remove(id);
                call
            }
            Some(call @ InFlight { kind: CallKind::GrpcStream { .. }, .. }) => call,
            _ => return Ok(()),
        };
        let args = [call.root.0, id.0, number(message.len())];
        self.run_with(Callback::OnGrpcReceive, call, &args, Shown::message(message), host)
    }

    /// What a gRPC stream answers last: runs on_grpc_receive_trailing_metadata. Guests are not told of that of a call.
    pub fn on_grpc_trailing_metadata(
        &mut self,
        id: CallId,
        metadata: Pairs,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        self.metadata(Callback::OnGrpcReceiveTrailingMetadata, id, metadata, Shown::trailing_metadata, host)
    }

    /// Ends a gRPC stream, or a call that has no answer: runs on_grpc_close.
    pub fn on_grpc_close(
        &mut self,
        id: CallId,
        status: u32,
        message: Vec<u8>,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        let calls = &mut self.state.calls;
        let call = match calls.get(id) {
            Some(call @ InFlight { kind: CallKind::GrpcCall | CallKind::GrpcStream { .. }, .. }) => call,
            _ => return Ok(()),
        };
        calls.remove(id);
        let args = [call.root.0, id.0, status];
        self.run_with(Callback::OnGrpcClose, call, &args, Shown::closed(status, message), host)
    }

    /// A message of a stream, of so many bytes, has left the host or will never do so: what a stream has queued counts
    /// towards what the calls of a VM may hold.
    pub fn grpc_sent(&mut self, id: CallId, len: usize) {
        self.state.calls.sent(id, len);
    }

    /// Ends a Redis command with its reply, in Redis' own format: runs on_redis_call_response.
    pub fn on_redis_reply(
        &mut self,
        id: CallId,
        result: Result<Vec<u8>, CallFailure>,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        /// Higress' `RedisStatus`.
        const NETWORK_ERROR: u32 = 1;
        let Some(call) = self.state.calls.remove_kind(id, CallKind::Redis) else { return Ok(()) };
        let (status, size) = match &result {
            Ok(reply) => (0, number(reply.len())),
            Err(_) => (NETWORK_ERROR, 0),
        };
        let args = [call.root.0, id.0, status, size];
        self.run_with(Callback::OnRedisCallResponse, call, &args, Shown::redis(result), host)
    }

    fn metadata(
        &mut self,
        callback: Callback,
        id: CallId,
        metadata: Pairs,
        shown: fn(Pairs) -> Shown,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        let call = match self.state.calls.get(id) {
            Some(call @ InFlight { kind: CallKind::GrpcStream { .. }, .. }) => call,
            _ => return Ok(()),
        };
        let args = [call.root.0, id.0, number(metadata.len())];
        self.run_with(callback, call, &args, shown(metadata), host)
    }

    /// Runs a callback of the root context of a call, in which the guest can read `shown`.
    fn run_with(
        &mut self,
        callback: Callback,
        call: InFlight,
        args: &[u32],
        shown: Shown,
        host: &mut dyn Host,
    ) -> Result<(), CallError> {
        if !self.has(callback) {
            return Ok(());
        }
        self.state.calls.show(shown, call);
        self.call(callback, call.root, args, host).map(|_| ())
    }
}

/// As guests count: they have 32 bits.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
