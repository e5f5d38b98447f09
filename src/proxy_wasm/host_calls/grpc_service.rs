//! What guests name when they begin a gRPC call: the name of a service, or Envoy's message `envoy.config.core.v3.GrpcService`
//! in the protocol buffers' format. `grpc.rs` reads it.

use std::time::Duration;

use prost::Message;

use crate::proxy_wasm::calls::Scheme;

/// A service, and what is to be known of calls to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Its name for the host.
    pub target: Vec<u8>,
    /// With or without TLS.
    pub scheme: Scheme,
    /// What goes into `:authority`.
    pub authority: Option<Vec<u8>>,
    /// For calls that have none of their own.
    pub timeout: Option<Duration>,
    /// What goes along with each call.
    pub metadata: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Service {
    /// A text is no such message, and a message that names no service is taken for a text: names have no control characters,
    /// with which the message's fields begin.
    pub fn read(bytes: &[u8]) -> Service {
        // Decoded, a message may be many times as large: what no sensible one has is not looked at.
        const LARGEST: usize = 64 << 10;
        let message =
            Some(bytes).filter(|bytes| bytes.len() <= LARGEST).and_then(|bytes| GrpcService::decode(bytes).ok());
        let Some(mut service) = message.and_then(GrpcService::service) else {
            return Service {
                target: bytes.to_vec(),
                scheme: Scheme::H2c,
                authority: None,
                timeout: None,
                metadata: Vec::new(),
            };
        };
        service.authority = service.authority.filter(|authority| !authority.is_empty());
        service
    }
}

/// Envoy's message of this name, as far as it means something here.
#[derive(Clone, PartialEq, Message)]
struct GrpcService {
    #[prost(message, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
    #[prost(message, tag = "2")]
    google_grpc: Option<GoogleGrpc>,
    #[prost(message, tag = "3")]
    timeout: Option<Span>,
    #[prost(message, repeated, tag = "5")]
    initial_metadata: Vec<HeaderValue>,
}

#[derive(Clone, PartialEq, Message)]
struct EnvoyGrpc {
    #[prost(bytes = "vec", tag = "1")]
    cluster_name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    authority: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct GoogleGrpc {
    #[prost(bytes = "vec", tag = "1")]
    target_uri: Vec<u8>,
    #[prost(message, tag = "2")]
    channel_credentials: Option<ChannelCredentials>,
}

#[derive(Clone, PartialEq, Message)]
struct ChannelCredentials {
    #[prost(bytes = "vec", optional, tag = "1")]
    ssl_credentials: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    google_default: Option<Vec<u8>>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    raw_value: Vec<u8>,
}

impl GrpcService {
    fn service(self) -> Option<Service> {
        let (target, scheme, authority) = match (self.envoy_grpc, self.google_grpc) {
            (Some(envoy), _) if !envoy.cluster_name.is_empty() => {
                (envoy.cluster_name, Scheme::H2c, Some(envoy.authority))
            }
            (_, Some(google)) if !google.target_uri.is_empty() => {
                let credentials = google.channel_credentials.unwrap_or_default();
                let tls = credentials.ssl_credentials.is_some() || credentials.google_default.is_some();
                let scheme = if tls { Scheme::Https } else { Scheme::H2c };
                (without_dns(&google.target_uri).to_vec(), scheme, None)
            }
            _ => return None,
        };
        let metadata = self.initial_metadata.into_iter().map(|header| {
            let value = if header.value.is_empty() { header.raw_value } else { header.value };
            (header.key, value)
        });
        let timeout = self.timeout.and_then(|span| span.duration());
        Some(Service { target, scheme, authority, timeout, metadata: metadata.collect() })
    }
}

impl Span {
    fn duration(&self) -> Option<Duration> {
        let nanos = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Duration::new(u64::try_from(self.seconds).ok()?, nanos)).filter(|duration| !duration.is_zero())
    }
}

/// gRPC's own naming: `dns:host:port`, or `dns:///host:port`.
fn without_dns(uri: &[u8]) -> &[u8] {
    let name = uri.strip_prefix(b"dns:").unwrap_or(uri);
    name.strip_prefix(b"///").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_name_itself() {
        for name in [&b"service"[..], b"a:1", b"unix:/run/x", b"", b"grpc-auth.example.com:443", b"\n\x07service"] {
            let service = Service::read(name);
            assert_eq!((service.target.as_slice(), service.scheme), (name, Scheme::H2c));
        }
    }

    #[test]
    fn a_message_names_a_cluster() {
        // envoy_grpc { cluster_name: "service", authority: "a" }, timeout { seconds: 2, nanos: 5 }, initial_metadata { "k": "v" }
        let bytes = b"\x0a\x0c\x0a\x07service\x12\x01a\x1a\x04\x08\x02\x10\x05\x2a\x06\x0a\x01k\x12\x01v";
        let wanted = Service {
            target: b"service".to_vec(),
            scheme: Scheme::H2c,
            authority: Some(b"a".to_vec()),
            timeout: Some(Duration::new(2, 5)),
            metadata: vec![(b"k".to_vec(), b"v".to_vec())],
        };
        assert_eq!(Service::read(bytes), wanted);
        let plain = Service::read(b"\x0a\x09\x0a\x07service");
        assert_eq!((plain.target, plain.authority, plain.timeout), (b"service".to_vec(), None, None));
    }

    #[test]
    fn a_message_names_a_target_of_googles_client() {
        for (uri, wanted) in [("a:1", "a:1"), ("dns:a:1", "a:1"), ("dns:///a:1", "a:1"), ("unix:/x", "unix:/x")] {
            for (credentials, scheme) in [
                (None, Scheme::H2c),
                (Some(ChannelCredentials::default()), Scheme::H2c),
                (Some(ChannelCredentials { ssl_credentials: Some(Vec::new()), google_default: None }), Scheme::Https),
                (Some(ChannelCredentials { ssl_credentials: None, google_default: Some(Vec::new()) }), Scheme::Https),
            ] {
                let google = GoogleGrpc { target_uri: uri.into(), channel_credentials: credentials };
                let bytes = GrpcService { google_grpc: Some(google), ..GrpcService::default() }.encode_to_vec();
                let service = Service::read(&bytes);
                assert_eq!((service.target.as_slice(), service.scheme), (wanted.as_bytes(), scheme));
            }
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_not_decoded() {
        let mut bytes = b"\x0a\x09\x0a\x07service".to_vec();
        bytes.extend(b"\x2a\x00".repeat(40_000));
        let fits = &bytes[..(64 << 10) - 1];
        assert_eq!(Service::read(fits).target, b"service");
        assert_eq!(Service::read(&bytes).target, bytes);
    }

    #[test]
    fn times_that_are_none_do_not_count() {
        for (seconds, nanos) in [(0, 0), (-1, 0), (1, -1), (1, 1_000_000_000)] {
            assert_eq!(Span { seconds, nanos }.duration(), None);
        }
    }
}
