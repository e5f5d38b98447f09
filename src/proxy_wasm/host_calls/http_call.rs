//! `proxy_http_call` and `proxy_get_status`: HTTP requests to other services. Here they are checked and put into the types
//! of `http`; the embedder sends them.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Uri};

use super::calls::Refusal;
use super::{Failure, HostCall, Row, Run, args, shown};
use crate::proxy_wasm::calls::{CallCommand, HttpCall, Scheme};
use crate::proxy_wasm::in_flight::Kind;
use crate::proxy_wasm::pairs::Encoded;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_http_call", types: &[("iiiiiiiiii", "i")], run: Run::Status(http_call) },
    Row { name: "proxy_dispatch_http_call", types: &[("iiiiiiiiii", "i")], run: Run::Status(http_call) },
    Row { name: "proxy_get_status", types: &[("iii", "i")], run: Run::Status(get_status) },
];

/// What 0 stands for. In Envoy it is no limit at all; here a service that never answers must not hold its place for ever.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the host keeps for a header beside its bytes, roughly.
pub(super) const HEADER_OVERHEAD: usize = 64;

fn http_call(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [target, target_len, headers, headers_len, body, body_len, trailers, trailers_len, timeout, id_at] = args(raw);
    call.memory().check(id_at, 4)?;
    call.memory().check(body, u64::from(body_len))?;
    call.memory().check(trailers, u64::from(trailers_len))?;
    let head = Head::read(call.memory().read(headers, headers_len)?);
    let trailers = read_trailers(call.memory().read(trailers, trailers_len)?);
    let target = call.bytes(target, target_len)?;
    let made = head.and_then(|head| {
        let trailers = trailers?;
        let root = call.root_of_call()?;
        call.known(&target, Status::BadArgument)?;
        let bytes = target.len() + body_len as usize + held(&head.headers) + held(&trailers);
        call.room(bytes)?;
        Ok((head, trailers, root, bytes))
    });
    let (head, trailers, root, bytes) = made.map_err(|refusal| call.refuse(&target, refusal))?;
    let mut request = Request::new(call.bytes(body, body_len)?);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from(head.path);
    *request.headers_mut() = head.headers;
    let id = call.state.calls.next_id();
    call.put_u32(id_at, id.0)?;
    let stream = call.state.contexts.token_of(call.context());
    let timeout = duration(timeout);
    let http = HttpCall { id, stream, target, scheme: head.scheme, request, trailers, timeout };
    let made_for = call.state.contexts_of_call();
    call.state.calls.insert(id, root, made_for, Kind::Http, bytes, CallCommand::Http(http));
    Ok(())
}

/// Inside the callback of a call that failed its code and the reason; otherwise 0 and nothing.
fn get_status(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [code_at, ptr_at, len_at] = args(raw);
    call.memory().check(code_at, 4)?;
    let (code, _) = call.state.calls.status();
    call.give_with(ptr_at, len_at, |call, out| {
        out.extend_from_slice(call.state.calls.status().1);
        Ok(())
    })?;
    Ok(call.put_u32(code_at, code)?)
}

/// A time-out as guests pass it.
pub(super) fn duration(milliseconds: u32) -> Duration {
    match milliseconds {
        0 => DEFAULT_TIMEOUT,
        some => Duration::from_millis(u64::from(some)),
    }
}

/// What the host holds for headers.
pub(super) fn held(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum()
}

