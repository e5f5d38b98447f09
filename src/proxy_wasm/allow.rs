//! The words of `proxy_wasm_allow`, and what they allow a filter to do.

use std::path::Path;

use super::callbacks::{self, Callback};
use super::capabilities::{Capabilities, Pattern, shown};
use super::{foreign, host_calls};
use crate::wasi::Grant;

/// Host calls that no filter can do without, or that do nothing by themselves. `proxy_set_effective_context` chooses among
/// the filter's own requests, and what is done with them is asked for one by one; SDKs call it before each result of a call.
const FUNCTIONS_FOR_ALL: &[&str] = &[
    "proxy_log",
    "proxy_get_log_level",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_configuration",
    "proxy_get_status",
    "proxy_set_effective_context",
    "proxy_done",
    "abort",
    "emscripten_notify_memory_growth",
    "pthread_equal",
];

/// The life cycle of a filter.
const CALLBACKS_FOR_ALL: &[Callback] = &[
    Callback::Initialize,
    Callback::Main,
    Callback::MainVoid,
    Callback::Start,
    Callback::OnMemoryAllocate,
    Callback::Malloc,
    Callback::OnContextCreate,
    Callback::OnVmStart,
    Callback::OnConfigure,
    Callback::OnDone,
    Callback::OnLog,
    Callback::OnDelete,
];

/// Families that stand for several others.
const GROUPS: &[(&str, &[&str])] = &[("calls", &["http_call", "grpc", "redis"])];

/// Host calls that are one and the same: a word for one allows all.
const ALIASES: &[&[&str]] = &[
    &["proxy_http_call", "proxy_dispatch_http_call"],
    &["proxy_send_local_response", "proxy_send_http_response"],
    &["proxy_continue_stream", "proxy_continue_request", "proxy_continue_response"],
];

/// Foreign functions that do what a host call does. When all of them are allowed together, these go with that host call.
const FOREIGN_FOR_HOST_CALL: &[(&str, &str)] = &[
    ("clear_route_cache", "proxy_clear_route_cache"),
    ("declare_property", "proxy_set_property"),
    ("expr_evaluate", "proxy_get_property"),
    ("set_envoy_filter_state", "proxy_set_property"),
];

const FOREIGN_FUNCTION: &str = "proxy_call_foreign_function";

impl Capabilities {
    /// Reads words; host directories that are no absolute paths are below `base`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>, base: &Path) -> Result<Capabilities, String> {
        let mut all = Capabilities::default();
        let mut any_foreign = false;
        for word in words {
            match split(word) {
                Some((b"host", name)) => all.targets.get_or_insert_default().push(Pattern::parse(name)?),
                Some((b"foreign", name)) => all.foreign.get_or_insert_default().push(foreign_function(name)?),
                Some((b"dir", grant)) => {
                    let grant = Grant::parse(grant, base)?;
                    if all.directories.iter().any(|known| known.guest == grant.guest) {
                        return Err(format!("\"{}\" grants a second directory of this name", shown(word)));
                    }
                    all.directories.push(grant);
                }
                Some(_) => return Err(unknown(word)),
                None => any_foreign |= all.add_name(word)?,
            }
        }
        if any_foreign {
            all.foreign = Some(all.foreign_of_host_calls());
        } else if all.foreign.is_some() && all.functions.is_some() {
            // To name a foreign function is to allow the host call.
            all.allow(&[FOREIGN_FUNCTION]);
        }
        Ok(all)
    }

    /// Takes a callback, a host call, or a family of these. Answers whether it allows all foreign functions.
    fn add_name(&mut self, word: &[u8]) -> Result<bool, String> {
        let Ok(text) = std::str::from_utf8(word) else { return Err(unknown(word)) };
        let name = text.strip_prefix("proxy_").unwrap_or(text);
        let is_it = |known: &str| known.strip_prefix("proxy_").unwrap_or(known) == name;
        if let Some(row) = callbacks::TABLE.iter().find(|row| row.name.starts_with("proxy_") && is_it(row.name)) {
            self.callbacks.get_or_insert_with(|| CALLBACKS_FOR_ALL.to_vec()).push(row.callback);
            return Ok(false);
        }
        let single = [text];
        let families = GROUPS.iter().find(|(group, _)| *group == text).map_or(&single[..], |(_, families)| families);
        let mut named: Vec<&str> = families.iter().flat_map(|family| host_calls::family(family)).collect();
        if let Some(function) = host_calls::functions().find(|known| is_it(known)) {
            named.extend(ALIASES.iter().find(|aliases| aliases.contains(&function)).copied().unwrap_or(&[]));
            named.push(function);
        }
        if named.is_empty() {
            return Err(unknown(word));
        }
        self.allow(&named);
        Ok(named.contains(&FOREIGN_FUNCTION))
    }

    fn allow(&mut self, names: &[&str]) {
        let functions = self.functions.get_or_insert_with(|| {
            host_calls::functions().map(|known| FUNCTIONS_FOR_ALL.contains(&known)).collect::<Vec<_>>()
        });
        for (allowed, known) in functions.iter_mut().zip(host_calls::functions()) {
            *allowed |= names.contains(&known);
        }
    }

    /// All foreign functions but those that do what a host call does which is not allowed; and those that are named.
    fn foreign_of_host_calls(&self) -> Vec<&'static str> {
        let named = self.foreign.as_deref().unwrap_or_default();
        let may = |name: &str| {
            let twin = FOREIGN_FOR_HOST_CALL.iter().find(|(foreign, _)| *foreign == name);
            twin.is_none_or(|(_, function)| host_calls::find("env", function).is_some_and(|n| self.may_run(n)))
        };
        foreign::names().filter(|name| named.contains(name) || may(name)).collect()
    }
}

