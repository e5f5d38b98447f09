//! gRPC calls and streams to other services. The AssemblyScript SDK declares two of them without initial metadata.
//!
//! Guests of the Rust SDK survive ParseFailure and InternalFailure when they begin a call, BadArgument and NotFound when they
//! send, NotFound when they end one; nothing else is answered where it can be helped.

use super::calls::Refusal;
use super::grpc_service::Service;
use super::http_call::{Bad, append, bad_scheme, duration, held, malformed, pairs};
use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::grpc;
use crate::net::head::Fields;
use crate::net::target;
use crate::proxy_wasm::calls::{CallCommand, CallId, GrpcCall, Scheme, UnsendableCall};
use crate::proxy_wasm::in_flight::CallKind;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_grpc_call",
        types: &[("iiiiiiiiiiii", "i"), ("iiiiiiiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(call),
    },
    Row {
        name: "proxy_grpc_stream",
        types: &[("iiiiiiiii", "i"), ("iiiiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(stream),
    },
    Row { name: "proxy_grpc_send", types: &[("iiii", "i")], when_denied: Denied::NotFound, run: Run::Status(send) },
    Row { name: "proxy_grpc_cancel", types: &[("i", "i")], when_denied: Denied::NotFound, run: Run::Status(cancel) },
    Row { name: "proxy_grpc_close", types: &[("i", "i")], when_denied: Denied::NotFound, run: Run::Status(close) },
];

/// Bytes in guest memory: pointer and size.
type Place = (u32, u32);

const NOWHERE: Place = (0, 0);

fn call(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [target, target_len, service, service_len, method, method_len, ..] = args::<6>(raw);
    let (metadata, rest) = metadata_and_rest(raw, 10);
    let [message, message_len, timeout, id_at] = args(rest);
    let what = What {
        target: (target, target_len),
        service: (service, service_len),
        method: (method, method_len),
        metadata,
        message: Some((message, message_len)),
        timeout: Some(timeout),
        id_at,
    };
    begin(call, what)
}

fn stream(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [target, target_len, service, service_len, method, method_len] = args(raw);
    let (metadata, rest) = metadata_and_rest(raw, 7);
    let [id_at] = args(rest);
    let what = What {
        target: (target, target_len),
        service: (service, service_len),
        method: (method, method_len),
        metadata,
        message: None,
        timeout: None,
        id_at,
    };
    begin(call, what)
}

/// Behind the names there is metadata, unless there are no more than `without` arguments.
fn metadata_and_rest(raw: &[u64], without: usize) -> (Place, &[u64]) {
    let rest = raw.get(6..).unwrap_or_default();
    if raw.len() <= without {
        return (NOWHERE, rest);
    }
    let [metadata, metadata_len] = args(rest);
    ((metadata, metadata_len), rest.get(2..).unwrap_or_default())
}

/// The arguments of a call or a stream.
struct What {
    target: Place,
    service: Place,
    method: Place,
    metadata: Place,
    /// None for a stream.
    message: Option<Place>,
    /// In milliseconds; none for a stream.
    timeout: Option<u32>,
    id_at: u32,
}

fn begin(call: &mut HostCall<'_>, what: What) -> Result<(), Failure> {
    let memory = call.caller.memory();
    memory.check(what.id_at, 4)?;
    let (message, message_len) = what.message.unwrap_or(NOWHERE);
    memory.check(message, u64::from(message_len))?;
    let read = |(ptr, len): Place| memory.read(ptr, len);
    let service = Service::read(read(what.target)?);
    let metadata = Metadata::read(read(what.metadata)?, &service);
    let (name, method) = (read(what.service)?, read(what.method)?);
    let timeout = what.timeout.map(|timeout| match (timeout, service.timeout) {
        (0, Some(timeout)) => timeout,
        (timeout, _) => duration(timeout),
    });
    let said = metadata.and_then(|metadata| {
        let authority = metadata.authority.as_deref().or(service.authority.as_deref());
        let authority = authority.unwrap_or(target::authority(&service.target));
        let head = grpc::request(name, method, authority, metadata.fields, timeout)?;
        Ok((head, metadata.scheme.unwrap_or(service.scheme)))
    });
    let parse_failure = |refusal: Refusal| match refusal.status {
        Status::BadArgument => Refusal { status: Status::ParseFailure, ..refusal },
        _ => refusal,
    };
    let said = match said {
        Ok(said) => Ok(said),
        Err(Bad::Unsendable(unsendable)) => Err(unsendable),
        Err(Bad::Refused(refusal)) => return Err(call.refuse(&service.target, parse_failure(refusal))),
    };
    let mut bytes = service.target.len();
    if let Ok((head, _)) = &said {
        bytes += head.target().len() + message_len as usize + held(&head.fields);
    }
    let root = call.root_of_call().and_then(|root| {
        call.known(&service.target, Status::ParseFailure)?;
        call.room(bytes)?;
        Ok(root)
    });
    let root = root.map_err(|refusal| call.refuse(&service.target, parse_failure(refusal)))?;
    let message = what.message.map(|(ptr, len)| call.bytes(ptr, len)).transpose()?;
    let kind = if message.is_some() { CallKind::GrpcCall } else { CallKind::GrpcStream { half_closed: false } };
    let id = call.state.calls.next_id();
    call.put_u32(what.id_at, id.0)?;
    let stream = call.state.contexts.token_of(call.context());
    let target = service.target;
    let command = match said {
        Ok((head, scheme)) => CallCommand::Grpc(GrpcCall { id, stream, target, scheme, head, message, timeout }),
        Err(unsendable) => CallCommand::Unsendable(UnsendableCall { id, target, reason: unsendable.0 }),
    };
    let made_for = call.state.contexts_of_call();
    call.state.calls.insert(id, root, made_for, kind, bytes, command);
    Ok(())
}

/// Metadata of the guest and of the service that it names.
struct Metadata {
    fields: Fields,
    authority: Option<Vec<u8>>,
    scheme: Option<Scheme>,
}

impl Metadata {
    fn read(bytes: &[u8], service: &Service) -> Result<Metadata, Bad> {
        let mut all = Metadata { fields: Fields::default(), authority: None, scheme: None };
        for pair in pairs(bytes, "metadata")? {
            let (name, value) = pair.map_err(|_| malformed("metadata"))?;
            all.add(name, value)?;
        }
        for (name, value) in &service.metadata {
            all.add(name, value)?;
        }
        Ok(all)
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Bad> {
        match name {
            // What is empty says nothing.
            b":authority" | b":scheme" if value.is_empty() => {}
            b":authority" => self.authority = Some(value.to_vec()),
            _ if name.eq_ignore_ascii_case(b"host") => {
                if !value.is_empty() {
                    self.authority.get_or_insert_with(|| value.to_vec());
                }
            }
            b":scheme" => {
                self.scheme = Some(match value {
                    b"https" => Scheme::Https,
                    b"http" | b"h2c" => Scheme::H2c,
                    other => return Err(bad_scheme(other)),
                });
            }
            _ => append(&mut self.fields, name, value, "metadata entry")?,
        }
        Ok(())
    }
}

fn send(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id, message, message_len, is_end] = args(raw);
    let id = CallId(id);
    call.memory().check(message, u64::from(message_len))?;
    match call.state.calls.get(id).ok_or(Status::NotFound)?.kind {
        CallKind::GrpcStream { half_closed: false } => {}
        _ => return Err(Status::BadArgument.into()),
    }
    let len = message_len as usize;
    if let Err(max) = call.state.calls.fits_message(len) {
        let reason = format!(
            "no message of {len} bytes is sent in gRPC stream {id}: the calls of this filter in flight would hold more than \
             {max} bytes; see \"wasm_memory_limit\""
        );
        call.warn_rarely("room for calls", &reason);
        return Err(Status::BadArgument.into());
    }
    let message = call.bytes(message, message_len)?;
    call.state.calls.send(id, Some(message), is_end != 0);
    Ok(())
}

/// Ends a call without a result: no callback follows.
fn cancel(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id] = args(raw);
    match kind(call, CallId(id))? {
        CallKind::GrpcCall | CallKind::GrpcStream { .. } => call.state.calls.cancel(CallId(id)),
        CallKind::Http | CallKind::Redis => return Err(Status::BadArgument.into()),
    }
    Ok(())
}

/// Ends what the guest has to say in a stream, and a call altogether, as in Envoy. Doing so twice does no harm.
fn close(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id] = args(raw);
    match kind(call, CallId(id))? {
        CallKind::GrpcCall => call.state.calls.cancel(CallId(id)),
        CallKind::GrpcStream { half_closed: false } => call.state.calls.send(CallId(id), None, true),
        CallKind::GrpcStream { half_closed: true } => {}
        CallKind::Http | CallKind::Redis => return Err(Status::BadArgument.into()),
    }
    Ok(())
}

fn kind(call: &HostCall<'_>, id: CallId) -> Result<CallKind, Status> {
    Ok(call.state.calls.get(id).ok_or(Status::NotFound)?.kind)
}
