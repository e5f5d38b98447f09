//! Programs as CGI has it: what they say before their body, and what they are told about a request.

use std::collections::BTreeSet;

use ngx_wasm::programs::Facts;
use ngx_wasm::programs::{Head, HeadError, HeadParser, Parsed};

/// A byte for the size of pieces, one for the limit, and the output of a program; then the same bytes as a request, a line each
/// (see [`environment`]).
pub fn cgi(data: &[u8]) {
    let [piece, limit, data @ ..] = data else { return };
    head(usize::from(*piece).max(1), usize::from(*limit) * 16, data);
    environment(data);
}

fn head(piece: usize, limit: usize, output: &[u8]) {
    let whole = read([output], limit);
    assert_eq!(whole, read(output.chunks(piece), limit), "a head depends on how the bytes come");
    // In two pieces, one of them perhaps empty.
    let (begin, end) = output.split_at(piece.min(output.len()));
    assert_eq!(whole, read([begin, end], limit), "a head depends on how the bytes come");
    match whole {
        Ok(Parsed { head, body }) => {
            assert!(
                output.ends_with(&body) && output.len() - body.len() <= limit,
                "a block above the limit of {limit}"
            );
            assert!(output[..output.len() - body.len()].ends_with(b"\n"));
            check(&head);
            let written = write(&head);
            let again = read([&written[..]], written.len()).expect("a head as it was understood is a head");
            assert_eq!((again.head, again.body), (Head { dropped: Vec::new(), ..head }, Vec::new()));
        }
        Err(err) => {
            assert_ne!(err, HeadError::Over);
            let message = err.to_string();
            assert!(
                message.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "a line of a log is printable: {message}"
            );
            assert!(message.len() < 800, "a line of a log is short: {message}");
        }
    }
}

/// What comes of these pieces; the body has all that is behind the head.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Result<Parsed, HeadError> {
    let mut parser = HeadParser::new(limit);
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        if let Some(mut parsed) = parser.push(piece)? {
            assert_eq!(parser.push(b"X: y\n\n"), Err(HeadError::Over));
            pieces.for_each(|piece| parsed.body.extend_from_slice(piece));
            return Ok(parsed);
        }
    }
    Err(parser.end())
}

fn check(head: &Head) {
    assert!(head.content_type.is_some() || head.location.is_some() || head.status.is_some(), "no head of CGI");
    assert!(head.status.is_none_or(|status| (200..=599).contains(&status)));
    assert!((200..=599).contains(&head.effective_status()));
    let values = head.fields.iter().map(|(_, value)| &value[..]);
    let location = head.location.as_ref().map(|location| location.as_bytes());
    for value in values.chain([&head.reason[..]]).chain(head.content_type.as_deref()).chain(location) {
        assert!(!value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'), "{}", value.escape_ascii());
    }
    let own =
        ["status", "location", "content-type", "content-length", "connection", "transfer-encoding", "upgrade", "te"];
    let mut once = BTreeSet::new();
    for (name, _) in &head.fields {
        assert!(http::HeaderName::from_bytes(name).is_ok(), "{} is no name", name.escape_ascii());
        let name = name.to_ascii_lowercase();
        assert!(!own.iter().any(|own| own.as_bytes() == name), "{} is among the others", name.escape_ascii());
        if name == b"etag" || name == b"content-range" {
            assert!(once.insert(name), "a field that stands once came twice");
        }
    }
    assert_eq!(head.dropped.iter().collect::<BTreeSet<_>>().len(), head.dropped.len());
}

/// A program that says just this.
fn write(head: &Head) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line = |name: &[u8], value: &[u8]| out.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    if let Some(status) = head.status {
        line(b"Status", &[status.to_string().as_bytes(), b" ", &head.reason].concat());
    }
    if let Some(location) = &head.location {
        line(b"Location", location.as_bytes());
    }
    if let Some(content_type) = &head.content_type {
        line(b"Content-Type", content_type);
    }
    if let Some(length) = head.content_length {
        line(b"Content-Length", length.to_string().as_bytes());
    }
    head.fields.iter().for_each(|(name, value)| line(name, value));
    out.extend_from_slice(b"\r\n");
    out
}

/// The first lines are facts; of the others, those that begin with "+" are the configuration's, and the rest are headers.
fn environment(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut next = || lines.next().unwrap_or_default();
    let facts = Facts {
        method: next(),
        script_name: next(),
        path_info: Some(next()).filter(|line| !line.is_empty()),
        query: next(),
        document_root: next(),
        remote_user: Some(next()),
        content_type: Some(next()),
        content_length: data.len().is_multiple_of(2).then_some(data.len() as u64),
        pass_authorization: data.len().is_multiple_of(3),
        https: data.len().is_multiple_of(5),
        ..Facts::default()
    };
    let (mut headers, mut extra) = (Vec::new(), Vec::new());
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        match name {
            [b'+', name @ ..] => extra.push((name.to_vec(), value.to_vec())),
            _ => headers.push((name, value)),
        }
    }
    let facts = Facts { headers: &headers, extra: &extra, ..facts };
    let environment = facts.environment();
    assert_eq!(environment, facts.environment(), "the same request is told in another order");

    let mut names = BTreeSet::new();
    for variable in &environment {
        assert!(!variable.contains(&0), "{} would be cut", variable.escape_ascii());
        let equals = variable.iter().position(|byte| *byte == b'=').expect("NAME=VALUE");
        assert!(equals > 0 && names.insert(&variable[..equals]), "{} comes twice", variable.escape_ascii());
    }
    let is_added = |name: &[u8]| extra.iter().any(|(added, _)| added == name);
    for name in [&b"GATEWAY_INTERFACE"[..], b"SERVER_PROTOCOL", b"SERVER_NAME", b"REMOTE_ADDR", b"REQUEST_SCHEME"] {
        assert!(names.contains(name) || is_added(name), "{} is missing", name.escape_ascii());
    }
    for name in [&b"HTTP_PROXY"[..], b"HTTP_CONTENT_TYPE", b"HTTP_CONTENT_LENGTH", b"HTTP_TRANSFER_ENCODING"] {
        assert!(!names.contains(name) || is_added(name), "{} is there", name.escape_ascii());
    }
    if !facts.pass_authorization {
        assert!(!names.contains(&b"HTTP_AUTHORIZATION"[..]) || is_added(b"HTTP_AUTHORIZATION"));
    }
    for (name, value) in &extra {
        let is_last = extra.iter().rfind(|(other, _)| other == name).is_some_and(|last| std::ptr::eq(&last.1, value));
        let is_sound = !name.is_empty() && !name.contains(&0) && !name.contains(&b'=') && !value.contains(&0);
        let is_there = environment.contains(&[name, &b"="[..], value].concat());
        assert!(!is_last || is_there == is_sound, "{}", name.escape_ascii());
    }

    // What plain headers say, others cannot change.
    let is_plain = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    let plain: Vec<_> = headers.iter().copied().filter(|(name, _)| is_plain(name)).collect();
    let of_plain = Facts { headers: &plain, ..facts }.environment();
    let all: BTreeSet<_> = environment.iter().collect();
    assert!(
        of_plain.iter().all(|variable| all.contains(variable)),
        "a header of another spelling has changed a plain one"
    );
}