/// `KEY=VALUE`.
fn split(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = word.iter().position(|byte| *byte == b'=')?;
    Some((&word[..at], &word[at + 1..]))
}

fn foreign_function(name: &[u8]) -> Result<&'static str, String> {
    foreign::names().find(|known| known.as_bytes() == name).ok_or_else(|| {
        let known = foreign::names().collect::<Vec<_>>().join(", ");
        format!("unknown foreign function \"{}\"; known are {known}", shown(name))
    })
}

fn unknown(word: &[u8]) -> String {
    let groups = GROUPS.iter().map(|(group, _)| *group);
    let families = groups.chain(host_calls::families()).collect::<Vec<_>>().join(", ");
    format!(
        "unknown word \"{}\"; known are host=NAME, dir=PATH, foreign=NAME, names of callbacks and of host calls such as \
         on_request_headers and get_property, and families of host calls: {families}",
        shown(word)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Capabilities, String> {
        Capabilities::parse(words.iter().map(|word| word.as_bytes()), Path::new("/base"))
    }

    /// The host calls that these words allow.
    fn functions(words: &[&str]) -> Vec<&'static str> {
        let all = parse(words).unwrap();
        host_calls::functions().filter(|name| all.may_run(host_calls::find("env", name).unwrap())).collect()
    }

    fn matches(pattern: &str, target: &str) -> bool {
        parse(&[&format!("host={pattern}")]).unwrap().may_call(target.as_bytes())
    }

    #[test]
    fn nothing_said_allows_everything_but_directories() {
        let all = parse(&[]).unwrap();
        assert!(host_calls::functions().all(|name| all.may_run(host_calls::find("env", name).unwrap())));
        assert!(callbacks::TABLE.iter().all(|row| all.may_have(row.callback)));
        assert!(all.may_call(b"anything") && all.may_run_foreign(b"compress"));
        assert!(all.directories().is_empty());
        assert_eq!(all, Capabilities::default());
    }

    #[test]
    fn a_word_restricts_its_own_kind_only() {
        let all = parse(&["host=auth"]).unwrap();
        assert_eq!((&all.functions, &all.callbacks, &all.foreign), (&None, &None, &None));
        let all = parse(&["on_request_headers"]).unwrap();
        assert_eq!((&all.functions, &all.targets, &all.foreign), (&None, &None, &None));
        let all = parse(&["get_property"]).unwrap();
        assert_eq!((&all.callbacks, &all.targets, &all.foreign), (&None, &None, &None));
        let all = parse(&["foreign=compress"]).unwrap();
        assert_eq!((&all.functions, &all.callbacks, &all.targets), (&None, &None, &None));
        let all = parse(&["dir=/data"]).unwrap();
        assert_eq!(Capabilities { directories: Vec::new(), ..all }, Capabilities::default());
    }

    #[test]
    fn what_every_filter_needs_is_always_allowed() {
        let mut wanted = FUNCTIONS_FOR_ALL.to_vec();
        let mut found = functions(&["log"]);
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted);
        let all = parse(&["on_tick"]).unwrap();
        let have: Vec<_> = callbacks::TABLE.iter().map(|row| row.callback).filter(|row| all.may_have(*row)).collect();
        assert_eq!(have.len(), CALLBACKS_FOR_ALL.len() + 1);
        assert!(have.contains(&Callback::OnTick) && CALLBACKS_FOR_ALL.iter().all(|known| have.contains(known)));
    }

    #[test]
    fn the_functions_of_wasi_are_always_there() {
        let all = parse(&["log"]).unwrap();
        assert!(all.may_run(host_calls::find("wasi_snapshot_preview1", "fd_write").unwrap()));
    }

    #[test]
    fn words_add_up_and_may_have_the_prefix() {
        let both = functions(&["get_property", "proxy_set_property"]);
        assert_eq!(both.len(), FUNCTIONS_FOR_ALL.len() + 2);
        assert!(both.contains(&"proxy_get_property") && both.contains(&"proxy_set_property"));
        assert_eq!(parse(&["proxy_on_tick"]), parse(&["on_tick"]));
    }

    #[test]
    fn a_family_is_a_file_of_host_calls() {
        let found = functions(&["header_maps"]);
        assert_eq!(found.len(), FUNCTIONS_FOR_ALL.len() + 7);
        assert!(found.contains(&"proxy_get_header_map_value") && !found.contains(&"proxy_get_property"));
        let calls = functions(&["calls"]);
        for name in ["proxy_http_call", "proxy_dispatch_http_call", "proxy_grpc_stream", "proxy_redis_init"] {
            assert!(calls.contains(&name), "{name}");
        }
        assert!(!calls.contains(&"proxy_set_property"));
    }

    #[test]
    fn a_word_for_a_host_call_allows_its_other_names() {
        for (word, name) in [
            ("dispatch_http_call", "proxy_http_call"),
            ("http_call", "proxy_dispatch_http_call"),
            ("send_local_response", "proxy_send_http_response"),
            ("continue_stream", "proxy_continue_request"),
        ] {
            assert!(functions(&[word]).contains(&name), "{word}");
        }
        assert!(!functions(&["continue_stream"]).contains(&"proxy_close_stream"));
    }

    #[test]
    fn a_foreign_function_is_allowed_by_name_or_with_all() {
        let one = parse(&["foreign=compress"]).unwrap();
        assert!(one.may_run_foreign(b"compress") && !one.may_run_foreign(b"uncompress"));
        let with_others = functions(&["get_property", "foreign=compress"]);
        assert!(with_others.contains(&FOREIGN_FUNCTION));
        let all = parse(&["foreign_function"]).unwrap();
        assert!(all.may_run_foreign(b"compress"));
        assert_eq!(all.may_run_foreign(b"verify_signature"), cfg!(feature = "signatures"));
    }

    #[test]
    fn a_foreign_function_is_no_way_around_a_host_call() {
        let all = parse(&["foreign_function"]).unwrap();
        for (name, _) in FOREIGN_FOR_HOST_CALL {
            assert!(!all.may_run_foreign(name.as_bytes()), "{name}");
        }
        let all = parse(&["call_foreign_function", "get_property"]).unwrap();
        assert_eq!(all.may_run_foreign(b"expr_evaluate"), cfg!(feature = "cel"));
        assert!(!all.may_run_foreign(b"set_envoy_filter_state"));
        let all = parse(&["foreign_function", "foreign=set_envoy_filter_state"]).unwrap();
        assert!(all.may_run_foreign(b"set_envoy_filter_state"));
        assert_eq!(all.may_run_foreign(b"sign"), cfg!(feature = "signatures"));
        let left_out = |name| !cfg!(feature = "cel") && name == "expr_evaluate";
        assert!(FOREIGN_FOR_HOST_CALL.iter().all(|(name, function)| {
            let is_known = foreign::names().any(|known| known == *name) || left_out(*name);
            is_known && host_calls::find("env", function).is_some()
        }));
    }

    #[test]
    fn a_word_that_is_not_known_is_named() {
        for word in ["frobnicate", "host_call", "malloc", "_start", "proxy_", "", "fd_write", "key=value", "\u{e9}"] {
            let err = parse(&[word]).unwrap_err();
            assert!(err.starts_with(&format!("unknown word \"{word}\"; known are ")), "{err}");
            assert!(err.contains("calls, log, time, buffers"), "{err}");
        }
        assert!(Capabilities::parse([&b"\xff"[..]], Path::new("/")).is_err());
        let err = parse(&["foreign=shell"]).unwrap_err();
        assert!(err.starts_with("unknown foreign function \"shell\"; known are clear_route_cache, compress"), "{err}");
        let err = parse(&["dir=/a:/x", "dir=/b:/x"]).unwrap_err();
        assert_eq!(err, "\"dir=/b:/x\" grants a second directory of this name");
    }

    #[test]
    fn names_of_services_are_compared_whatever_their_spelling() {
        for target in [
            "auth",
            "AUTH",
            "auth.",
            "auth:8080",
            "http://auth",
            "grpcs://auth:1",
            "outbound|80||auth",
            "outbound|80|v1|Auth.",
        ] {
            assert!(matches("auth", target), "{target}");
            assert!(matches("*", target), "{target}");
        }
        for target in
            ["", "autho", "xauth", "auth.example", "unix:/auth", "auth|80||evil", "auth:0", "auth:x", "evil:80"]
        {
            assert!(!matches("auth", target), "{target}");
        }
        assert!(matches("outbound|80||auth", "auth:80") && matches("auth:80", "outbound|80||auth"));
    }

    #[test]
    fn a_port_that_is_said_must_be_the_same() {
        assert!(matches("auth:80", "auth:80"));
        assert!(!matches("auth:80", "auth:81") && !matches("auth:80", "auth"));
        assert!(matches("*.example.com:443", "a.example.com:443"));
        assert!(!matches("*.example.com:443", "a.example.com:80"));
    }

    #[test]
    fn a_scheme_that_is_said_must_be_the_same() {
        assert!(matches("https://auth", "https://auth") && matches("https://auth", "grpcs://auth:443"));
        assert!(!matches("https://auth", "auth") && !matches("https://auth", "http://auth"));
        assert!(matches("https://*", "https://any") && !matches("https://*", "any"));
    }

    #[test]
    fn a_suffix_stands_for_names_below_it() {
        for target in ["a.example.com", "a.b.example.com:1", "A.Example.Com.", "outbound|80||a.example.com"] {
            assert!(matches("*.example.com", target), "{target}");
        }
        for target in [
            "example.com",
            ".example.com",
            "aexample.com",
            "a.example.com.evil",
            "unix:/a.example.com",
            "a b.example.com",
        ] {
            assert!(!matches("*.example.com", target), "{target}");
        }
    }

    #[test]
    fn addresses_have_one_meaning() {
        assert!(matches("[::1]:80", "[0:0:0:0:0:0:0:1]:80") && matches("::1", "[::1]:7") && matches("[::1]", "[::1]"));
        assert!(!matches("::1", "[::2]") && !matches("127.0.0.1", "[::ffff:127.0.0.1]:80"));
        assert!(matches("127.0.0.1", "127.0.0.1:1") && !matches("127.0.0.1", "127.1"));
        assert!(matches("unix:/run/a", "unix:/run/a") && !matches("unix:/run/a", "unix:/run/a/../b"));
    }

    #[test]
    fn an_upstream_may_have_any_name() {
        assert!(matches("a+b", "a+b") && matches("a+b", "A+B") && !matches("a+b", "a+c"));
    }

    #[test]
    fn a_pattern_that_is_no_service_is_refused() {
        for (word, reason) in [
            ("host=", "the name is empty"),
            ("host=a:0", "the port must be a number from 1 to 65535"),
            ("host=http://a/b", "it is a name or an address, without a path"),
            ("host=a*", "\"*\" stands alone, or as \"*.\" before a name"),
            ("host=*.", "behind \"*.\" comes the name of a host"),
            ("host=*.a b", "behind \"*.\" comes the name of a host"),
            ("host=unix:a", "\"unix:\" needs an absolute path"),
        ] {
            assert_eq!(parse(&[word]), Err(format!("\"{word}\" is no service: {reason}")));
        }
    }
}
