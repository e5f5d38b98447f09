//! How a call went: from the head of its answer, or from its trailers.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;

use super::code;

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcOutcome {
    /// A code of gRPC; 0 is success.
    pub status: u32,
    /// What the other end says about it, or what this one does.
    pub message: Vec<u8>,
}

impl GrpcOutcome {
    /// An end that this host declares.
    pub fn new(status: u32, message: impl Into<Vec<u8>>) -> Self {
        GrpcOutcome { status, message: message.into() }
    }
}

/// What the head of an answer means when it ends the call: nothing follows it (`is_end`), or what follows is no gRPC. None
/// is an answer with messages to come, and trailers behind them.
pub fn of_head(status: StatusCode, headers: &HeaderMap, is_end: bool) -> Option<GrpcOutcome> {
    let told = told(headers);
    if status != StatusCode::OK {
        // Somebody between the two ends has answered, unless the other end has told more.
        return Some(told.unwrap_or_else(|| of_http(status)));
    }
    if is_end {
        return Some(told.unwrap_or_else(no_status));
    }
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if is_grpc(content_type) {
        return None;
    }
    let content_type = String::from_utf8_lossy(&content_type[..content_type.len().min(100)]);
    Some(GrpcOutcome::new(code::UNKNOWN, format!("the answer is no gRPC: its content-type is \"{content_type}\"")))
}

/// What the end of the messages means; an answer that just stops has no trailers.
pub fn of_trailers(trailers: Option<&HeaderMap>) -> GrpcOutcome {
    trailers.and_then(told).unwrap_or_else(no_status)
}

fn no_status() -> GrpcOutcome {
    GrpcOutcome::new(code::UNKNOWN, "the answer has no grpc-status")
}

fn told(headers: &HeaderMap) -> Option<GrpcOutcome> {
    let status = headers.get("grpc-status")?;
    let message = headers.get("grpc-message").map_or(&b""[..], |message| message.as_bytes());
    let message: Vec<u8> = percent_decode(message).collect();
    let known = status.to_str().ok().and_then(|text| text.parse::<u32>().ok()).filter(|code| *code <= 16);
    Some(match known {
        Some(status) => GrpcOutcome { status, message },
        None if message.is_empty() => {
            let status = String::from_utf8_lossy(status.as_bytes()).chars().take(100).collect::<String>();
            GrpcOutcome::new(code::UNKNOWN, format!("\"{status}\" is no known grpc-status"))
        }
        None => GrpcOutcome { status: code::UNKNOWN, message },
    })
}

fn of_http(status: StatusCode) -> GrpcOutcome {
    GrpcOutcome::new(code::of_http_status(status.as_u16()), format!("the answer has HTTP status {}", status.as_u16()))
}

fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let (begin, rest) = content_type.split_at(GRPC.len().min(content_type.len()));
    begin.eq_ignore_ascii_case(GRPC) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &'static [u8])]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn an_answer_with_messages_goes_on() {
        for content_type in [&b"application/grpc"[..], b"application/grpc+proto", b"Application/gRPC;charset=x"] {
            assert_eq!(of_head(StatusCode::OK, &headers(&[("content-type", content_type)]), false), None);
        }
    }

    #[test]
    fn an_answer_that_is_no_grpc_ends_the_call() {
        for content_type in [&b"text/html"[..], b"application/grpc-web", b"application/grp", b""] {
            let outcome = of_head(StatusCode::OK, &headers(&[("content-type", content_type)]), false).unwrap();
            assert_eq!(outcome.status, code::UNKNOWN);
            let text = String::from_utf8_lossy(content_type).into_owned();
            let message = String::from_utf8(outcome.message).unwrap();
            assert_eq!(message, format!("the answer is no gRPC: its content-type is \"{text}\""));
        }
        assert!(of_head(StatusCode::OK, &HeaderMap::new(), false).is_some());
    }

    #[test]
    fn an_answer_may_be_its_trailers_alone() {
        let told = headers(&[("grpc-status", b"5"), ("grpc-message", b"no%20such%20th%C3%ADng%")]);
        let outcome = of_head(StatusCode::OK, &told, true).unwrap();
        assert_eq!(outcome, GrpcOutcome::new(5, "no such thíng%"));
        let none = of_head(StatusCode::OK, &headers(&[("content-type", b"application/grpc")]), true).unwrap();
        assert_eq!(none, GrpcOutcome::new(code::UNKNOWN, "the answer has no grpc-status"));
    }

    #[test]
    fn an_http_status_is_mapped_unless_grpc_has_one_too() {
        for (status, wanted) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (502, 14),
            (503, 14),
            (504, 14),
            (500, 2),
            (204, 2),
            (302, 2),
        ] {
            let http = StatusCode::from_u16(status).unwrap();
            for is_end in [false, true] {
                let outcome = of_head(http, &HeaderMap::new(), is_end).unwrap();
                assert_eq!(outcome, GrpcOutcome::new(wanted, format!("the answer has HTTP status {status}")));
                let told = of_head(http, &headers(&[("grpc-status", b"9")]), is_end).unwrap();
                assert_eq!(told, GrpcOutcome::new(9, ""));
            }
        }
    }

    #[test]
    fn trailers_say_how_it_went() {
        assert_eq!(of_trailers(Some(&headers(&[("grpc-status", b"0")]))), GrpcOutcome::new(code::OK, ""));
        let told = headers(&[("grpc-status", b"13"), ("grpc-message", b"a\xff")]);
        assert_eq!(of_trailers(Some(&told)), GrpcOutcome::new(13, b"a\xff".to_vec()));
        for missing in [None, Some(&HeaderMap::new())] {
            assert_eq!(of_trailers(missing), GrpcOutcome::new(code::UNKNOWN, "the answer has no grpc-status"));
        }
    }

    #[test]
    fn a_status_that_nobody_knows_is_unknown() {
        for status in [&b"17"[..], b"-1", b"", b"ok", b"99999999999", b"\xff"] {
            let outcome = of_trailers(Some(&headers(&[("grpc-status", status)])));
            assert_eq!(outcome.status, code::UNKNOWN);
            assert!(outcome.message.ends_with(b"is no known grpc-status"));
            let told = headers(&[("grpc-status", status), ("grpc-message", b"why")]);
            assert_eq!(of_trailers(Some(&told)), GrpcOutcome::new(code::UNKNOWN, "why"));
        }
    }
}
