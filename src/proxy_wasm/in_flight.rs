//! The calls of a VM to other services that have not ended: whose they are, what the host holds for them, what the
//! embedder has yet to hear of them, and what the guest can read of the one whose callback is running. Host calls fill it,
//! `delivery.rs` empties it.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::calls::{CallCommand, CallFailure, CallId, HttpAnswer};
use super::ids::ContextId;
use super::ids::IdHasher;
use super::pairs::Pairs;
use super::types::{BufferType, MapType};

/// What kind of call it is, as far as host calls and callbacks differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    /// `proxy_http_call`.
    Http,
    /// `proxy_grpc_call`.
    GrpcCall,
    /// `proxy_grpc_stream`.
    GrpcStream {
        /// The guest has said all.
        half_closed: bool,
    },
    /// `proxy_redis_call`.
    Redis,
}

/// What the host keeps for a message of a stream beside its bytes: messages may be empty, and as many as the guest likes.
const MESSAGE_OVERHEAD: usize = size_of::<CallCommand>();

/// A call that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    /// The root context that gets its callbacks.
    pub root: ContextId,
    /// What it is.
    pub kind: CallKind,
    /// The contexts that it was made for: that of the callback, and the effective one. Guests know calls by them.
    pub made_for: [ContextId; 2],
    /// A stream wants it: it was made for one, or in a callback about such a call.
    for_stream: bool,
    /// What the host holds for it.
    bytes: usize,
}

/// Why one more call cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// So many are in flight.
    Count(usize),
    /// What the host would hold for all of them is more than so many bytes.
    Bytes(usize),
}

/// The calls of a VM.
pub(super) struct Calls {
    map: HashMap<u32, InFlight, BuildHasherDefault<IdHasher>>,
    last: u32,
    bytes: usize,
    max_calls: usize,
    max_bytes: usize,
    commands: Vec<CallCommand>,
    shown: Option<Shown>,
    /// Whether a stream wants the call that `shown` is about, or was about last.
    told_for_stream: bool,
}

impl Calls {
    /// No calls yet; never more than `max_calls`, and never more than `max_bytes` held for them.
    pub fn new(max_calls: usize, max_bytes: usize) -> Self {
        Calls {
            map: HashMap::default(),
            last: 0,
            bytes: 0,
            max_calls,
            max_bytes,
            commands: Vec::new(),
            shown: None,
            told_for_stream: false,
        }
    }

    /// Whether one more call fits for which the host holds `bytes`.
    pub fn fits(&self, bytes: usize) -> Result<(), Refused> {
        if self.map.len() >= self.max_calls {
            return Err(Refused::Count(self.max_calls));
        }
        if bytes > self.max_bytes.saturating_sub(self.bytes) {
            return Err(Refused::Bytes(self.max_bytes));
        }
        Ok(())
    }

    /// The number of the next call; it is not taken before [`Calls::insert`].
    pub fn next_id(&self) -> CallId {
        let mut id = self.last;
        loop {
            // After 4 billion calls numbers come again; those still in flight are passed over.
            id = id.checked_add(1).unwrap_or(1);
            if !self.map.contains_key(&id) {
                return CallId(id);
            }
        }
    }

    /// Adds a call under the number that [`Calls::next_id`] said, with the command that starts it.
    pub fn insert(
        &mut self,
        id: CallId,
        root: ContextId,
        made_for: [ContextId; 2],
        kind: CallKind,
        bytes: usize,
        command: CallCommand,
    ) {
        self.last = id.0;
        self.bytes += bytes;
        let is_continuation = self.shown.is_some() && self.told_for_stream;
        let for_stream = is_continuation || made_for.iter().any(|context| *context != root);
        self.map.insert(id.0, InFlight { root, kind, made_for, for_stream, bytes });
        self.commands.push(command);
    }

    /// Whether a call that was made for this context has not ended. Its number must not go to another context then, which the
    /// guest would take for the one that made the call.
    pub fn is_waited_for(&self, context: ContextId) -> bool {
        self.map.values().any(|call| call.made_for.contains(&context))
    }

    /// Whether a call that was made for this context, and that will end by itself, has not ended.
    pub fn has_ending(&self, context: ContextId) -> bool {
        let is_ending = |call: &InFlight| !matches!(call.kind, CallKind::GrpcStream { .. });
        self.map.values().any(|call| is_ending(call) && call.made_for.contains(&context))
    }

    /// A call, if it has not ended.
    pub fn get(&self, id: CallId) -> Option<InFlight> {
        self.map.get(&id.0).copied()
    }

    /// Ends a call.
    pub fn remove(&mut self, id: CallId) -> Option<InFlight> {
        let removed = self.map.remove(&id.0)?;
        self.bytes -= removed.bytes;
        Some(removed)
    }

    /// Ends a call of this kind.
    pub fn remove_kind(&mut self, id: CallId, kind: CallKind) -> Option<InFlight> {
        self.get(id).filter(|call| call.kind == kind)?;
        self.remove(id)
    }

