//! The environment of a program: what CGI has of a request, and what `wasm_env` adds.

use ngx_wasm::extism::Level;
use ngx_wasm::programs::{Facts, FunctionRequest, search_words};
use ngx_wasm::proxy_wasm::LogLevel;

use crate::config::loc_conf::LocConf;
use crate::nginx::request::HttpRequest;
use crate::nginx::{headers, location, variables};

/// Arguments of a program; the first is its name. `None`: there is no memory.
pub fn arguments(r: HttpRequest<'_>, name: &[u8]) -> Option<Vec<Vec<u8>>> {
    let loc = &LocConf::of(r).programs;
    let said = loc.arguments.iter().flat_map(|arguments| arguments.iter());
    let mut all = vec![name.to_vec()];
    for argument in said {
        all.push(argument.of(r)?.to_vec());
    }
    if loc.has_query_arguments() && (r.is_get() || r.is_head()) {
        all.append(&mut search_words(&variable(r, b"args")));
    }
    Some(all)
}

/// `NAME=VALUE`, each. `length`: how many bytes the body of the request has, if that is known. `None`: there is no memory.
pub fn of_request(r: HttpRequest<'_>, length: Option<u64>) -> Option<Vec<Vec<u8>>> {
    let loc = &LocConf::of(r).programs;
    let extra = said(r)?;
    let variable = |name: &[u8]| variable(r, name);
    let known = |name: &[u8]| Some(variable(name)).filter(|value| !value.is_empty());
    let (script_name, path_info) = split(r);
    let lines = headers_of(r);
    let lines: Vec<(&[u8], &[u8])> = lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    let content_type =
        lines.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-type")).map(|(_, value)| *value);
    let remote_user = known(b"remote_user");
    let server_name = known(b"server_name").unwrap_or_else(|| variable(b"host"));
    let version = format!("nginx/{}", nginx_version());
    let facts = Facts {
        method: r.method_name(),
        script_name: &script_name,
        path_info: path_info.as_deref(),
        document_root: &variable(b"document_root"),
        script_filename: None,
        query: r.args(),
        request_uri: &variable(b"request_uri"),
        protocol: &variable(b"server_protocol"),
        https: variable(b"https") == b"on",
        server_name: &server_name,
        server_port: &variable(b"server_port"),
        server_addr: &variable(b"server_addr"),
        server_software: version.as_bytes(),
        remote_addr: &variable(b"remote_addr"),
        remote_port: &variable(b"remote_port"),
        remote_user: remote_user.as_deref(),
        auth_type: remote_user.as_ref().map(|_| &b"Basic"[..]),
        content_length: length,
        content_type,
        headers: &lines,
        pass_authorization: loc.passes_authorization(),
        extra: &extra,
    };
    Some(facts.environment())
}

/// The value of a variable of nginx, empty without one.
fn variable(r: HttpRequest<'_>, name: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    variables::get(r, name, &mut value);
    value
}

/// What a function is told of a request; `lowest` is the lowest level at which it is logged. `None`: there is no memory.
pub fn of_function(r: HttpRequest<'_>, lowest: LogLevel) -> Option<FunctionRequest> {
    let loc = &LocConf::of(r).programs;
    let config = said(r)?;
    let mut headers = headers_of(r);
    headers.retain(|(name, _)| loc.passes_authorization() || !is_credentials(name));
    let level = lowest_level(lowest);
    let (method, uri) = (r.method_name().to_vec(), r.unparsed_uri().to_vec());
    Some(FunctionRequest { method, uri, headers, config, level })
}

/// What `wasm_env` says, for this request. `None`: there is no memory.
fn said(r: HttpRequest<'_>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let all = LocConf::of(r).programs.environment.iter().flat_map(|all| all.iter());
    all.map(|(name, value)| Some((name.clone(), value.of(r)?.to_vec()))).collect()
}

/// The headers of a request, its host among them.
fn headers_of(r: HttpRequest<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut lines = Vec::new();
    headers::request::visit(r, &mut |name, value| {
        if name == b":authority" {
            lines.push((b"host".to_vec(), value.to_vec()));
        } else if !name.starts_with(b":") {
            lines.push((name.to_vec(), value.to_vec()));
        }
    });
    lines
}

fn is_credentials(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"authorization") || name.eq_ignore_ascii_case(b"proxy-authorization")
}

/// The least level of plugins that the log takes. `None`: it takes none.
pub fn lowest_level(lowest: LogLevel) -> Option<Level> {
    match lowest {
        LogLevel::Trace => Some(Level::Trace),
        LogLevel::Debug => Some(Level::Debug),
        LogLevel::Info => Some(Level::Info),
        LogLevel::Warn => Some(Level::Warn),
        LogLevel::Error => Some(Level::Error),
        LogLevel::Critical => None,
    }
}

/// The level at which a line is logged.
pub fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

/// Which part of the path is the program's name, and what is behind it.
fn split(r: HttpRequest<'_>) -> (Vec<u8>, Option<Vec<u8>>) {
    let path = r.uri();
    if let Some(split) = &LocConf::of(r).programs.split_path_info {
        return match split.split(path) {
            Some((script_name, path_info)) => (script_name.to_vec(), Some(path_info.to_vec())),
            None => (path.to_vec(), None),
        };
    }
    let Some((prefix, is_exact)) = location::prefix(r) else { return (path.to_vec(), None) };
    if is_exact || !path.starts_with(prefix) {
        return (path.to_vec(), None);
    }
    let name = prefix.strip_suffix(b"/").unwrap_or(prefix);
    let rest = &path[name.len()..];
    // A prefix may end in the middle of a part of the path, which is none that leads to something below it.
    if !rest.is_empty() && !rest.starts_with(b"/") {
        return (path.to_vec(), None);
    }
    (name.to_vec(), Some(rest.to_vec()).filter(|rest| !rest.is_empty()))
}

fn nginx_version() -> std::borrow::Cow<'static, str> {
    nginx_sys::NGINX_VERSION.to_string_lossy()
}