/// The head of a request, as a guest lists it.
#[derive(Debug)]
struct Head {
    method: Method,
    path: PathAndQuery,
    scheme: Scheme,
    headers: HeaderMap,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Head, Refusal> {
        let (mut method, mut path, mut authority, mut scheme, mut host) = (None, None, None, None, None);
        let mut headers = HeaderMap::new();
        for pair in pairs(bytes, "headers")? {
            let (name, value) = pair.map_err(|_| malformed("headers"))?;
            let pseudo = match name {
                b":method" => &mut method,
                b":path" => &mut path,
                b":authority" => &mut authority,
                b":scheme" => &mut scheme,
                _ if name.eq_ignore_ascii_case(b"host") => {
                    host = host.or(Some(value));
                    continue;
                }
                _ => {
                    append(&mut headers, name, value, "header")?;
                    continue;
                }
            };
            if pseudo.replace(value).is_some() {
                return Err(Refusal::argument(format!("it has more than one \"{}\"", shown(name))));
            }
        }
        let missing = |name| move || Refusal::argument(format!("it has no \"{name}\""));
        let bad = |name: &str, value: &[u8]| Refusal::argument(format!("\"{}\" is no valid \"{name}\"", shown(value)));
        let method = method.ok_or_else(missing(":method"))?;
        // A tunnel has no answer that could be given to a guest.
        let method = match Method::from_bytes(method) {
            Ok(known) if known != Method::CONNECT => known,
            _ => return Err(bad(":method", method)),
        };
        let path = path.ok_or_else(missing(":path"))?;
        if path.first() != Some(&b'/') && !(path == b"*" && method == Method::OPTIONS) {
            return Err(bad(":path", path));
        }
        let path = PathAndQuery::try_from(path).map_err(|_| bad(":path", path))?;
        // Envoy takes one for the other, too.
        let authority = authority.or(host).ok_or_else(missing(":authority"))?;
        let valid = Authority::try_from(authority).ok().and_then(|_| HeaderValue::from_bytes(authority).ok());
        headers.insert(HOST, valid.ok_or_else(|| bad(":authority", authority))?);
        let scheme = match scheme {
            None => Scheme::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => Scheme::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => Scheme::Https,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"h2c") => Scheme::H2c,
            Some(other) => {
                return Err(Refusal::argument(format!(
                    "\":scheme\" is \"{}\", but must be \"http\", \"https\" or \"h2c\"",
                    shown(other)
                )));
            }
        };
        Ok(Head { method, path, scheme, headers })
    }
}

fn read_trailers(bytes: &[u8]) -> Result<HeaderMap, Refusal> {
    let mut trailers = HeaderMap::new();
    for pair in pairs(bytes, "trailers")? {
        let (name, value) = pair.map_err(|_| malformed("trailers"))?;
        append(&mut trailers, name, value, "trailer")?;
    }
    // They would say something about the message when it has been sent.
    trailers.remove(HOST);
    trailers.remove(TE);
    Ok(trailers)
}

/// The pairs that a guest passes, unless they are more than any request has. What a map of headers takes is no bound: it
/// keeps any number of values of one name.
pub(super) fn pairs<'a>(bytes: &'a [u8], what: &str) -> Result<Encoded<'a>, Refusal> {
    const MOST: usize = 1000;
    let pairs = Encoded::new(bytes).map_err(|_| malformed(what))?;
    match pairs.len() {
        0..=MOST => Ok(pairs),
        more => Err(Refusal::argument(format!("it has {more} {what}, and may have {MOST}"))),
    }
}

pub(super) fn malformed(what: &str) -> Refusal {
    Refusal::argument(format!("its {what} are not encoded as the ABI says"))
}

/// Adds a header of a guest, unless it is about the connection or the framing of the message: that is the host's business.
pub(super) fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8], what: &str) -> Result<(), Refusal> {
    const FRAMING: [HeaderName; 4] = [CONNECTION, TRANSFER_ENCODING, UPGRADE, CONTENT_LENGTH];
    let valid = HeaderName::from_bytes(name)
        .map_err(|_| Refusal::argument(format!("\"{}\" is no valid name of a {what}", shown(name))))?;
    let dropped = FRAMING.contains(&valid)
        || matches!(valid.as_str(), "keep-alive" | "proxy-connection")
        || (valid == TE && !value.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    if dropped {
        return Ok(());
    }
    let value = HeaderValue::from_bytes(value)
        .map_err(|_| Refusal::argument(format!("the {what} \"{valid}\" has a value that cannot be sent")))?;
    match headers.try_append(valid, value) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::argument(format!("it has too many {what}s"))),
    }
}
