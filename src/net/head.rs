//! The head of a request to another service, with the bytes that a filter gave. The types of `http` refuse some that nginx
//! takes from clients, such as `<` in a path, `"` in a query, or a control byte in a value: those are kept beside them. A head
//! of HTTP/1.1 has every byte as it is ([`Head::for_http1`], with what [`Verbatim`](super::verbatim::Verbatim) puts in on the
//! way out), one of HTTP/2 has percent signs where `http` refuses a byte ([`Head::for_http2`]). Host calls make heads, the
//! embedder sends them.

use std::borrow::Cow;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};
use thiserror::Error;

use super::verbatim::Swap;

/// No message of HTTP can say it; the reason is for the log and for the filter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Unsendable(pub String);

/// Fields: headers, trailers, metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields {
    /// What `http` takes.
    plain: HeaderMap,
    /// What it does not, in order, and what follows it under the same name.
    odd: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The beginning of a field, for a message.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned()
}

/// CR, LF and NUL end or cut what they stand in.
fn breaks(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

fn is_control(byte: &u8) -> bool {
    *byte < b' ' || *byte == 0x7f
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// `bytes` with percent signs in place of those that are not `kept`.
fn encoded(bytes: &[u8], kept: impl Fn(&u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for byte in bytes {
        if kept(byte) { out.push(*byte) } else { push_encoded(&mut out, *byte) }
    }
    out
}

fn encoded_name(name: &[u8]) -> Option<HeaderName> {
    HeaderName::from_bytes(&encoded(name, |byte| HeaderName::from_bytes(&[*byte]).is_ok())).ok()
}

fn encoded_value(value: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&encoded(value, |byte| *byte == b'\t' || !is_control(byte))).ok()
}

impl Fields {
    /// Adds a field; `what` is a word for it. Any byte goes that cannot be taken for the end of a name, or of a line.
    pub fn append(&mut self, name: &[u8], value: &[u8], what: &str) -> Result<(), Unsendable> {
        if name.is_empty() || name.iter().any(|byte| *byte == b' ' || *byte == b':' || is_control(byte)) {
            return Err(Unsendable(format!("\"{}\" is no valid name of a {what}", shown(name))));
        }
        if value.iter().any(breaks) {
            return Err(Unsendable(format!("the {what} \"{}\" has a value that cannot be sent", shown(name))));
        }
        let name = name.to_ascii_lowercase();
        let is_behind_odd = self.odd.iter().any(|(odd, _)| *odd == name);
        match (HeaderName::from_bytes(&name), HeaderValue::from_bytes(value)) {
            (Ok(name), Ok(value)) if !is_behind_odd => {
                let added = self.plain.try_append(name, value);
                added.map(|_| ()).map_err(|_| Unsendable(format!("it has too many {what}s")))
            }
            _ => {
                self.odd.push((name, value.to_vec()));
                Ok(())
            }
        }
    }

    /// Puts a field of the host in the place of those of this name.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.plain.insert(name, value);
    }

    /// Removes the fields of this name.
    pub fn remove(&mut self, name: &HeaderName) {
        self.plain.remove(name);
        self.odd.retain(|(odd, _)| odd != name.as_str().as_bytes());
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let plain = self.plain.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        plain.chain(self.odd.iter().map(|(name, value)| (&name[..], &value[..])))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.odd.is_empty()
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    /// With percent signs in place of what `http` refuses.
    pub fn encoded(&self) -> HeaderMap {
        let mut all = self.plain.clone();
        for (name, value) in &self.odd {
            // More than a map holds were refused when they came.
            if let (Some(name), Some(value)) = (encoded_name(name), encoded_value(value)) {
                let _ = all.try_append(name, value);
            }
        }
        all
    }
}

/// What comes before the body of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Any but CONNECT.
    pub method: Method,
    target: Vec<u8>,
    authority: Vec<u8>,
    /// Without `host`, and without anything that says how the message is framed: that is for who sends it.
    pub fields: Fields,
}

/// What `http` has for a request line of HTTP/1.1, if its bytes are those of `target`.
fn as_path(target: &[u8]) -> Option<PathAndQuery> {
    let path = PathAndQuery::try_from(target).ok()?;
    // One that begins with "?" would get a "/", and "#" is cut off.
    (!target.starts_with(b"?") && path.as_str().as_bytes() == target).then_some(path)
}

/// The path and query of a target for HTTP/2, which has no others.
fn path_of(target: &[u8]) -> Option<Cow<'_, [u8]>> {
    match target {
        [b'/' | b'?', ..] | b"*" => return Some(target.into()),
        _ => {}
    }
    // The whole URL: a service takes its path, as it does in a request line.
    let after_scheme = target.windows(3).position(|three| three == b"://")?;
    if after_scheme == 0 || !target[..after_scheme].iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let rest = &target[after_scheme + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let path = &rest[end..];
    Some(if path.starts_with(b"/") { path.into() } else { [b"/", path].concat().into() })
}

/// The path with percent signs where `http` refuses a byte.
fn encoded_path(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + 8);
    let mut is_query = false;
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().bytes() {
            is_query |= letter == b'?';
            let alone: &[u8] = if is_query { &[b'/', b'?', letter] } else { &[b'/', letter] };
            // Letters that are no ASCII are refused alone, but not where they are whole.
            if !letter.is_ascii() || as_path(alone).is_some() {
                out.push(letter);
            } else {
                push_encoded(&mut out, letter);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_encoded(&mut out, *byte));
    }
    out
}

