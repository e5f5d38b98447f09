//! What a program is told about its request: the environment of CGI (RFC 3875, section 4.1). The content handler of the adapter
//! fills in [`Facts`], and gives the program what comes out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::head::HOP_BY_HOP;

/// A request, as nginx knows it. What is empty or `None` makes no variable, if RFC 3875 does not want it all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// As the client wrote it.
    pub method: &'a [u8],
    /// The part of the path that chose the program; empty for all paths.
    pub script_name: &'a [u8],
    /// The rest of the path, decoded, from its "/".
    pub path_info: Option<&'a [u8]>,
    /// The folder of the server's files.
    pub document_root: &'a [u8],
    /// The file of the program.
    pub script_filename: Option<&'a [u8]>,
    /// What stood behind "?", as it was sent.
    pub query: &'a [u8],
    /// Path and query, as they were sent.
    pub request_uri: &'a [u8],
    /// Such as "HTTP/1.1".
    pub protocol: &'a [u8],
    /// Whether the client came through TLS.
    pub https: bool,
    /// The host that was asked.
    pub server_name: &'a [u8],
    /// The port that was asked.
    pub server_port: &'a [u8],
    /// The address that was asked.
    pub server_addr: &'a [u8],
    /// Such as "nginx/1.29.0".
    pub server_software: &'a [u8],
    /// The address of the client.
    pub remote_addr: &'a [u8],
    /// The port of the client.
    pub remote_port: &'a [u8],
    /// Whom the client has shown to be.
    pub remote_user: Option<&'a [u8]>,
    /// How it has: "Basic", for one.
    pub auth_type: Option<&'a [u8]>,
    /// The size of the body; `None` without a body.
    pub content_length: Option<u64>,
    /// The type of the body.
    pub content_type: Option<&'a [u8]>,
    /// All headers, in order.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Whether the program may see what a client proves itself with.
    pub pass_authorization: bool,
    /// What the configuration adds. It stands in the place of any variable of the same name; the last one of a name is taken.
    pub extra: &'a [(Vec<u8>, Vec<u8>)],
}

