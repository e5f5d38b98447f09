//! Heads of requests to other services: whatever a filter gives, a service reads one request with just that in it.

use http::Method;
use ngx_wasm::net::head::{Fields, Head};
use ngx_wasm::net::verbatim::Verbatim;

/// Target, authority, and fields, each behind a byte that is its length.
pub fn heads(data: &[u8]) {
    let mut parts = Parts(data);
    let (target, authority) = (parts.next(), parts.next());
    let mut fields = Fields::default();
    let mut said = Vec::new();
    while !parts.0.is_empty() {
        let (name, value) = (parts.next(), parts.next());
        // That is the authority's, and no field.
        if !name.eq_ignore_ascii_case(b"host") && fields.append(name, value, "header").is_ok() {
            said.push(line(&name.to_ascii_lowercase(), value));
        }
    }
    let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    let Ok(mut head) = Head::new(Method::GET, target, authority) else {
        assert!(target.is_empty() || breaks(authority), "{target:?} to {authority:?} is refused");
        return;
    };
    assert!(!target.is_empty() && !breaks(authority), "{target:?} to {authority:?}");
    head.fields = fields;
    said.push(line(b"host", authority));

    let (request, swaps) = head.for_http1().expect("any head goes out over HTTP/1.1");
    // As hyper writes it, behind the end of another request.
    let mut text = b"body".to_vec();
    text.extend_from_slice(format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).as_bytes());
    for (name, value) in request.headers() {
        text.extend_from_slice(&line(name.as_str().as_bytes(), value.as_bytes()));
    }
    text.extend_from_slice(b"\r\n");
    let mut verbatim = Verbatim::default();
    verbatim.expect(swaps);
    let text = verbatim.rewrite(&text).unwrap_or(text);
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.pop(), Some(&b"\r\n"[..]));
    let first = lines.remove(0);
    let wanted = [b"bodyGET ", head.target(), b" HTTP/1.1\r\n"].concat();
    assert_eq!(first, wanted);
    assert_eq!(first.iter().filter(|byte| **byte == b' ').count(), 2, "a target has a space");
    assert_eq!(head.target(), encoded(target), "{target:?}");
    lines.sort_unstable();
    said.sort_unstable();
    assert_eq!(lines, said.iter().map(Vec::as_slice).collect::<Vec<_>>());

    if let Ok(request) = head.for_http2(true) {
        let path = request.uri().path_and_query().expect("a path").as_str();
        assert!(path.bytes().all(|byte| byte > b' ' && byte != 0x7f && byte != b'#'), "{path}");
        let hosts = request.headers().get_all("host").iter().count() + usize::from(request.uri().authority().is_some());
        assert_eq!(hosts, 1);
        assert_eq!(request.headers().len() + request.uri().authority().map_or(0, |_| 1), said.len());
    }
}

/// A target as it has to go: what it cannot have, with percent signs, and all else as it is.
fn encoded(target: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in target {
        match byte {
            0..=b' ' | 0x7f => encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            _ => encoded.push(*byte),
        }
    }
    encoded
}

fn line(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, b": ", value, b"\r\n"].concat()
}

struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn next(&mut self) -> &'a [u8] {
        let [len, rest @ ..] = self.0 else { return b"" };
        let (part, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        self.0 = rest;
        part
    }
}
