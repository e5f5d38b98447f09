//! `proxy_redis_call`: one command, and its reply as it came. `ngx_wasm::redis` knows where a reply ends.

use std::pin::pin;
use std::rc::Rc;

use ngx_wasm::net::target::Target;
use ngx_wasm::proxy_wasm::{CallFailure, RedisCall};
use ngx_wasm::redis::{ReplyError, Scanner, auth, error_of, select};

use super::{Call, Owner, at_exit, subject};
use crate::net::balancer::BalancerInput;
use crate::net::connection::Connection;
use crate::net::http::{Endpoint, Reasons, Servers, Service, Trouble};
use crate::net::pool::{self, Key, Protocol};
use crate::nginx::timer;
use crate::process::status::{CallKind, CallResult, CallStatus};

const PORT: u16 = 6379;

/// Runs a call to its end.
pub fn run(owner: Rc<Owner>, call: RedisCall) -> Call {
    let service = owner.service(&call.target, b"", false, false).map(at_port);
    let subject = subject(&service, call.stream, None);
    let status = CallStatus::begin(CallKind::Redis, &call.target);
    Box::pin(async move {
        let (id, time, exit) = (call.id, call.timeout, at_exit(call.stream));
        let outcome = match service {
            Ok(service) => {
                let reply = timer::timeout(time, exit, pin!(reply(&service, &call, &subject))).await;
                status.fails(reply.is_err());
                reply.unwrap_or_else(|timer::Elapsed| Err(format!("no answer within {} ms", time.as_millis())))
            }
            Err(reason) => {
                status.fails(false);
                Err(reason)
            }
        };
        if let Ok(reply) = &outcome {
            let is_error = error_of(reply).is_some();
            status.ends(if is_error { CallResult::ServerError } else { CallResult::Answered });
        }
        drop(status);
        let outcome = outcome.map_err(|reason| CallFailure { reason });
        if let Err(failure) = &outcome {
            owner.log_failed_call(id, &call.target, failure);
        }
        owner.deliver(id, |vm, host| vm.on_redis_reply(id, outcome, host));
        owner.forget(id);
    })
}

/// A host that names no port is asked at Redis' own.
fn at_port(service: Rc<Service>) -> Rc<Service> {
    match &service.endpoint {
        Endpoint::Target(Target::Host { host, port: None }) => Rc::new(Service {
            settings: service.settings.clone(),
            endpoint: Endpoint::Target(Target::Host { host: host.clone(), port: Some(PORT) }),
            tls: service.tls.clone(),
            only_http2: service.only_http2,
        }),
        _ => service,
    }
}

async fn reply(service: &Rc<Service>, call: &RedisCall, subject: &BalancerInput) -> Result<Vec<u8>, String> {
    let mut servers = Servers::find(service, subject).await?;
    let mut reasons = Reasons::default();
    while let Some(address) = servers.next()? {
        let key = Key {
            kind: Protocol::Redis {
                username: call.username.clone(),
                password: call.password.clone(),
                database: call.database,
            },
            ..service.key(address)
        };
        let address = &key.address;
        let kept = if call.exclusive { None } else { pool::take_raw(&key) };
        let opened = match kept {
            Some(kept) => Ok(kept),
            None => Box::pin(enter(service, address, call)).await.map(|connection| (connection, 0)),
        };
        let (mut connection, uses) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                servers.report(true);
                reasons.add(why);
                continue;
            }
        };
        // A command that may have been carried out is not sent again.
        return match exchange(&mut connection, &call.query, service.settings.response_buffer).await {
            Ok((reply, is_over)) => {
                servers.report(false);
                if is_over && !call.exclusive {
                    pool::put_raw(key, connection, uses + 1, &service.settings);
                }
                Ok(reply)
            }
            Err(why) => {
                servers.report(!why.is_ours);
                Err(format!("{address}: {}", why.reason))
            }
        };
    }
    Err(reasons.into())
}

/// A new connection, as the user and in the database that the call wants.
async fn enter(
    service: &Service,
    address: &crate::net::address::Address,
    call: &RedisCall,
) -> Result<Connection, String> {
    let (mut connection, _) = service.open(address, false).await?;
    let commands = [("AUTH", auth(&call.username, &call.password)), ("SELECT", call.database.map(select))];
    for (name, command) in commands {
        let Some(command) = command else { continue };
        let answered = exchange(&mut connection, &command, service.settings.response_buffer).await;
        let (reply, _) = answered.map_err(|why| format!("{address}: {name}: {}", why.reason))?;
        if let Some(error) = error_of(&reply) {
            return Err(format!("{address}: {name}: {}", String::from_utf8_lossy(error)));
        }
    }
    Ok(connection)
}

/// Sends a command and reads its reply, and whether nothing came behind it.
async fn exchange(connection: &mut Connection, command: &[u8], limit: usize) -> Result<(Vec<u8>, bool), Trouble> {
    let broken = |reason: String| Trouble { reason, is_ours: false };
    connection.write_all(command).await.map_err(|err| broken(err.to_string()))?;
    let mut scanner = Scanner::new(limit);
    let mut bytes = Vec::new();
    loop {
        if connection.read_some(&mut bytes).await.map_err(|err| broken(err.to_string()))? == 0 {
            return Err(broken("the connection was closed before the reply".into()));
        }
        let scanned = scanner.scan(&bytes).map_err(|err| match err {
            ReplyError::TooLarge(limit) => Trouble {
                reason: format!("the reply is larger than wasm_call_response_buffer ({limit} bytes)"),
                is_ours: true,
            },
            other => broken(other.to_string()),
        })?;
        if let Some(len) = scanned {
            let is_over = bytes.len() == len;
            bytes.truncate(len);
            return Ok((bytes, is_over));
        }
    }
}
