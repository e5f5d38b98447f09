//! The head of a gRPC request.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri};
use thiserror::Error;

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What cannot be the name of a method.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is no path of a gRPC method")]
pub struct RequestError(String);

/// A request for `/service/method` with the metadata of the caller, and without a host. What the metadata says about the
/// content, its encoding and the time-out does not count: the sender of the request knows better.
pub fn request(
    service: &[u8],
    method: &[u8],
    metadata: HeaderMap,
    timeout: Option<Duration>,
) -> Result<Request<()>, RequestError> {
    let path = [b"/", service, b"/", method].concat();
    let named = !service.is_empty() && !method.is_empty() && !path.iter().any(|byte| matches!(byte, b'?' | b'#'));
    let valid = PathAndQuery::try_from(&path[..]).ok().filter(|_| named);
    let valid =
        valid.ok_or_else(|| RequestError(String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned()))?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(valid);
    let headers = request.headers_mut();
    *headers = metadata;
    for own in ["grpc-encoding", "grpc-accept-encoding"] {
        headers.remove(own);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.remove(TIMEOUT);
    if let Some(value) = timeout.and_then(timeout_value) {
        headers.insert(TIMEOUT, value);
    }
    Ok(request)
}

/// At most eight digits, and a unit. Longer ones than 3000 years need no header.
fn timeout_value(timeout: Duration) -> Option<HeaderValue> {
    const MOST: u128 = 99_999_999;
    let milliseconds = timeout.as_millis().max(1);
    let value = match (milliseconds, milliseconds.div_ceil(1000)) {
        (milliseconds @ 0..=MOST, _) => format!("{milliseconds}m"),
        (_, seconds @ 0..=MOST) => format!("{seconds}S"),
        (_, seconds) => format!("{}H", Some(seconds / 3600).filter(|hours| *hours <= MOST)?),
    };
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_post_for_the_method() {
        let mut metadata = HeaderMap::new();
        metadata.append("x", HeaderValue::from_static("y"));
        metadata.append("key-bin", HeaderValue::from_static("AAEC"));
        for own in ["content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"] {
            metadata.append(own, HeaderValue::from_static("other"));
            metadata.append(own, HeaderValue::from_static("another"));
        }
        let request = request(b"pkg.Service", b"Method", metadata, Some(Duration::from_millis(1500))).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "/pkg.Service/Method");
        let mut headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let wanted = [
            ("content-type", "application/grpc"),
            ("grpc-timeout", "1500m"),
            ("key-bin", "AAEC"),
            ("te", "trailers"),
            ("x", "y"),
        ];
        assert_eq!(headers, wanted);
    }

    #[test]
    fn a_request_without_a_timeout_does_not_speak_of_one() {
        let request = request(b"s", b"m", HeaderMap::new(), None).unwrap();
        assert!(!request.headers().contains_key("grpc-timeout"));
    }

    #[test]
    fn a_timeout_has_eight_digits_at_most() {
        for (timeout, wanted) in [
            (Duration::ZERO, Some("1m")),
            (Duration::from_millis(1), Some("1m")),
            (Duration::from_millis(99_999_999), Some("99999999m")),
            (Duration::from_millis(100_000_001), Some("100001S")),
            (Duration::from_secs(99_999_999), Some("99999999S")),
            (Duration::from_secs(100_000_000), Some("27777H")),
            (Duration::MAX, None),
        ] {
            let value = timeout_value(timeout);
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), wanted, "{timeout:?}");
        }
    }

    #[test]
    fn what_is_no_method_is_refused() {
        for (service, method) in
            [(&b""[..], &b"m"[..]), (b"s", b""), (b"s?", b"m"), (b"s", b"m#"), (b"s s", b"m"), (b"s", b"m\r\nx")]
        {
            let err = request(service, method, HeaderMap::new(), None).unwrap_err();
            assert!(err.to_string().ends_with("is no path of a gRPC method"), "{err}");
        }
    }
}
