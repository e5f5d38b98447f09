//! Calls of HTTP, which the plugin waits for. Only hosts that the manifest allows are asked; the host is taken from the URL in the form
//! in which the world gets it, so that nobody can read it otherwise.

use std::net::Ipv6Addr;

use http::header::{Entry, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::Row;
use super::call::{HostCall, arg};
use crate::extism::fields::{Fields, shown};
use crate::extism::state::Answer;
use crate::extism::world::HttpRequest;
use crate::net::target::Target;
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row { name: "http_request", types: ("II", "I"), run: http_request },
    Row { name: "http_status_code", types: ("", "i"), run: http_status_code },
    Row { name: "http_headers", types: ("", "I"), run: http_headers },
];

fn http_request(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let (request, body) = (arg(args, 0), arg(args, 1));
    call.state.answer = Answer::default();
    let request = call.take(request, "request")?;
    let body = match body {
        0 => None,
        body => Some(call.take(body, "body")?),
    };
    let Head { method, uri, headers, host } = Head::parse(&request).map_err(|reason| call.trap(&reason))?;
    let manifest = call.state.settings.manifest.clone();
    if !manifest.allows_host(&host) {
        return Err(call.trap(&format!("the host \"{host}\" is not among \"allowed_hosts\" of the manifest")));
    }
    let most_body = manifest.most_response();
    let until = call.state.watch.until();
    let of = format!("{method} {}", shown(&uri.to_string()));
    let answer = call.world.http(HttpRequest { method, uri, headers, body, most_body, until });
    // Why there is no answer is of no interest then.
    call.go_on()?;
    let answer = answer.map_err(|reason| call.trap(&format!("no answer to {of}: {reason}")))?;
    if answer.body.len() as u64 > most_body {
        return Err(call.trap(&format!(
            "the answer to {of} has a body of more than {most_body} bytes (memory.max_http_response_bytes of the manifest)"
        )));
    }
    call.state.answer = Answer { status: answer.status, headers: answer.headers };
    call.give(&answer.body)
}

fn http_status_code(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.answer.status.into())
}

/// Headers that come several times are joined as a list.
fn http_headers(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    let mut fields = Map::new();
    for (name, value) in &call.state.answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match fields.get_mut(name.as_str()) {
            Some(Value::String(list)) => {
                list.push_str(", ");
                list.push_str(&value);
            }
            _ => {
                fields.insert(name.to_string(), Value::String(value.into_owned()));
            }
        }
    }
    call.give(Value::Object(fields).to_string().as_bytes())
}

/// What a plugin says of a call beside its body.
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// Without brackets.
    host: String,
}

impl Head {
    /// Reads what PDKs write: `{"url", "method", "headers"}`; those of old call the last one `header`.
    fn parse(json: &[u8]) -> Result<Head, String> {
        let value = serde_json::from_slice(json).map_err(|err| format!("its request is no JSON: {err}"))?;
        let mut fields = Fields::of("its request", value)?;
        let url = fields.text("url")?.ok_or("its request has no \"url\"")?;
        let method = fields.text("method")?.unwrap_or_else(|| "GET".to_owned());
        let mut pairs = fields.texts("headers")?;
        pairs.extend(fields.texts("header")?);
        fields.end()?;

        let uri: Uri = url.parse().map_err(|err| format!("\"{}\" is no URL: {err}", shown(&url)))?;
        let host = host(&uri).map_err(|reason| format!("\"{}\" is no URL of HTTP: {reason}", shown(&url)))?;
        let method = method.to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("\"{}\" is no method of HTTP", shown(&method)))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &pairs {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("\"{}\" is no name of a header", shown(name)))?;
            let value = HeaderValue::from_str(value).or_else(|_| HeaderValue::from_bytes(value.as_bytes()));
            let value = value.map_err(|_| {
                format!("the value of header \"{}\" has characters that no header has", shown(name.as_str()))
            })?;
            match headers.try_entry(name) {
                Ok(Entry::Occupied(mut entry)) => entry.append(value),
                Ok(Entry::Vacant(entry)) => {
                    entry.insert(value);
                }
                Err(_) => return Err("it has too many headers".into()),
            }
        }
        Ok(Head { method, uri, headers, host })
    }
}

/// The host that a URL leads to.
fn host(uri: &Uri) -> Result<String, &'static str> {
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it begins with neither \"http://\" nor \"https://\"");
    }
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user in it, which goes into a header \"authorization\"");
    }
    match Target::parse(authority.as_str().as_bytes()) {
        // An address has one spelling then.
        Ok(Target::Host { host, .. }) => Ok(host.parse::<Ipv6Addr>().map_or(host, |address| address.to_string())),
        Ok(Target::Unix(_)) | Err(_) => Err("its host or its port is none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Head, String> {
        Head::parse(json.as_bytes())
    }

    fn host_of(url: &str) -> Result<String, String> {
        parse(&format!(r#"{{"url": "{url}"}}"#)).map(|head| head.host)
    }

    #[test]
    fn a_url_has_one_host() {
        for (url, host) in [
            ("http://example.com", "example.com"),
            ("https://Example.com:8443/a?b=c#d", "Example.com"),
            ("http://127.0.0.1:1/", "127.0.0.1"),
            ("http://[0:0::1]:80/", "::1"),
            ("http://my_service/@evil.com", "my_service"),
            ("http://a.com?x=http://b.com", "a.com"),
        ] {
            assert_eq!(host_of(url).as_deref(), Ok(host), "{url}");
        }
    }

    #[test]
    fn what_leads_to_no_host_is_refused() {
        for url in [
            "",
            "/path",
            "example.com",
            "ftp://a.com/",
            "file:///etc/passwd",
            "http://",
            "http:///a",
            "http://a b/",
            "unix:/a",
            "http://good.com@evil.com/",
            "http://a:b@c.com",
            "http://a:0/",
            "http://a:99999/",
            "http://[::1/",
            "http://a\\\\b/",
            "http://%61.com/",
            "http://a.com\\r\\nx: y/",
            "http://unix:/a",
            "http://*/",
        ] {
            let err = host_of(url).unwrap_err();
            assert!(err.contains("is no URL"), "{url}: {err}");
        }
    }

    #[test]
    fn method_and_headers_are_those_of_http() {
        let head =
            parse(r#"{"url": "http://a", "method": "post", "headers": {"A": "1"}, "header": {"a": "é"}}"#).unwrap();
        assert_eq!(head.method, Method::POST);
        let values: Vec<_> = head.headers.get_all("a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1"[..], "é".as_bytes()]);
        assert_eq!(parse(r#"{"url": "http://a"}"#).unwrap().method, Method::GET);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, message) in [
            ("x", "its request is no JSON: expected value at line 1 column 1"),
            ("{}", "its request has no \"url\""),
            (
                r#"{"url": "http://a", "body": ""}"#,
                "its request has an unknown field \"body\"; known are url, method, headers, header",
            ),
            (r#"{"url": "http://a", "method": "a b"}"#, "\"A B\" is no method of HTTP"),
            (r#"{"url": "http://a", "headers": {"a b": ""}}"#, "\"a b\" is no name of a header"),
            (
                r#"{"url": "http://a", "headers": {"a": "x\r\ny"}}"#,
                "the value of header \"a\" has characters that no header has",
            ),
            (
                r#"{"url": "http://a", "headers": {"a": 1}}"#,
                "\"headers.a\" of its request is 1, but should be a string",
            ),
        ] {
            assert_eq!(parse(json).err().as_deref(), Some(message), "{json}");
        }
    }
}
