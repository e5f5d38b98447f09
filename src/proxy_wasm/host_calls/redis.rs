//! Redis for Higress plugins, an extension of that gateway: `proxy_redis_init` says how a service is to be called,
//! `proxy_redis_call` sends a command. Plugins name the service with parameters behind it when they set it up
//! (`name?db=1`), and may leave them out when they call it.

use super::calls::Refusal;
use super::http_call::duration;
use super::{Denied, Failure, HostCall, Row, Run, args, shown};
use crate::proxy_wasm::calls::{CallCommand, RedisCall};
use crate::proxy_wasm::in_flight::CallKind;
use crate::proxy_wasm::redis_services::{RedisService, RedisServices};
use crate::proxy_wasm::types::Status;
use crate::redis::{self, Usage};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_redis_init", types: &[("iiiiiii", "i")], when_denied: Denied::Fails, run: Run::Status(init) },
    Row {
        name: "proxy_redis_call",
        types: &[("iiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(redis_call),
    },
];

/// A service may be set up anew: calls that were made before keep what they were made with.
fn init(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [name, name_len, username, username_len, password, password_len, timeout] = args(raw);
    let name = call.bytes(name, name_len)?;
    call.memory().check(password, u64::from(password_len))?;
    let username = call.bytes(username, username_len)?;
    let password = call.bytes(password, password_len)?;
    let (target, parameters) = split(&name);
    let done = database(parameters).and_then(|database| {
        let root = call.root_of_call()?;
        call.known(target, Status::BadArgument)?;
        let service = RedisService { username, password, database, timeout: duration(timeout) };
        if call.state.redis.set(root, target, service) {
            return Ok(());
        }
        let max = RedisServices::MAX_BYTES;
        Err(Refusal::argument(format!("names, users and passwords of all services would take more than {max} bytes")))
    });
    done.map_err(|refusal| {
        let message = format!("Redis service \"{}\" is not set up: {}", shown(target), refusal.reason);
        call.warn_rarely(refusal.subject, &message);
        refusal.status.into()
    })
}

/// One that was not set up is called without a user, and with a time-out of a second.
fn redis_call(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [name, name_len, query, query_len, id_at] = args(raw);
    let memory = call.caller.memory();
    memory.check(id_at, 4)?;
    let usage = redis::check(memory.read(query, query_len)?);
    let name = memory.read(name, name_len)?.to_vec();
    let (target, _) = split(&name);
    let usage = usage.map_err(|err| Refusal::argument(err.to_string()));
    let made = usage.and_then(|usage| {
        let root = call.root_of_call()?;
        call.known(target, Status::BadArgument)?;
        let service = call.state.redis.get(root, target);
        let bytes = target.len() + service.username.len() + service.password.len() + query_len as usize;
        call.room(bytes)?;
        Ok((usage, service, root, bytes))
    });
    let (usage, service, root, bytes) = made.map_err(|refusal| call.refuse(target, refusal))?;
    let query = call.bytes(query, query_len)?;
    let id = call.state.calls.next_id();
    call.put_u32(id_at, id.0)?;
    let command = RedisCall {
        id,
        stream: call.state.contexts.token_of(call.context()),
        target: target.to_vec(),
        username: service.username,
        password: service.password,
        database: service.database,
        query,
        exclusive: usage == Usage::Exclusive,
        timeout: service.timeout,
    };
    let made_for = call.state.contexts_of_call();
    call.state.calls.insert(id, root, made_for, CallKind::Redis, bytes, CallCommand::Redis(command));
    Ok(())
}

/// The name of a service, and its parameters.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().position(|byte| *byte == b'?') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, b""),
    }
}

/// Of the parameters this one counts. Others say how long commands are collected before they are sent; here they are sent at
/// once.
fn database(parameters: &[u8]) -> Result<Option<u32>, Refusal> {
    let Some(value) = parameters.split(|byte| *byte == b'&').find_map(|parameter| parameter.strip_prefix(b"db="))
    else {
        return Ok(None);
    };
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| Refusal::argument(format!("\"db\" is \"{}\", but must be a number", shown(value))))
}
