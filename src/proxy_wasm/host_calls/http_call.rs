//! `proxy_http_call` and `proxy_get_status`: HTTP requests to other services. Here they are read and checked; the embedder
//! sends them.
//!
//! What filters hand on comes from clients, and a status that says "no call" is taken for a mistake of the filter's own, after
//! which some let a request pass. So a call to a service that there is, with something in it that cannot be sent, is made, and
//! fails as any other does.

use std::time::Duration;

use http::Method;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};

use super::calls::Refusal;
use super::{Denied, Failure, HostCall, Row, Run, args, shown};
use crate::net::head::{Fields, Head, Unsendable};
use crate::net::target;
use crate::proxy_wasm::calls::{CallCommand, HttpCall, Scheme, UnsendableCall};
use crate::proxy_wasm::in_flight::CallKind;
use crate::proxy_wasm::pairs::Encoded;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_http_call",
        types: &[("iiiiiiiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(http_call),
    },
    Row {
        name: "proxy_dispatch_http_call",
        types: &[("iiiiiiiiii", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(http_call),
    },
    Row { name: "proxy_get_status", types: &[("iii", "i")], when_denied: Denied::Fails, run: Run::Status(get_status) },
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
    let target = call.bytes(target, target_len)?;
    let said = Said::read(call.memory().read(headers, headers_len)?, &target);
    let trailers = read_trailers(call.memory().read(trailers, trailers_len)?);
    let said = said.and_then(|said| Ok((said, trailers?)));
    let (said, unsendable) = match said {
        Ok(said) => (Some(said), None),
        Err(Bad::Unsendable(unsendable)) => (None, Some(unsendable)),
        Err(Bad::Refused(refusal)) => return Err(call.refuse(&target, refusal)),
    };
    let mut bytes = target.len();
    if let Some((said, trailers)) = &said {
        bytes += body_len as usize + said.head.target().len() + held(&said.head.fields) + held(trailers);
    }
    let root = call.root_of_call().and_then(|root| {
        call.known(&target, Status::BadArgument)?;
        call.room(bytes)?;
        Ok(root)
    });
    let root = root.map_err(|refusal| call.refuse(&target, refusal))?;
    let body = call.bytes(body, body_len)?;
    let id = call.state.calls.next_id();
    call.put_u32(id_at, id.0)?;
    let stream = call.state.contexts.token_of(call.context());
    let command = match (said, unsendable) {
        (Some((Said { head, scheme }, trailers)), _) => {
            let timeout = duration(timeout);
            CallCommand::Http(HttpCall { id, stream, target, scheme, head, body, trailers, timeout })
        }
        (None, unsendable) => {
            let reason = unsendable.map(|unsendable| unsendable.0).unwrap_or_default();
            CallCommand::Unsendable(UnsendableCall { id, target, reason })
        }
    };
    let made_for = call.state.contexts_of_call();
    call.state.calls.insert(id, root, made_for, CallKind::Http, bytes, command);
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
pub(super) fn held(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD).sum()
}

/// Why a call cannot be as the guest says it.
#[derive(Debug)]
pub(super) enum Bad {
    /// The guest has passed what means nothing, and gets a status.
    Refused(Refusal),
    /// It cannot be sent, and fails.
    Unsendable(Unsendable),
}

impl From<Refusal> for Bad {
    fn from(refusal: Refusal) -> Self {
        Bad::Refused(refusal)
    }
}

impl From<Unsendable> for Bad {
    fn from(unsendable: Unsendable) -> Self {
        Bad::Unsendable(unsendable)
    }
}

pub(super) fn unsendable(reason: impl Into<String>) -> Bad {
    Bad::Unsendable(Unsendable(reason.into()))
}

pub(super) fn bad_scheme(scheme: &[u8]) -> Bad {
    unsendable(format!("\":scheme\" is \"{}\", but must be \"http\", \"https\" or \"h2c\"", shown(scheme)))
}

/// The head of a request, as a guest lists it.
#[derive(Debug)]
struct Said {
    head: Head,
    scheme: Scheme,
}

impl Said {
    fn read(bytes: &[u8], target: &[u8]) -> Result<Said, Bad> {
        let (mut method, mut path, mut authority, mut scheme, mut host) = (None, None, None, None, None);
        let mut fields = Fields::default();
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
                    append(&mut fields, name, value, "header")?;
                    continue;
                }
            };
            if pseudo.replace(value).is_some() {
                return Err(unsendable(format!("it has more than one \"{}\"", shown(name))));
            }
        }
        // A client that has said nothing leaves filters with something empty to hand on.
        let said = |value: Option<_>| value.filter(|value: &&[u8]| !value.is_empty());
        let method = match said(method) {
            None => Method::GET,
            Some(method) => Method::from_bytes(method)
                .map_err(|_| unsendable(format!("\"{}\" is no valid \":method\"", shown(method))))?,
        };
        let path = said(path).unwrap_or(b"/");
        // Envoy takes one for the other, too.
        let authority = said(authority).or(said(host)).unwrap_or(target::authority(target));
        let scheme = match said(scheme) {
            None => Scheme::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => Scheme::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => Scheme::Https,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"h2c") => Scheme::H2c,
            Some(other) => return Err(bad_scheme(other)),
        };
        let mut head = Head::new(method, path, authority)?;
        head.fields = fields;
        Ok(Said { head, scheme })
    }
}

fn read_trailers(bytes: &[u8]) -> Result<Fields, Bad> {
    let mut trailers = Fields::default();
    for pair in pairs(bytes, "trailers")? {
        let (name, value) = pair.map_err(|_| malformed("trailers"))?;
        append(&mut trailers, name, value, "trailer")?;
    }
    // They would say something about the message when it has been sent.
    trailers.remove(&HOST);
    trailers.remove(&TE);
    Ok(trailers)
}

/// The pairs that a guest passes, unless they are more than any request has. What a map of headers takes is no bound: it
/// keeps any number of values of one name.
pub(super) fn pairs<'a>(bytes: &'a [u8], what: &str) -> Result<Encoded<'a>, Bad> {
    const MOST: usize = 1000;
    let pairs = Encoded::new(bytes).map_err(|_| malformed(what))?;
    match pairs.len() {
        0..=MOST => Ok(pairs),
        more => Err(unsendable(format!("it has {more} {what}, and may have {MOST}"))),
    }
}

pub(super) fn malformed(what: &str) -> Refusal {
    Refusal::argument(format!("its {what} are not encoded as the ABI says"))
}

/// Adds a header of a guest, unless it is about the connection or the framing of the message: that is the host's business.
pub(super) fn append(fields: &mut Fields, name: &[u8], value: &[u8], what: &str) -> Result<(), Unsendable> {
    const FRAMING: [HeaderName; 4] = [CONNECTION, TRANSFER_ENCODING, UPGRADE, CONTENT_LENGTH];
    const OLD: [&str; 2] = ["keep-alive", "proxy-connection"];
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let dropped = FRAMING.iter().map(HeaderName::as_str).chain(OLD).any(is)
        || (is(TE.as_str()) && !value.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    if dropped { Ok(()) } else { fields.append(name, value, what) }
}
