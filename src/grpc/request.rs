//! The head of a gRPC request.

use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};

use crate::net::head::{Fields, Head, Unsendable};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A request for `/service/method` with the metadata of the caller. What the metadata says about the content, its encoding and
/// the time-out does not count: the sender of the request knows better.
pub fn request(
    service: &[u8],
    method: &[u8],
    authority: &[u8],
    metadata: Fields,
    timeout: Option<Duration>,
) -> Result<Head, Unsendable> {
    let mut head = Head::new(Method::POST, &[b"/", service, b"/", method].concat(), authority)?;
    head.fields = metadata;
    for own in ["grpc-encoding", "grpc-accept-encoding"] {
        head.fields.remove(&HeaderName::from_static(own));
    }
    head.fields.set(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.fields.set(TE, HeaderValue::from_static("trailers"));
    head.fields.remove(&TIMEOUT);
    if let Some(value) = timeout.and_then(timeout_value) {
        head.fields.set(TIMEOUT, value);
    }
    Ok(head)
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

    fn for_method(service: &[u8], method: &[u8]) -> Result<Head, Unsendable> {
        request(service, method, b"a", Fields::default(), None)
    }

    #[test]
    fn a_request_is_a_post_for_the_method() {
        let mut metadata = Fields::default();
        metadata.append(b"x", b"y", "entry").unwrap();
        metadata.append(b"key-bin", b"AAEC", "entry").unwrap();
        for own in ["content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"] {
            metadata.append(own.as_bytes(), b"other", "entry").unwrap();
            metadata.append(own.as_bytes(), b"an\x01other", "entry").unwrap();
        }
        let head = request(b"pkg.Service", b"Method", b"a:1", metadata, Some(Duration::from_millis(1500))).unwrap();
        assert_eq!((head.method.as_str(), head.target()), ("POST", &b"/pkg.Service/Method"[..]));
        assert_eq!(head.authority(), b"a:1");
        let mut fields: Vec<_> = head.fields.iter().collect();
        fields.sort_unstable();
        let wanted = [
            (&b"content-type"[..], &b"application/grpc"[..]),
            (b"grpc-timeout", b"1500m"),
            (b"key-bin", b"AAEC"),
            (b"te", b"trailers"),
            (b"x", b"y"),
        ];
        assert_eq!(fields, wanted);
    }

    #[test]
    fn a_request_without_a_timeout_does_not_speak_of_one() {
        assert_eq!(for_method(b"s", b"m").unwrap().fields.get("grpc-timeout"), None);
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
    fn names_have_any_byte_that_a_path_can_have() {
        for (service, method, wanted) in [
            (&b""[..], &b"m"[..], &b"//m"[..]),
            (b"s", b"", b"/s/"),
            (b"s?", b"m#\xff<", b"/s?/m#\xff<"),
            (b"s s", b"m\r\n\0", b"/s%20s/m%0D%0A%00"),
        ] {
            assert_eq!(for_method(service, method).unwrap().target(), wanted);
        }
    }
}