    /// Whether one more message of this size fits; if not, what all calls together may hold.
    pub fn fits_message(&self, len: usize) -> Result<(), usize> {
        let free = self.max_bytes.saturating_sub(self.bytes);
        if len.saturating_add(MESSAGE_OVERHEAD) > free { Err(self.max_bytes) } else { Ok(()) }
    }

    /// Sends a message in a stream, or says that there are no more.
    pub fn send(&mut self, id: CallId, message: Option<Vec<u8>>, is_end: bool) {
        let Some(call) = self.map.get_mut(&id.0) else { return };
        if let Some(message) = &message {
            let bytes = message.len() + MESSAGE_OVERHEAD;
            call.bytes += bytes;
            self.bytes += bytes;
        }
        if is_end {
            call.kind = CallKind::GrpcStream { half_closed: true };
        }
        self.commands.push(CallCommand::GrpcSend { call: id, message, is_end });
    }

    /// A message of so many bytes is not held any more.
    pub fn sent(&mut self, id: CallId, len: usize) {
        let Some(call) = self.map.get_mut(&id.0) else { return };
        let bytes = len.saturating_add(MESSAGE_OVERHEAD).min(call.bytes);
        call.bytes -= bytes;
        self.bytes -= bytes;
    }

    /// Ends a call without a result. What the embedder has not heard of yet it will never hear of.
    pub fn cancel(&mut self, id: CallId) {
        if self.remove(id).is_none() {
            return;
        }
        let mut begun = true;
        self.commands.retain(|command| {
            let is_begin = matches!(command, CallCommand::Grpc(_) | CallCommand::Unsendable(_));
            begun &= !(is_begin && command.call() == id);
            command.call() != id
        });
        if begun {
            self.commands.push(CallCommand::GrpcCancel(id));
        }
    }

    /// Ends the calls of a root context, those that have not begun too.
    pub fn forget_root(&mut self, root: ContextId) {
        let bytes = &mut self.bytes;
        self.map.retain(|_, call| {
            if call.root == root {
                *bytes -= call.bytes;
            }
            call.root != root
        });
        let map = &self.map;
        self.commands
            .retain(|command| matches!(command, CallCommand::GrpcCancel(_)) || map.contains_key(&command.call().0));
    }

    /// Ends all calls.
    pub fn forget_all(&mut self) {
        self.map.clear();
        self.commands.clear();
        self.bytes = 0;
    }

    /// Whether there is none, and the embedder knows all. The number of the last one, then.
    pub fn last_of_none(&self) -> Option<u32> {
        (self.map.is_empty() && self.commands.is_empty()).then_some(self.last)
    }

    /// Goes on as after call number `last`. Answers whether there is none now, which must be so.
    pub fn put_back(&mut self, number: u32) -> bool {
        let Calls { map, last, bytes, max_calls: _, max_bytes: _, commands, shown, told_for_stream } = self;
        *last = number;
        *shown = None;
        *told_for_stream = false;
        map.is_empty() && commands.is_empty() && *bytes == 0
    }

    /// Whether there is anything for the embedder to do.
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// What the embedder has to do, in the order in which the guest asked.
    pub fn take_commands(&mut self) -> Vec<CallCommand> {
        std::mem::take(&mut self.commands)
    }

    /// Lets the guest read this in the next callback, which is about `call`.
    pub fn show(&mut self, shown: Shown, call: InFlight) {
        self.shown = Some(shown);
        self.told_for_stream = call.for_stream;
    }

    /// Whether a stream wants the call that [`Calls::show`] was about last.
    pub fn was_for_stream(&self) -> bool {
        self.told_for_stream
    }

    /// The callback has ended.
    pub fn hide(&mut self) {
        self.shown = None;
    }

    /// A map of the call whose callback is running.
    pub fn map(&self, map: MapType) -> Option<&Pairs> {
        let maps = &self.shown.as_ref()?.maps;
        maps.iter().flatten().find(|(shown, _)| *shown == map).map(|(_, pairs)| pairs)
    }

    /// A buffer of the call whose callback is running.
    pub fn buffer(&self, buffer: BufferType) -> Option<&[u8]> {
        match &self.shown.as_ref()?.buffer {
            Some((shown, bytes)) if *shown == buffer => Some(bytes),
            _ => None,
        }
    }

    /// How the call whose callback is running has ended. Without one, 0 and no message.
    pub fn status(&self) -> (u32, &[u8]) {
        self.shown.as_ref().map_or((0, b""), |shown| (shown.status, &shown.message))
    }
}

/// What a guest can read while it is told of a call, whichever context it makes effective.
#[derive(Debug, Default)]
pub(super) struct Shown {
    maps: [Option<(MapType, Pairs)>; 2],
    buffer: Option<(BufferType, Vec<u8>)>,
    status: u32,
    message: Vec<u8>,
}