impl Head {
    /// A request for `target`, whatever stands in front of a "/", to `authority`. What a target cannot have, control bytes and
    /// spaces, goes on with percent signs: filters hand on paths of clients that they have decoded, and some take a question
    /// that cannot be asked for a reason to let the client pass.
    pub fn new(method: Method, target: &[u8], authority: &[u8]) -> Result<Head, Unsendable> {
        let bad = |name, value| Unsendable(format!("\"{}\" is no valid \"{name}\"", shown(value)));
        // A tunnel has no answer that could be given to a guest.
        if method == Method::CONNECT {
            return Err(bad(":method", b"CONNECT"));
        }
        if target.is_empty() {
            return Err(bad(":path", target));
        }
        if authority.iter().any(breaks) {
            return Err(bad(":authority", authority));
        }
        let target = encoded(target, |byte| *byte != b' ' && !is_control(byte));
        Ok(Head { method, target, authority: authority.to_vec(), fields: Fields::default() })
    }

    /// What stands in the request line.
    pub fn target(&self) -> &[u8] {
        &self.target
    }

    /// What stands in `host`.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// For HTTP/1.1, with the bytes that are to be changed on the way out, because `http` cannot hold them.
    pub fn for_http1(&self) -> Result<(Request<()>, Vec<Swap>), Unsendable> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.fields.plain.clone();
        let mut lines = Vec::new();
        match HeaderValue::from_bytes(&self.authority) {
            Ok(host) => drop(request.headers_mut().insert(HOST, host)),
            Err(_) => push_line(&mut lines, HOST.as_str().as_bytes(), &self.authority),
        }
        self.fields.odd.iter().for_each(|(name, value)| push_line(&mut lines, name, value));
        let path = as_path(&self.target);
        if let (Some(path), true) = (&path, lines.is_empty()) {
            *request.uri_mut() = Uri::from(path.clone());
            return Ok((request, Vec::new()));
        }
        let mark = mark()?;
        let mut swaps = Vec::new();
        *request.uri_mut() = match path {
            Some(path) => Uri::from(path),
            None => {
                let stand_in = format!("/{mark}");
                let path = PathAndQuery::try_from(&stand_in).map_err(|err| Unsendable(err.to_string()))?;
                swaps.push(Swap { find: stand_in.into_bytes(), put: self.target.clone() });
                Uri::from(path)
            }
        };
        if !lines.is_empty() {
            let name = HeaderName::from_bytes(mark.as_bytes()).map_err(|err| Unsendable(err.to_string()))?;
            let value = HeaderValue::from_str(&mark).map_err(|err| Unsendable(err.to_string()))?;
            request.headers_mut().insert(name, value);
            swaps.push(Swap { find: format!("{mark}: {mark}\r\n").into_bytes(), put: lines });
        }
        Ok((request, swaps))
    }

    /// For HTTP/2, where nothing can be changed on the way out.
    pub fn for_http2(&self, is_tls: bool) -> Result<Request<()>, Unsendable> {
        let bad = |reason| Unsendable(format!("\"{}\" is no \":path\" for HTTP/2: {reason}", shown(&self.target)));
        let path = path_of(&self.target).ok_or_else(|| bad("it does not begin with \"/\"".to_owned()))?;
        let path = PathAndQuery::try_from(encoded_path(&path)).map_err(|err| bad(err.to_string()))?;
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.fields.encoded();
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(path);
        match Authority::try_from(&self.authority[..]) {
            Ok(authority) => {
                parts.authority = Some(authority);
                parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
                *request.version_mut() = Version::HTTP_2;
            }
            // RFC 9113, section 8.3.1: `host` may stand for it. `http` has no scheme without an authority, so that `:scheme`
            // is "http" then.
            Err(_) => {
                let host = encoded_value(&self.authority);
                let host = host.ok_or_else(|| Unsendable("its \":authority\" cannot be sent".to_owned()))?;
                request.headers_mut().insert(HOST, host);
                *request.version_mut() = Version::HTTP_11;
            }
        }
        *request.uri_mut() = Uri::from_parts(parts).map_err(|err| Unsendable(err.to_string()))?;
        Ok(request)
    }
}

