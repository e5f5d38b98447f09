//! The trace of a callback (`proxy_wasm_trace`): one line for each host call that it makes, and one for itself. `vm.rs` begins and ends
//! it, and `host_calls/call.rs` has it take the calls, which `host_calls/traced.rs` describes. Lines go to [`Host::trace`].
//!
//! A trace is for whoever looks for what a filter does, in a log that others read too. So it has no bodies and no credentials, and for
//! each callback no more lines than a bound.

use std::time::Instant;

use super::callbacks::Callback;
use super::host::Host;
use super::ids::ContextId;
use super::types::{AbiVersion, Action};
use crate::vm::Trap;

/// So many host calls of a callback have a line.
const MOST_LINES: u64 = 1000;

/// How much of a text is shown.
const MOST_TEXT: usize = 64;

/// Words in the names of what may be a credential, in lower case.
const SECRETS: [&str; 14] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "pass",
    "pwd",
    "credential",
    "key",
    "jwt",
    "session",
    "signature",
    "csrf",
    "xsrf",
    "bearer",
];

/// What has one of them in it and is none.
const NO_SECRET: &str = "authority";

/// That of one callback.
pub(super) struct Trace {
    begin: Instant,
    /// Host calls that it has made.
    calls: u64,
}

/// A callback that has ended.
pub(super) struct Ended<'a> {
    pub callback: Callback,
    pub context: ContextId,
    pub args: &'a [u32],
    pub result: Result<u32, &'a Trap>,
    pub abi: AbiVersion,
}

impl Trace {
    /// The trace of a callback that begins now.
    #[cold]
    pub fn begin() -> Box<Trace> {
        Box::new(Trace { begin: Instant::now(), calls: 0 })
    }

    /// Counts one more host call. Answers whether it has a line.
    pub fn has_line(&mut self) -> bool {
        self.calls += 1;
        self.calls <= MOST_LINES
    }

    /// Writes the line of the callback, and before it how many host calls have none.
    pub fn end(self, ended: &Ended<'_>, host: &mut dyn Host) {
        let took = self.begin.elapsed();
        let Ended { callback, context, args, result, abi } = ended;
        let left_out = self.calls.saturating_sub(MOST_LINES);
        if left_out > 0 {
            host.trace(&format!(
                "context {context}: {left_out} host calls left out, more than {MOST_LINES} in a callback"
            ));
        }
        let named: Vec<_> = names(*callback).iter().zip(*args).map(|(name, value)| format!("{name}={value}")).collect();
        let answer = match result {
            Ok(answer) => answered(*callback, *answer, *abi),
            Err(trap) => Some(format!("trap: {trap}")),
        };
        let answer = answer.map(|answer| format!(" = {answer}")).unwrap_or_default();
        let (name, calls) = (callback.name(), self.calls);
        host.trace(&format!(
            "context {context}: {name}({}){answer}, {calls} host calls, {} us",
            named.join(", "),
            took.as_micros()
        ));
    }
}

/// What the arguments of a callback are.
fn names(callback: Callback) -> &'static [&'static str] {
    use Callback::*;
    match callback {
        Initialize | MainVoid | Start => &[],
        Main => &["argc", "argv"],
        OnMemoryAllocate | Malloc => &["bytes"],
        OnContextCreate => &["context", "parent"],
        OnVmStart | OnConfigure => &["root", "configuration_bytes"],
        OnTick => &["root"],
        OnQueueReady => &["root", "queue"],
        OnRequestHeaders | OnResponseHeaders => &["context", "headers", "end_of_stream"],
        OnRequestBody | OnResponseBody => &["context", "bytes", "end_of_stream"],
        OnRequestTrailers | OnResponseTrailers => &["context", "trailers"],
        OnHttpCallResponse => &["root", "call", "headers", "bytes", "trailers"],
        OnGrpcReceiveInitialMetadata | OnGrpcReceiveTrailingMetadata => &["root", "call", "metadata"],
        OnGrpcReceive => &["root", "call", "bytes"],
        OnGrpcClose => &["root", "call", "status"],
        OnRedisCallResponse => &["root", "call", "status", "bytes"],
        OnDone | OnLog | OnDelete => &["context"],
    }
}

/// What the answer of a callback means; `None`: it has none.
fn answered(callback: Callback, answer: u32, abi: AbiVersion) -> Option<String> {
    use Callback::*;
    let action = |action: Action| if answer <= 1 { format!("{action:?}") } else { format!("{answer} ({action:?})") };
    Some(match callback {
        OnVmStart | OnConfigure | OnDone => (answer != 0).to_string(),
        OnRequestHeaders | OnResponseHeaders => action(Action::of_headers(answer, abi)),
        OnRequestBody | OnResponseBody => action(Action::of_body(answer)),
        OnRequestTrailers | OnResponseTrailers => action(Action::of_trailers(answer)),
        Main | MainVoid | OnMemoryAllocate | Malloc => answer.to_string(),
        _ => return None,
    })
}

/// A text, as it is shown: its beginning, if it is long.
pub(super) fn text(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(MOST_TEXT));
    let shown = shown.escape_ascii();
    if rest.is_empty() { format!("\"{shown}\"") } else { format!("\"{shown}\"... {} bytes", bytes.len()) }
}

/// Whether what has this name may be a credential: a header, or a property, in whose path a name may be.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace(NO_SECRET, "");
    SECRETS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_their_names() {
        for name in [
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "Set-Cookie",
            "x-api-key",
            "X-Amz-Security-Token",
            "X-Auth",
            "www-authenticate",
            "x-basic-pass",
            "arg_pwd",
            "X-XSRF",
            "http_authorization",
            "request\0headers\0cookie",
            "cookie_sid",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in [":authority", "x-original-authority", "content-type", "x-request-id", "source\0address"] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_control_characters_are_escaped() {
        assert_eq!(text(b"a\n\"\xff"), r#""a\n\"\xff""#);
        assert_eq!(text(&[b'x'; 64]), format!("\"{}\"", "x".repeat(64)));
        assert_eq!(text(&[b'x'; 65]), format!("\"{}\"... 65 bytes", "x".repeat(64)));
        assert_eq!(text(b""), "\"\"");
    }
}
