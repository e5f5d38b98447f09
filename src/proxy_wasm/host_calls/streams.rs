//! `proxy_continue_stream`, `proxy_close_stream`, the older names of the first, and `proxy_clear_route_cache`.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::StreamType;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_continue_stream",
        types: &[("i", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(continue_stream),
    },
    Row {
        name: "proxy_close_stream",
        types: &[("i", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(close_stream),
    },
    Row {
        name: "proxy_continue_request",
        types: &[("", "i"), ("", "")],
        when_denied: Denied::Fails,
        run: Run::Status(continue_request),
    },
    Row {
        name: "proxy_continue_response",
        types: &[("", "i"), ("", "")],
        when_denied: Denied::Fails,
        run: Run::Status(continue_response),
    },
    Row {
        name: "proxy_clear_route_cache",
        types: &[("", "i"), ("", "")],
        when_denied: Denied::Fails,
        run: Run::Status(clear_route_cache),
    },
];

fn continue_stream(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [stream] = args(raw);
    Ok(call.host.continue_stream(StreamType::try_from(stream)?)?)
}

fn close_stream(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [stream] = args(raw);
    Ok(call.host.close_stream(StreamType::try_from(stream)?)?)
}

fn continue_request(call: &mut HostCall<'_>, _: &[u64]) -> Result<(), Failure> {
    Ok(call.host.continue_stream(StreamType::Request)?)
}

fn continue_response(call: &mut HostCall<'_>, _: &[u64]) -> Result<(), Failure> {
    Ok(call.host.continue_stream(StreamType::Response)?)
}

fn clear_route_cache(call: &mut HostCall<'_>, _: &[u64]) -> Result<(), Failure> {
    Ok(call.host.clear_route_cache()?)
}