fn push_line(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    lines.extend_from_slice(name);
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// What stands in for other bytes on the way out: nobody can guess it, and so have it in a body.
fn mark() -> Result<String, Unsendable> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|err| Unsendable(format!("no random numbers: {err}")))?;
    Ok(format!("x-{:032x}", u128::from_ne_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::verbatim::Verbatim;

    fn head(target: &[u8], authority: &[u8], fields: &[(&[u8], &[u8])]) -> Head {
        let mut head = Head::new(Method::GET, target, authority).unwrap();
        for (name, value) in fields {
            head.fields.append(name, value, "header").unwrap();
        }
        head
    }

    /// What a service reads: the head as `hyper` writes it, changed on the way out. The lines are sorted, behind the first.
    fn sent(head: &Head) -> Vec<Vec<u8>> {
        let (request, swaps) = head.for_http1().unwrap();
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
        request.headers().iter().for_each(|(name, value)| {
            push_line(&mut text, name.as_str().as_bytes(), value.as_bytes());
        });
        let mut verbatim = Verbatim::default();
        let is_changed = !swaps.is_empty();
        verbatim.expect(swaps);
        let rewritten = verbatim.rewrite(&text);
        assert_eq!(rewritten.is_some(), is_changed);
        let text = rewritten.unwrap_or(text);
        let mut lines = Vec::new();
        let mut rest = &text[..];
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            lines.push(rest[..end].to_vec());
            rest = &rest[end + 2..];
        }
        lines[1..].sort();
        lines
    }

    fn first_line(target: &[u8]) -> Vec<u8> {
        sent(&head(target, b"a", &[])).swap_remove(0)
    }

    fn with(before: &[u8], byte: u8, behind: &[u8]) -> Vec<u8> {
        [before, &[byte], behind].concat()
    }

    #[test]
    fn http1_has_every_byte_of_a_path_and_a_query_that_nginx_takes() {
        for byte in (0x21..=0xff).filter(|byte| *byte != 0x7f) {
            for target in [with(b"/a", byte, b"b"), with(b"/?a=", byte, b"b"), with(b"", byte, b"b")] {
                assert_eq!(first_line(&target), [b"GET ", &target[..], b" HTTP/1.1"].concat(), "{byte:#x}");
            }
        }
    }

    #[test]
    fn control_bytes_and_spaces_of_a_path_go_with_percent_signs() {
        for byte in (0..=0x20).chain([0x7f]) {
            let target = with(b"/a", byte, b"b");
            assert_eq!(first_line(&target), format!("GET /a%{byte:02X}b HTTP/1.1").as_bytes());
            assert_eq!(http2(&target).unwrap(), format!("/a%{byte:02X}b"));
            assert_eq!(first_line(&[byte]), format!("GET %{byte:02X} HTTP/1.1").as_bytes());
        }
        assert_eq!(first_line(b"/ HTTP/1.1\r\nx: y\r\n\r\n"), b"GET /%20HTTP/1.1%0D%0Ax:%20y%0D%0A%0D%0A HTTP/1.1");
    }

    #[test]
    fn http1_has_targets_of_any_form() {
        for target in [&b"http://h.example/p?q"[..], b"x", b"?q", b"*", b"/a#b", b"/?#", b"//", b"/a?b?c"] {
            assert_eq!(first_line(target), [b"GET ", target, b" HTTP/1.1"].concat());
        }
        let long = [b"/".as_slice(), &[b'x'; 100_000]].concat();
        assert_eq!(first_line(&long).len(), long.len() + 13);
    }

    #[test]
    fn http1_has_every_byte_of_values_names_and_authorities() {
        for byte in (1..=0xff).filter(|byte| !breaks(byte)) {
            let value = with(b"a", byte, b"b");
            let lines = sent(&head(b"/", &value, &[(b"x", &value)]));
            assert_eq!(lines[1..], [[b"host: ", &value[..]].concat(), [b"x: ", &value[..]].concat()], "{byte:#x}");
        }
        for byte in (0x21..=0xff).filter(|byte| *byte != 0x7f && *byte != b':') {
            let name = with(b"n", byte, b"m").to_ascii_lowercase();
            let lines = sent(&head(b"/", b"a", &[(&name, b"v")]));
            assert!(lines.contains(&[&name[..], b": v"].concat()), "{byte:#x}");
        }
    }

    #[test]
    fn what_ends_a_line_or_a_name_is_refused() {
        for byte in [b'\r', b'\n', 0] {
            let broken = with(b"/a", byte, b"b");
            assert!(Head::new(Method::GET, b"/", &broken).is_err());
            assert!(Fields::default().append(b"x", &broken, "header").is_err());
        }
        assert!(Head::new(Method::GET, b"", b"a").is_err());
        for name in [&b""[..], b"a b", b":path", b"a:", b"a\t", b"a\x7f", b"a\n"] {
            assert!(Fields::default().append(name, b"v", "header").is_err(), "{name:?}");
        }
        assert!(Head::new(Method::CONNECT, b"/", b"a").is_err());
    }

    #[test]
    fn values_of_one_name_keep_their_order() {
        let head = head(b"/", b"a", &[(b"x", b"1"), (b"X", b"\x01"), (b"x", b"3"), (b"y", b"4")]);
        let values: Vec<_> = head.fields.iter().filter(|(name, _)| *name == b"x").map(|(_, value)| value).collect();
        assert_eq!(values, [&b"1"[..], b"\x01", b"3"]);
        let both: Vec<_> = head.fields.encoded().get_all("x").iter().map(|value| value.as_bytes().to_vec()).collect();
        assert_eq!(both, [&b"1"[..], b"%01", b"3"]);
    }

    #[test]
    fn a_field_of_the_host_takes_the_place_of_all_others_of_its_name() {
        let mut fields = Fields::default();
        for value in [&b"1"[..], b"\x01", b"2"] {
            fields.append(b"te", value, "header").unwrap();
        }
        fields.set(http::header::TE, HeaderValue::from_static("trailers"));
        assert_eq!(fields.iter().collect::<Vec<_>>(), [(&b"te"[..], &b"trailers"[..])]);
    }

    fn http2(target: &[u8]) -> Result<String, Unsendable> {
        head(target, b"a", &[])
            .for_http2(false)
            .map(|request| request.uri().path_and_query().unwrap().as_str().to_owned())
    }

    #[test]
    fn http2_has_percent_signs_where_the_library_refuses_a_byte() {
        for (target, wanted) in [
            (&b"/a<b>c`d"[..], "/a%3Cb%3Ec%60d"),
            (b"/\"{}|^\\?\"{}|^\\<>`", "/\"{}|^\\?%22{}|^\\%3C%3E`"),
            (b"/a#b?c#d", "/a%23b?c%23d"),
            (b"/\xc3\xa4?\xc3\xa4", "/\u{e4}?\u{e4}"),
            (b"/\xff?\xc3(", "/%FF?%C3("),
            (b"/%41%", "/%41%"),
            (b"*", "*"),
            (b"http://h.example/p?q", "/p?q"),
            (b"https://h.example", "/"),
            (b"https://h.example?q", "/?q"),
            (b"?q", "?q"),
        ] {
            let path = http2(target).unwrap();
            assert_eq!(path, wanted, "{target:?}");
        }
        for byte in (0x21..=0xff).filter(|byte| *byte != 0x7f) {
            for target in [with(b"/a", byte, b"b"), with(b"/?a=", byte, b"b")] {
                let path = http2(&target).unwrap();
                let wanted = with(&target[..target.len() - 2], byte, b"b");
                let percent = format!("{}%{byte:02X}b", String::from_utf8_lossy(&target[..target.len() - 2]));
                assert!(path.as_bytes() == wanted || path == percent, "{byte:#x}: {path}");
            }
        }
    }

    #[test]
    fn http2_has_no_path_without_a_slash_and_none_that_is_too_long() {
        let reason = http2(b"x").unwrap_err().0;
        assert_eq!(reason, "\"x\" is no \":path\" for HTTP/2: it does not begin with \"/\"");
        assert!(http2(b"://x").is_err() && http2(b"u?v=a://x").is_err());
        assert!(http2(&[b'/'; 70_000]).is_err());
    }

    #[test]
    fn http2_has_percent_signs_in_fields_and_host_in_place_of_an_odd_authority() {
        let request = head(b"/", b"h\"\x01", &[(b"n\"", b"v\x01\xff")]).for_http2(true).unwrap();
        assert_eq!(request.headers()["host"], "h\"%01");
        assert_eq!(request.headers()["n%22"].as_bytes(), b"v%01\xff");
        assert_eq!((request.uri().to_string(), request.version()), ("/".into(), Version::HTTP_11));
        let request = head(b"/p", b"h:1", &[]).for_http2(true).unwrap();
        assert_eq!((request.uri().to_string(), request.version()), ("https://h:1/p".into(), Version::HTTP_2));
        assert!(request.headers().is_empty());
        assert_eq!(head(b"/p", b"h", &[]).for_http2(false).unwrap().uri().scheme_str(), Some("http"));
    }
}
