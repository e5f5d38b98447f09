//! `proxy_send_local_response`: the filter answers the request itself.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::host::LocalResponse;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::LogLevel;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_send_local_response",
        types: &[("iiiiiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(send),
    },
    Row {
        name: "proxy_send_http_response",
        types: &[("iiiiiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(send),
    },
];

/// What stands in for a status that no response can have.
const NO_STATUS: u32 = 500;

/// The response may be what refuses the request, and SDKs ignore the status of this call: whatever a guest gets wrong in it, there
/// is a response.
fn send(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [status, details, details_len, body, body_len, headers, headers_len, grpc_status] = args(raw);
    let details = call.bytes(details, details_len)?;
    let body = call.bytes(body, body_len)?;
    let headers = Pairs::decode(call.memory().read(headers, headers_len)?).unwrap_or_else(|_| {
        let what = "the headers of a local response are not encoded as the ABI says, or too many; it goes without them";
        call.host.log(LogLevel::Error, what.as_bytes());
        Pairs::default()
    });
    // Three digits, and none of the interim answers: anything else is no final response in HTTP.
    let status = if (200..=999).contains(&status) {
        status
    } else {
        let what =
            format!("a local response has the status {status}, which is none of a response; it goes with {NO_STATUS}");
        call.host.log(LogLevel::Error, what.as_bytes());
        NO_STATUS
    };
    let grpc_status = (grpc_status <= 16).then_some(grpc_status);
    Ok(call.host.send_local_response(LocalResponse { status, details, body, headers, grpc_status })?)
}
