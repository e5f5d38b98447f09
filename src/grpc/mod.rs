//! gRPC over HTTP/2, as far as it is bytes and headers: messages in their frames, the head of a request, and what an answer
//! says about how the call went. The embedder sends and receives; `proxy_wasm::host_calls::grpc` makes the requests. Source:
//! "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping" of the gRPC project.

mod answer;
mod frame;
mod message;
mod request;

pub use answer::{GrpcOutcome, of_head, of_trailers};
pub use frame::{Decoder, FrameError, frame};
pub use message::encode_message;
pub use request::request;

/// The status codes that this host gives itself.
pub mod code {
    /// The call went well.
    pub const OK: u32 = 0;
    /// Who made the call does not want it any more.
    pub const CANCELLED: u32 = 1;
    /// Nobody knows what went wrong.
    pub const UNKNOWN: u32 = 2;
    /// The time is over.
    pub const DEADLINE_EXCEEDED: u32 = 4;
    /// Not for this client.
    pub const PERMISSION_DENIED: u32 = 7;
    /// More than there is room for.
    pub const RESOURCE_EXHAUSTED: u32 = 8;
    /// The other end has no such method.
    pub const UNIMPLEMENTED: u32 = 12;
    /// The other end does not keep to the protocol.
    pub const INTERNAL: u32 = 13;
    /// The other end is not to be reached.
    pub const UNAVAILABLE: u32 = 14;
    /// The other end does not know this client.
    pub const UNAUTHENTICATED: u32 = 16;

    /// What an answer with this HTTP status means, which says nothing of gRPC itself.
    pub fn of_http_status(status: u16) -> u32 {
        match status {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => UNIMPLEMENTED,
            429 | 502 | 503 | 504 => UNAVAILABLE,
            _ => UNKNOWN,
        }
    }
}
