//! `proxy_send_local_response`: the filter answers the request itself.

use super::{Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::host::LocalResponse;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_send_local_response", types: &[("iiiiiiii", "i")], run: Run::Status(send) },
    Row { name: "proxy_send_http_response", types: &[("iiiiiiii", "i")], run: Run::Status(send) },
];

fn send(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [status, details, details_len, body, body_len, headers, headers_len, grpc_status] = args(raw);
    let details = call.bytes(details, details_len)?;
    let body = call.bytes(body, body_len)?;
    let headers = Pairs::decode(call.memory().read(headers, headers_len)?)?;
    // Three digits, and none of the interim answers: anything else is no final response in HTTP.
    if !(200..=999).contains(&status) {
        return Err(Status::BadArgument.into());
    }
    let grpc_status = (grpc_status <= 16).then_some(grpc_status);
    Ok(call.host.send_local_response(LocalResponse { status, details, body, headers, grpc_status })?)
}