impl Facts<'_> {
    /// The variables as `NAME=VALUE`, in an order that depends on the request alone: what RFC 3875 names, headers, and then what
    /// the configuration adds. No name comes twice, and there is no NUL: a value with one would reach the program cut, so it does
    /// not reach it at all.
    pub fn environment(&self) -> Vec<Vec<u8>> {
        let added: BTreeSet<&[u8]> = self.extra.iter().map(|(name, _)| &name[..]).collect();
        let mut variables = Vec::new();
        let mut put = |name: &[u8], value: &[u8]| {
            if !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) && !value.contains(&0) {
                variables.push([name, b"=", value].concat());
            }
        };
        for (name, value) in self.of_request() {
            if !added.contains(name.as_bytes()) {
                put(name.as_bytes(), &value);
            }
        }
        for (name, value) in self.of_headers() {
            if !added.contains(&name[..]) {
                put(&name, &value);
            }
        }
        let mut seen = BTreeSet::new();
        let last: Vec<_> = self.extra.iter().rev().filter(|(name, _)| seen.insert(&name[..])).collect();
        last.into_iter().rev().for_each(|(name, value)| put(name, value));
        variables
    }

    /// All but headers and what is added.
    fn of_request(&self) -> Vec<(&'static str, Cow<'_, [u8]>)> {
        let mut variables: Vec<(&'static str, Cow<'_, [u8]>)> = vec![
            // RFC 3875 wants these in each request.
            ("GATEWAY_INTERFACE", b"CGI/1.1".into()),
            ("SERVER_PROTOCOL", self.protocol.into()),
            ("REQUEST_METHOD", self.method.into()),
            ("QUERY_STRING", self.query.into()),
            ("SCRIPT_NAME", self.script_name.into()),
            ("SERVER_NAME", self.server_name.into()),
            ("SERVER_PORT", self.server_port.into()),
            ("SERVER_SOFTWARE", self.server_software.into()),
            ("REMOTE_ADDR", self.remote_addr.into()),
            ("REQUEST_SCHEME", if self.https { b"https".into() } else { b"http".into() }),
        ];
        let mut put = |name, value: Cow<'_, [u8]>| {
            if !value.is_empty() {
                variables.push((name, Cow::Owned(value.into_owned())));
            }
        };
        put("HTTPS", if self.https { b"on".into() } else { b"".into() });
        put("REQUEST_URI", self.request_uri.into());
        put("DOCUMENT_ROOT", self.document_root.into());
        put("SCRIPT_FILENAME", self.script_filename.unwrap_or_default().into());
        put("SERVER_ADDR", self.server_addr.into());
        put("REMOTE_PORT", self.remote_port.into());
        put("REMOTE_USER", self.remote_user.unwrap_or_default().into());
        put("AUTH_TYPE", self.auth_type.unwrap_or_default().into());
        put("CONTENT_TYPE", self.content_type.unwrap_or_default().into());
        let length = self.content_length.map(|length| length.to_string().into_bytes());
        put("CONTENT_LENGTH", length.unwrap_or_default().into());
        let path_info = self.path_info.unwrap_or_default();
        put("PATH_INFO", path_info.into());
        put("PATH_TRANSLATED", self.translated(path_info).into());
        variables
    }

    /// The file that a path means below the server's folder; empty without either.
    fn translated(&self, path_info: &[u8]) -> Vec<u8> {
        if path_info.is_empty() || self.document_root.is_empty() {
            return Vec::new();
        }
        let is_doubled = self.document_root.ends_with(b"/") && path_info.starts_with(b"/");
        let root = if is_doubled { self.document_root.strip_suffix(b"/") } else { None };
        [root.unwrap_or(self.document_root), path_info].concat()
    }

    /// A variable for each header, in the order of the first ones.
    fn of_headers(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut said: Vec<Said<'_>> = Vec::new();
        let mut places = BTreeMap::new();
        for (name, value) in self.headers {
            let variable = variable(name);
            if name.is_empty() || !self.is_for_programs(&variable) {
                continue;
            }
            match places.get(&variable).and_then(|at: &usize| said.get_mut(*at)) {
                Some(before) => before.meet(name, value, separator(&variable)),
                None => {
                    places.insert(variable, said.len());
                    said.push(Said::new(name, value));
                }
            }
        }
        let clear = said.into_iter().filter(|said| !said.is_disputed);
        clear.map(|said| (variable(said.name), said.value)).collect()
    }

    /// Whether a program sees a header under its variable. That is asked of variables, not of headers: another spelling must not
    /// lead around it.
    fn is_for_programs(&self, variable: &[u8]) -> bool {
        match variable {
            // Programs take it for the proxy that the system's owner wants them to use ("httpoxy").
            b"HTTP_PROXY" => false,
            // These have variables of their own.
            b"HTTP_CONTENT_TYPE" | b"HTTP_CONTENT_LENGTH" => false,
            b"HTTP_AUTHORIZATION" | b"HTTP_PROXY_AUTHORIZATION" => self.pass_authorization,
            // They are nginx's: a body reaches the program without its chunks (RFC 3875, section 4.1.18).
            _ => !HOP_BY_HOP.iter().any(|name| letters(name.as_bytes()).eq(variable.iter().copied())),
        }
    }
}

/// What headers say under one variable.
struct Said<'a> {
    name: &'a [u8],
    value: Vec<u8>,
    /// Two names claim it, and neither is the plain one.
    is_disputed: bool,
}

impl<'a> Said<'a> {
    fn new(name: &'a [u8], value: &[u8]) -> Self {
        Said { name, value: value.to_vec(), is_disputed: false }
    }

    /// One more header for the same variable. `X-User` may be what a proxy before us has written; `X_User` is then what its
    /// client wrote to be taken for it. So a name of letters, digits and "-" is right, wherever it stands; of others nobody
    /// knows.
    fn meet(&mut self, name: &'a [u8], value: &[u8], separator: &[u8]) {
        if name.eq_ignore_ascii_case(self.name) {
            self.value.extend_from_slice(separator);
            self.value.extend_from_slice(value);
        } else if is_plain(name) {
            *self = Said::new(name, value);
        } else if !is_plain(self.name) {
            self.is_disputed = true;
        }
    }
}

fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// The variable of a header, letter by letter.
fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    let letter = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
    b"HTTP_".iter().copied().chain(name.iter().map(letter))
}

fn variable(name: &[u8]) -> Vec<u8> {
    letters(name).collect()
}

/// What stands between the values of a header that comes twice. HTTP/2 sends cookies one by one, and their list has semicolons.
fn separator(variable: &[u8]) -> &'static [u8] {
    if variable == b"HTTP_COOKIE" { b"; " } else { b", " }
}

#[cfg(test)]
mod tests;
