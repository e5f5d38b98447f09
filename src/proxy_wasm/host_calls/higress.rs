//! What plugins for Higress import beside Redis: `proxy_inject_encoded_data_to_filter_chain`, `proxy_get_upstream_hosts`,
//! `proxy_set_upstream_override_host`. Their SDK imports all three into every plugin, so they are there; a plugin that calls one
//! learns that this host cannot do it, and the log says so once.
//!
//! Nginx chooses an upstream's server when the location's handler runs, by a balancer that does not ask anybody, and a body filter
//! of nginx has no place from which bytes could begin that no upstream has sent.

use super::{Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_inject_encoded_data_to_filter_chain", types: &[("iii", "i")], run: Run::Status(inject) },
    Row { name: "proxy_get_upstream_hosts", types: &[("ii", "i")], run: Run::Status(hosts) },
    Row { name: "proxy_set_upstream_override_host", types: &[("ii", "i")], run: Run::Status(override_host) },
];

/// Bytes, and whether the response ends with them.
fn inject(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [body, len, _end] = args(raw);
    call.memory().check(body, len.into())?;
    cannot(call, TABLE[0].name, "a body that the filter has held back goes on when it answers \"continue\"")
}

/// Where the pairs of addresses and states would be.
fn hosts(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [ptr_at, len_at] = args(raw);
    call.memory().check(ptr_at, 4)?;
    call.memory().check(len_at, 4)?;
    cannot(call, TABLE[1].name, "the upstream { } of nginx.conf chooses the server")
}

/// The address that is to serve the request.
fn override_host(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [address, len] = args(raw);
    call.memory().check(address, len.into())?;
    cannot(call, TABLE[2].name, "the upstream { } of nginx.conf chooses the server")
}

fn cannot(call: &mut HostCall<'_>, name: &'static str, instead: &str) -> Result<(), Failure> {
    call.host
        .warn_once(name, &format!("\"{name}\" of Higress is not there in nginx, the filter is told so; {instead}"));
    Err(Status::Unimplemented.into())
}