/// The code of a call that failed, as Envoy gives it: `WasmResult::BrokenConnection`.
const BROKEN_CONNECTION: u32 = 11;

impl Shown {
    /// What begins the answer in a gRPC stream.
    pub fn initial_metadata(pairs: Pairs) -> Self {
        Shown { maps: [Some((MapType::GrpcInitialMetadata, pairs)), None], ..Shown::default() }
    }

    /// A message of a gRPC call or stream.
    pub fn message(message: Vec<u8>) -> Self {
        Shown { buffer: Some((BufferType::GrpcMessage, message)), ..Shown::default() }
    }

    /// What ends the answer in a gRPC stream.
    pub fn trailing_metadata(pairs: Pairs) -> Self {
        Shown { maps: [Some((MapType::GrpcTrailingMetadata, pairs)), None], ..Shown::default() }
    }

    /// The end of a gRPC call or stream.
    pub fn closed(status: u32, message: Vec<u8>) -> Self {
        Shown { status, message, ..Shown::default() }
    }

    /// The result of a Redis command.
    pub fn redis(result: Result<Vec<u8>, CallFailure>) -> Self {
        let (reply, status, message) = match result {
            Ok(reply) => (reply, 0, Vec::new()),
            Err(failure) => (Vec::new(), BROKEN_CONNECTION, failure.reason.into_bytes()),
        };
        Shown { buffer: Some((BufferType::RedisReply, reply)), status, message, ..Shown::default() }
    }

    /// The result of an HTTP call. A failed one has empty maps and an empty body: SDKs end a guest that finds none.
    pub fn http(result: Result<HttpAnswer, CallFailure>) -> Self {
        let (answer, status, message) = match result {
            Ok(answer) => (answer, 0, Vec::new()),
            Err(failure) => (HttpAnswer::default(), BROKEN_CONNECTION, failure.reason.into_bytes()),
        };
        Shown {
            maps: [
                Some((MapType::HttpCallHeaders, answer.headers)),
                Some((MapType::HttpCallTrailers, answer.trailers)),
            ],
            buffer: Some((BufferType::HttpCallBody, answer.body)),
            status,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::head::{Fields, Head};
    use crate::proxy_wasm::calls::{HttpCall, Scheme};

    fn command(id: CallId) -> CallCommand {
        CallCommand::Http(HttpCall {
            id,
            stream: None,
            target: Vec::new(),
            scheme: Scheme::Http,
            head: Head::new(http::Method::GET, b"/", b"a").unwrap(),
            body: Vec::new(),
            trailers: Fields::default(),
            timeout: std::time::Duration::from_secs(1),
        })
    }

    fn add(calls: &mut Calls, root: u32, bytes: usize) -> Result<CallId, Refused> {
        calls.fits(bytes)?;
        let id = calls.next_id();
        calls.insert(id, ContextId(root), [ContextId(root); 2], CallKind::Http, bytes, command(id));
        Ok(id)
    }

    #[test]
    fn numbers_count_from_1_and_come_again_when_all_are_used_up() {
        let mut calls = Calls::new(10, 100);
        assert_eq!((add(&mut calls, 1, 0), add(&mut calls, 1, 0)), (Ok(CallId(1)), Ok(CallId(2))));
        calls.remove(CallId(1));
        assert_eq!(add(&mut calls, 1, 0), Ok(CallId(3)));
        calls.last = u32::MAX - 1;
        let next: Vec<_> = (0..4).map(|_| add(&mut calls, 1, 0).unwrap().0).collect();
        assert_eq!(next, [u32::MAX, 1, 4, 5]);
    }

    #[test]
    fn calls_are_bounded_by_number_and_by_bytes() {
        let mut calls = Calls::new(2, 100);
        assert_eq!(add(&mut calls, 1, 101), Err(Refused::Bytes(100)));
        let first = add(&mut calls, 1, 60).unwrap();
        assert_eq!(add(&mut calls, 1, 41), Err(Refused::Bytes(100)));
        add(&mut calls, 1, 40).unwrap();
        assert_eq!(add(&mut calls, 1, 0), Err(Refused::Count(2)));
        calls.remove(first);
        assert_eq!(add(&mut calls, 1, 61), Err(Refused::Bytes(100)));
        add(&mut calls, 1, 60).unwrap();
    }

    #[test]
    fn a_root_takes_its_calls_with_it() {
        let mut calls = Calls::new(10, 100);
        let of_first = add(&mut calls, 1, 30).unwrap();
        let of_second = add(&mut calls, 2, 30).unwrap();
        calls.forget_root(ContextId(1));
        assert!(calls.get(of_first).is_none() && calls.get(of_second).is_some());
        assert_eq!(calls.bytes, 30);
        let left: Vec<_> = calls.take_commands().iter().map(CallCommand::call).collect();
        assert_eq!(left, [of_second]);
    }
}
