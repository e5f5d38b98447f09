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
mod tests;
