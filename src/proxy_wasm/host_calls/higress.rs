//! What plugins for Higress import beside Redis: `proxy_inject_encoded_data_to_filter_chain`, `proxy_get_upstream_hosts`,
//! `proxy_set_upstream_override_host`. Their SDK imports all three into every plugin.
//!
//! The first is only there: a body filter of nginx has no place from which bytes could begin that no upstream has sent. A plugin
//! that calls it learns that, and the log says so once.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::host::HostHealth;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_inject_encoded_data_to_filter_chain",
        types: &[("iii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(inject),
    },
    Row {
        name: "proxy_get_upstream_hosts",
        types: &[("ii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(hosts),
    },
    Row {
        name: "proxy_set_upstream_override_host",
        types: &[("ii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(override_host),
    },
];

/// Bytes, and whether the response ends with them.
fn inject(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [body, len, _end] = args(raw);
    call.memory().check(body, len.into())?;
    let name = TABLE[0].name;
    call.host.warn_once(
        name,
        &format!(
            "\"{name}\" of Higress is not there in nginx, the filter is told so; a body that the filter has held back goes on \
             when it answers \"continue\""
        ),
    );
    Err(Status::Unimplemented.into())
}

/// Pairs of addresses and what is known of each, an object of JSON. Envoy would have metrics in it, too, of hosts that it asks
/// for them. No hosts are no bytes at all.
fn hosts(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [ptr_at, len_at] = args(raw);
    call.memory().check(ptr_at, 4)?;
    call.memory().check(len_at, 4)?;
    call.give_with(ptr_at, len_at, |call, out| {
        let hosts = call.host.upstream_hosts()?;
        if hosts.is_empty() {
            return Ok(());
        }
        let state = |health| match health {
            HostHealth::Healthy => &br#"{"health_status":"Healthy"}"#[..],
            HostHealth::Degraded => br#"{"health_status":"Degraded"}"#,
            HostHealth::Unhealthy => br#"{"health_status":"Unhealthy"}"#,
        };
        let pairs: Vec<_> = hosts.iter().map(|host| (host.address.as_slice(), state(host.health))).collect();
        Ok(Pairs::encode(pairs.into_iter(), out)?)
    })
}

/// The address that is to serve the request.
fn override_host(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [address, len] = args(raw);
    Ok(call.with_bytes(address, len, |address, _, host| host.override_upstream_host(address))??)
}
