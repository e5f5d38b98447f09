//! Formats that cross a border: lists of pairs, replies of Redis, frames of gRPC, names of services, certificates.

use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ngx_wasm::net::head::Fields;
use ngx_wasm::net::target::{Target, istio_host, split_scheme};
use ngx_wasm::proxy_wasm::{Callback, Capabilities, Pairs};
use ngx_wasm::{grpc as wire, redis as resp, x509 as certificate};

/// Lists of pairs: what is decoded comes out of an encoder as it went in.
pub fn pairs(data: &[u8]) {
    if let Ok(pairs) = Pairs::decode(data) {
        assert_eq!(pairs.iter().count(), pairs.len());
        let mut encoded = Vec::new();
        Pairs::encode(pairs.iter(), &mut encoded).expect("a list of a guest's size");
        // An empty list is told by nothing, too; behind a list may be more.
        assert!(data.is_empty() || pairs.is_empty() || data.starts_with(&encoded), "another list came out");
        assert_eq!(Pairs::decode(&encoded), Ok(pairs));
    }
    let mut pairs = Pairs::default();
    let mut rest = data;
    while let [name, value, behind @ ..] = rest {
        let (name, behind) = behind.split_at(usize::from(*name).min(behind.len()));
        let (value, behind) = behind.split_at(usize::from(*value).min(behind.len()));
        pairs.push(name, value);
        rest = behind;
    }
    let mut encoded = Vec::new();
    Pairs::encode(pairs.iter(), &mut encoded).expect("a short list");
    assert_eq!(Pairs::decode(&encoded).as_ref(), Ok(&pairs));
    for len in [encoded.len() - 1, encoded.len() / 2] {
        assert!(Pairs::decode(&encoded[..len]).is_err() || len == 0, "the beginning of a list is taken for one");
    }
}

/// Replies of Redis: where one ends does not depend on how the bytes come; commands, which are looked at in whole.
pub fn redis(data: &[u8]) {
    let [cut, data @ ..] = data else { return };
    const LIMIT: usize = 512;
    let whole = resp::Scanner::new(LIMIT).scan(data);
    if let Ok(Some(len)) = whole {
        assert!(len <= data.len() && len <= LIMIT && len > 0, "a reply of {len} bytes in {}", data.len());
        let _ = resp::error_of(&data[..len]);
        // Byte by byte, and in two pieces.
        let mut scanner = resp::Scanner::new(LIMIT);
        for end in 0..len {
            assert_eq!(scanner.scan(&data[..end]), Ok(None), "{end} bytes of {len} are a reply");
        }
        assert_eq!(scanner.scan(&data[..len]), Ok(Some(len)));
        let mut scanner = resp::Scanner::new(LIMIT);
        let cut = usize::from(*cut) % len;
        assert_eq!(scanner.scan(&data[..cut]), Ok(None));
        assert_eq!(scanner.scan(data), Ok(Some(len)));
    }
    let _ = resp::error_of(data);
    let _ = resp::check(data);
    let (user, password) = data.split_at(usize::from(*cut) % (data.len() + 1));
    for command in [Some(resp::command(&[b"GET", user, password])), resp::auth(user, password)].into_iter().flatten() {
        resp::check(&command).expect("a command of this host's own");
    }
}

/// Frames of gRPC in any pieces; heads and ends of answers; heads of requests.
pub fn grpc(data: &[u8]) {
    const LIMIT: usize = 1024;
    let [piece, data @ ..] = data else { return };
    let decode = |piece: usize| {
        let mut decoder = wire::Decoder::new(LIMIT);
        let mut messages = Vec::new();
        for mut bytes in data.chunks(piece) {
            loop {
                match decoder.next(&mut bytes) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(err) => return (messages, Err(err)),
                }
            }
            assert!(bytes.is_empty(), "the decoder wants more, and has not taken all");
        }
        (messages, decoder.end())
    };
    let whole = decode(data.len().max(1));
    assert_eq!(whole, decode(usize::from(*piece).max(1)), "frames depend on how the bytes come");
    assert!(whole.0.iter().all(|message| message.len() <= LIMIT));

    let framed = wire::frame(data).expect("a short message");
    let mut decoder = wire::Decoder::new(data.len());
    assert_eq!(decoder.next(&mut &framed[..]), Ok(Some(data.to_vec())));

    let mut headers = HeaderMap::new();
    let mut metadata = Fields::default();
    for line in data.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let _ = metadata.append(&line[..colon], value, "entry");
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    assert!(wire::of_trailers(Some(&headers)).status <= 16);
    let status = StatusCode::from_u16(200 + u16::from(*piece)).expect("three digits");
    assert!(wire::of_head(status, &headers, piece % 2 == 0).is_none_or(|outcome| outcome.status <= 16));
    let (service, method) = data.split_at(usize::from(*piece).min(data.len()));
    let timeout = std::time::Duration::from_millis(data.len() as u64 * u64::from(*piece));
    let _ = wire::request(service, method, b"a", metadata, Some(timeout));
}

/// Names of services.
pub fn target(data: &[u8]) {
    let (_, rest) = split_scheme(data);
    assert!(data.ends_with(rest));
    let _ = istio_host(data);
    match Target::parse(data) {
        Ok(Target::Host { host, port }) => {
            assert!(!host.is_empty() && port != Some(0));
            assert!(!host.bytes().any(|byte| byte.is_ascii_control() || byte == b' '), "{host:?} is no host");
        }
        Ok(Target::Unix(path)) => assert!(path.starts_with(b"/")),
        Err(_) => {}
    }
}

/// Words of proxy_wasm_allow.
pub fn capabilities(data: &[u8]) {
    let words = data.split(|byte| *byte == b'\n').take(32);
    match Capabilities::parse(words, Path::new("/base")) {
        Ok(capabilities) => {
            assert!(capabilities.may_have(Callback::OnVmStart), "a filter without its life cycle");
            assert!(capabilities.may_have(Callback::OnMemoryAllocate), "a filter without its allocator");
        }
        Err(reason) => assert!(!reason.is_empty() && reason.len() < 4 * data.len() + 400),
    }
}

/// Certificates of strangers.
pub fn x509(data: &[u8]) {
    if let Some(subject) = certificate::subject(data) {
        assert!(subject.iter().all(|byte| (b' '..=b'~').contains(byte)), "a subject is printable");
    }
    let _ = (certificate::dns_name(data), certificate::uri(data));
    assert_eq!(certificate::sha256(data).len(), 64);
    let _ = certificate::pem(data);
}
