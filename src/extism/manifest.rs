//! Manifests of Extism: what a plugin may do, and what it is told. `ngx_module` reads the file that a `wasm_function` names, for
//! [`Settings`](super::Settings).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::fields::{Fields, kind};
use super::host_pattern::HostPattern;
use crate::supply;
use crate::wasi::Grant;

/// What the reference host has where the manifest says nothing.
const MOST_VARS: u64 = 1 << 20;
const MOST_RESPONSE: u64 = 50 << 20;

const PAGE: u64 = 64 << 10;
const MOST_PAGES: u64 = 65536;

/// What a manifest says.
pub struct Manifest {
    /// The SHA-256 that its module has, in hexadecimal digits.
    hash: Option<String>,
    memory: Option<usize>,
    most_response: u64,
    most_vars: u64,
    config: BTreeMap<Vec<u8>, Vec<u8>>,
    hosts: Vec<HostPattern>,
    directories: Vec<Grant>,
    timeout: Option<Duration>,
}

/// Why it is no manifest that this host can go by.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ManifestError(String);

impl Default for Manifest {
    fn default() -> Self {
        Manifest {
            hash: None,
            memory: None,
            most_response: MOST_RESPONSE,
            most_vars: MOST_VARS,
            config: BTreeMap::new(),
            hosts: Vec::new(),
            directories: Vec::new(),
            timeout: None,
        }
    }
}

impl Manifest {
    /// Reads a manifest. Paths that are not absolute are below `base`.
    pub fn parse(text: &[u8], base: &Path) -> Result<Manifest, ManifestError> {
        let value = serde_json::from_slice(text).map_err(|err| ManifestError(format!("it is no JSON: {err}")))?;
        read(value, base).map_err(ManifestError)
    }

    /// Fails when the manifest is of another module than this one.
    pub fn check(&self, module: &[u8]) -> Result<(), ManifestError> {
        let Some(wanted) = &self.hash else { return Ok(()) };
        let found = supply::sha256_hex(module);
        if *wanted == found {
            return Ok(());
        }
        Err(ManifestError(format!("the module's SHA-256 is {found}, but the manifest says \"hash\": \"{wanted}\"")))
    }

    /// How long a call of a function may take, as time passes.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The largest memory, in bytes.
    pub fn memory(&self) -> Option<usize> {
        self.memory
    }

    pub(super) fn most_response(&self) -> u64 {
        self.most_response
    }

    /// How many bytes all variables may take together; without any, there are none.
    pub(super) fn most_vars(&self) -> u64 {
        self.most_vars
    }

    pub(super) fn config(&self, name: &[u8]) -> Option<&[u8]> {
        self.config.get(name).map(Vec::as_slice)
    }

    /// Whether a host, without brackets, may be asked.
    pub(super) fn allows_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    pub(super) fn directories(&self) -> &[Grant] {
        &self.directories
    }
}

fn read(value: Value, base: &Path) -> Result<Manifest, String> {
    let mut fields = Fields::of("the manifest", value)?;
    let hash = module(fields.list("wasm")?.unwrap_or_default())?;
    let memory = fields.take("memory").map(|value| Fields::of("\"memory\"", value)).transpose()?;
    let config = fields.texts("config")?.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let hosts = fields.list("allowed_hosts")?.unwrap_or_default().iter().map(host).collect::<Result<_, _>>()?;
    let directories = fields.texts("allowed_paths")?;
    let directories = directories.iter().map(|(host, guest)| grant(host, guest, base)).collect::<Result<_, _>>()?;
    let timeout = fields.number("timeout_ms")?;
    fields.end()?;
    if timeout == Some(0) {
        return Err("\"timeout_ms\" is 0, which is no time; leave it out for any time".into());
    }
    let timeout = timeout.map(Duration::from_millis);
    let mut manifest = Manifest { hash, config, hosts, directories, timeout, ..Manifest::default() };
    if let Some(mut memory) = memory {
        let pages = memory.number("max_pages")?;
        if let Some(pages) = pages.filter(|pages| !(1..=MOST_PAGES).contains(pages)) {
            return Err(format!("\"max_pages\" is {pages}, but should be from 1 to {MOST_PAGES} (of 64 KiB)"));
        }
        manifest.memory = pages.map(|pages| usize::try_from(pages * PAGE).unwrap_or(usize::MAX));
        manifest.most_response = memory.number("max_http_response_bytes")?.unwrap_or(MOST_RESPONSE);
        manifest.most_vars = memory.number("max_var_bytes")?.unwrap_or(MOST_VARS);
        memory.end()?;
    }
    Ok(manifest)
}

/// What is said of the module. Where to find it is said by the configuration of nginx.
fn module(mut list: Vec<Value>) -> Result<Option<String>, String> {
    let Some(value) = list.pop() else { return Ok(None) };
    if !list.is_empty() {
        return Err(format!(
            "\"wasm\" lists {} modules, but a plugin is one module here, that which nginx.conf names; link them to one before",
            list.len() + 1
        ));
    }
    let mut fields = Fields::of("the module in \"wasm\"", value)?;
    for name in ["path", "data", "url", "headers", "method", "name"] {
        fields.take(name);
    }
    let hash = fields.text("hash")?;
    fields.end()?;
    if let Some(hash) = &hash
        && (hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(format!("\"hash\" is \"{hash}\", but should be 64 hexadecimal digits, the SHA-256 of the module"));
    }
    Ok(hash.map(|hash| hash.to_ascii_lowercase()))
}

fn host(value: &Value) -> Result<HostPattern, String> {
    match value {
        Value::String(text) => HostPattern::parse(text),
        other => Err(format!("\"allowed_hosts\" has {} in it, but should be a list of strings", kind(other))),
    }
}

/// A directory that is granted; `ro:` before it keeps it as it is.
fn grant(host: &str, guest: &str, base: &Path) -> Result<Grant, String> {
    let wrong =
        |reason: &str| Err(format!("\"{host}\": \"{guest}\" in \"allowed_paths\" grants no directory: {reason}"));
    let (path, writable) = match host.strip_prefix("ro:") {
        Some(path) => (path, false),
        None => (host, true),
    };
    if path.is_empty() {
        return wrong("it has no path");
    }
    if path.contains('\0') || guest.contains('\0') {
        return wrong("a path has no NUL");
    }
    if !guest.starts_with('/') || guest.split('/').any(|part| matches!(part, "." | "..")) {
        return wrong("the path for the plugin must be absolute, without \".\" and \"..\"");
    }
    let trimmed = guest.trim_end_matches('/');
    let guest = if trimmed.is_empty() { "/" } else { trimmed };
    Ok(Grant { host: base.join(path), guest: guest.into(), writable })
}

#[cfg(test)]
mod tests;
