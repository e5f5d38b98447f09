//! Calls to other services: what a guest asks for, and what comes of it. Host calls make a [`CallCommand`] of what the
//! guest passes; the embedder takes the commands after each callback ([`Vm::take_calls`](super::Vm::take_calls)), carries
//! them out, and brings each result back by one of the `on_…` functions of [`Vm`](super::Vm).

use std::fmt;
use std::time::Duration;

use http::HeaderMap;

use super::ids::StreamToken;
use super::pairs::Pairs;
use crate::net::head::{Fields, Head};

/// The number by which guest and host know a call; unique in a VM, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the other end is to be spoken to, as `:scheme` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`: without TLS.
    #[default]
    Http,
    /// `https`: with TLS; HTTP/2 where the other end wants it.
    Https,
    /// `h2c`: HTTP/2 without TLS, from the first byte on.
    H2c,
}

/// Something that a guest wants done about calls, in the order in which it asked.
#[derive(Debug)]
pub enum CallCommand {
    /// One request and one answer.
    Http(HttpCall),
    /// A gRPC call with one message each way, or a stream.
    Grpc(GrpcCall),
    /// One more message of a stream, and whether it is the last.
    GrpcSend {
        /// The stream.
        call: CallId,
        /// The message; none with `is_end` alone.
        message: Option<Vec<u8>>,
        /// Nothing follows.
        is_end: bool,
    },
    /// The call is to end without a result.
    GrpcCancel(CallId),
    /// A command for a Redis server.
    Redis(RedisCall),
    /// A call that has a number, and that no message can say: it fails, and the guest is told so.
    Unsendable(UnsendableCall),
}

impl CallCommand {
    /// The call that it is about.
    pub fn call(&self) -> CallId {
        match self {
            CallCommand::Http(call) => call.id,
            CallCommand::Grpc(call) => call.id,
            CallCommand::GrpcSend { call, .. } => *call,
            CallCommand::GrpcCancel(call) => *call,
            CallCommand::Redis(call) => call.id,
            CallCommand::Unsendable(call) => call.id,
        }
    }
}

/// `proxy_http_call`.
#[derive(Debug)]
pub struct HttpCall {
    /// Its number.
    pub id: CallId,
    /// The stream that the guest's callback was about, when the call was made in one.
    pub stream: Option<StreamToken>,
    /// Name of the service.
    pub target: Vec<u8>,
    /// How to speak to it.
    pub scheme: Scheme,
    /// Method, path, authority and headers.
    pub head: Head,
    /// What follows them.
    pub body: Vec<u8>,
    /// What comes behind the body.
    pub trailers: Fields,
    /// When to give up. Never 0.
    pub timeout: Duration,
}

/// `proxy_grpc_call` and `proxy_grpc_stream`.
#[derive(Debug)]
pub struct GrpcCall {
    /// Its number.
    pub id: CallId,
    /// As in [`HttpCall`].
    pub stream: Option<StreamToken>,
    /// Name of the service.
    pub target: Vec<u8>,
    /// How to speak to it: `h2c` or `https`.
    pub scheme: Scheme,
    /// Method, path (`/service/method`), authority and headers, `content-type`, `te` and `grpc-timeout` among them.
    pub head: Head,
    /// The message of a call that has one; a stream gets its own by [`CallCommand::GrpcSend`].
    pub message: Option<Vec<u8>>,
    /// When to give up; a stream has none.
    pub timeout: Option<Duration>,
}

/// `proxy_http_call`, `proxy_grpc_call` or `proxy_grpc_stream` with what cannot be sent.
#[derive(Debug)]
pub struct UnsendableCall {
    /// Its number.
    pub id: CallId,
    /// Name of the service.
    pub target: Vec<u8>,
    /// What is wrong with it.
    pub reason: String,
}

/// `proxy_redis_call`, with what `proxy_redis_init` said of the service before.
#[derive(Debug)]
pub struct RedisCall {
    /// Its number.
    pub id: CallId,
    /// As in [`HttpCall`].
    pub stream: Option<StreamToken>,
    /// Name of the service.
    pub target: Vec<u8>,
    /// Who asks; nobody when empty.
    pub username: Vec<u8>,
    /// Its password; none when empty.
    pub password: Vec<u8>,
    /// The database to choose first.
    pub database: Option<u32>,
    /// The command, in Redis' own format: one, with one reply.
    pub query: Vec<u8>,
    /// It wants a connection for itself, that nobody uses afterwards. See [`crate::redis::Usage`].
    pub exclusive: bool,
    /// When to give up.
    pub timeout: Duration,
}

/// The answer to an HTTP call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// `:status` first.
    pub headers: Pairs,
    /// All of it.
    pub body: Vec<u8>,
    /// Empty when there are none.
    pub trailers: Pairs,
}

impl HttpAnswer {
    /// An answer as the guest is to see it.
    pub fn new(parts: &http::response::Parts, body: Vec<u8>, trailers: Option<&HeaderMap>) -> Self {
        HttpAnswer { headers: Pairs::of_response(parts), body, trailers: trailers.map(Pairs::from).unwrap_or_default() }
    }
}

impl Pairs {
    /// The head of an answer, `:status` first: the headers of an HTTP call, the initial metadata of a gRPC stream.
    pub fn of_response(parts: &http::response::Parts) -> Self {
        let mut pairs = Pairs::default();
        pairs.push(b":status", parts.status.as_str().as_bytes());
        pairs.push_all(&parts.headers);
        pairs
    }

    fn push_all(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

impl From<&HeaderMap> for Pairs {
    fn from(headers: &HeaderMap) -> Self {
        let mut pairs = Pairs::default();
        pairs.push_all(headers);
        pairs
    }
}

/// A call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// Why, for `proxy_get_status`.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_all_its_headers() {
        let answer = http::Response::builder().status(404).header("Set-Cookie", "a").header("x", "y");
        let answer = answer.header("set-cookie", http::HeaderValue::from_bytes(b"\xff").unwrap()).body(()).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.append("grpc-status", http::HeaderValue::from_static("0"));
        let answer = HttpAnswer::new(&answer.into_parts().0, b"body".to_vec(), Some(&trailers));
        let pairs: Vec<(&[u8], &[u8])> = answer.headers.iter().collect();
        assert_eq!(pairs[0], (&b":status"[..], &b"404"[..]));
        let cookies: Vec<_> =
            pairs.iter().filter(|(name, _)| *name == b"set-cookie").map(|(_, value)| *value).collect();
        assert_eq!(cookies, [&b"a"[..], b"\xff"]);
        assert_eq!(pairs.len(), 4);
        assert_eq!(answer.trailers.iter().collect::<Vec<_>>(), [(&b"grpc-status"[..], &b"0"[..])]);
        assert_eq!(answer.body, b"body");
    }
}
