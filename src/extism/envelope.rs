//! Requests and responses of HTTP as JSON, for functions that want more than a body: `wasm_function_mode json`. `ngx_module` makes a
//! function's input with [`Request::encode`], and reads its output with [`Response::decode`].
//!
//! A request is `{"method", "uri", "headers": {name: [value...]}, "body", "base64"}`, a response `{"status", "headers": {name: value or
//! [value...]}, "body", "base64"}`, all of which may be left out there.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use thiserror::Error;

use super::fields::{Fields, kind, shown};

/// A request, as the client made it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, for example.
    pub method: &'a [u8],
    /// Path and query.
    pub uri: &'a [u8],
    /// Names and values, in their order.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// The whole body.
    pub body: &'a [u8],
}

/// A response, as the function makes it. Whether names and values can stand in a header is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Names and values; those of one name are in their order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why an output is no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ResponseError(String);

impl Request<'_> {
    /// The request as JSON. Names of headers are in lower case, so that each is there once. A body that is not UTF-8 is in Base64.
    pub fn encode(&self) -> Vec<u8> {
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.headers {
            headers.entry(text(name).to_ascii_lowercase()).or_default().push(text(value));
        }
        let (body, is_base64) = match std::str::from_utf8(self.body) {
            Ok(body) => (body.to_owned(), false),
            Err(_) => (Base64::encode_string(self.body), true),
        };
        let (method, uri) = (text(self.method), text(self.uri));
        let value = json!({"method": method, "uri": uri, "headers": headers, "body": body, "base64": is_base64});
        value.to_string().into_bytes()
    }
}

/// Text of a head, which may be any bytes: each byte is a character (ISO 8859-1) where they are not UTF-8, so that none is lost.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

impl Response {
    /// Reads what a function gave.
    pub fn decode(output: &[u8]) -> Result<Response, ResponseError> {
        let value = serde_json::from_slice(output);
        let value = value.map_err(|err| ResponseError(format!("its output is no JSON: {err}")))?;
        read(value).map_err(ResponseError)
    }
}

fn read(value: Value) -> Result<Response, String> {
    let mut fields = Fields::of("its output", value)?;
    let status = fields.number("status")?.unwrap_or(200);
    let mut headers = Vec::new();
    for (name, value) in fields.object("headers")?.unwrap_or_default() {
        match value {
            Value::Array(values) => {
                for value in values {
                    headers.push((name.clone(), header(&name, value)?));
                }
            }
            value => headers.push((name.clone(), header(&name, value)?)),
        }
    }
    let body = fields.text("body")?.unwrap_or_default();
    let is_base64 = fields.flag("base64")?.unwrap_or(false);
    fields.end()?;
    let status = u16::try_from(status).ok().filter(|status| (200..=599).contains(status)).ok_or_else(|| {
        format!("\"status\" of its output is {status}, but the status of a response is from 200 to 599")
    })?;
    let body = match is_base64 {
        true => Base64::decode_vec(&body).map_err(|_| {
            "\"body\" of its output is no Base64 (RFC 4648, with padding), but \"base64\" is true".to_owned()
        })?,
        false => body.into_bytes(),
    };
    Ok(Response { status, headers, body })
}

fn header(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(value) => Ok(value),
        other => Err(format!(
            "header \"{}\" of its output is {}, but should be a string, or a list of them",
            shown(name),
            kind(&other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(request: Request<'_>) -> Value {
        serde_json::from_slice(&request.encode()).unwrap()
    }

    fn decoded(output: &str) -> Result<Response, String> {
        Response::decode(output.as_bytes()).map_err(|err| err.to_string())
    }

    #[test]
    fn a_request_has_all_that_the_client_said() {
        let headers: [(&[u8], &[u8]); 4] =
            [(b"Host", b"a"), (b"X-Two", b"1"), (b"x-two", b"2"), (b"Odd", b"\xe9\x00\"")];
        let request = Request { method: b"POST", uri: b"/a?b=%20", headers: &headers, body: "grün\n".as_bytes() };
        let wanted = json!({
            "method": "POST", "uri": "/a?b=%20",
            "headers": {"host": ["a"], "x-two": ["1", "2"], "odd": ["é\u{0}\""]},
            "body": "grün\n", "base64": false,
        });
        assert_eq!(encoded(request), wanted);
    }

    #[test]
    fn a_body_that_is_no_text_is_in_base64() {
        let request = Request { method: b"PUT", uri: b"/", headers: &[], body: b"\xff\xfe\x00" };
        let value = encoded(request);
        assert_eq!((&value["body"], &value["base64"]), (&json!("//4A"), &json!(true)));
    }

    #[test]
    fn a_response_may_leave_all_out() {
        assert_eq!(decoded("{}"), Ok(Response { status: 200, headers: Vec::new(), body: Vec::new() }));
        let nulls = r#"{"status": null, "headers": null, "body": null, "base64": null}"#;
        assert_eq!(decoded(nulls), decoded("{}"));
    }

    #[test]
    fn a_response_has_status_headers_and_body() {
        let output =
            r#"{"status": 404, "headers": {"A": "1", "Set-Cookie": ["x", "y"], "none": []}, "body": "no\u00e9"}"#;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![pair("A", "1"), pair("Set-Cookie", "x"), pair("Set-Cookie", "y")];
        assert_eq!(decoded(output), Ok(Response { status: 404, headers, body: "noé".into() }));
        assert_eq!(decoded(r#"{"body": "//4A", "base64": true}"#).unwrap().body, b"\xff\xfe\x00");
    }

    #[test]
    fn what_is_no_response_is_named() {
        for (output, message) in [
            ("", "its output is no JSON: EOF while parsing a value at line 1 column 0"),
            ("\"x\"", "its output is a string, but should be an object"),
            (
                r#"{"statsu": 200}"#,
                "its output has an unknown field \"statsu\"; known are status, headers, body, base64",
            ),
            (r#"{"status": 199}"#, "\"status\" of its output is 199, but the status of a response is from 200 to 599"),
            (r#"{"status": 600}"#, "\"status\" of its output is 600, but the status of a response is from 200 to 599"),
            (
                r#"{"status": 18446744073709551615}"#,
                "\"status\" of its output is 18446744073709551615, but the status of a response is from 200 to 599",
            ),
            (
                r#"{"status": "200"}"#,
                "\"status\" of its output is a string, but should be a whole number, and not below 0",
            ),
            (r#"{"headers": []}"#, "\"headers\" of its output is a list, but should be an object"),
            (
                r#"{"headers": {"a": 1}}"#,
                "header \"a\" of its output is a number, but should be a string, or a list of them",
            ),
            (
                r#"{"headers": {"a": [null]}}"#,
                "header \"a\" of its output is null, but should be a string, or a list of them",
            ),
            (r#"{"body": {}}"#, "\"body\" of its output is an object, but should be a string"),
            (r#"{"base64": 1}"#, "\"base64\" of its output is 1, but should be true or false"),
        ] {
            assert_eq!(decoded(output).unwrap_err(), message, "{output}");
        }
        for body in ["//4", "/ /4A", "//4A=", "é"] {
            let err = decoded(&format!(r#"{{"body": "{body}", "base64": true}}"#)).unwrap_err();
            assert!(err.starts_with("\"body\" of its output is no Base64"), "{err}");
        }
    }
}
