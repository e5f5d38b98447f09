//! What a filter may do: what `allow.rs` has read once for a configuration, asked for each host call.
//!
//! Four lists, of host calls, foreign functions, callbacks, and targets of calls: each allows everything until a word of its
//! kind is said, and only what is said from then on. Directories are granted one by one. `host_calls` asks before it runs a
//! function, `Vm` before it takes a callback for one that the module has, and `wasi::files` opens the directories.

use super::callbacks::Callback;
use crate::net::target::{self, Target, TargetError};
use crate::wasi::Grant;

/// What one filter may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// By the number of the function; those behind the end are WASI's, which are always there.
    pub(super) functions: Option<Vec<bool>>,
    pub(super) foreign: Option<Vec<&'static str>>,
    pub(super) callbacks: Option<Vec<Callback>>,
    pub(super) targets: Option<Vec<Pattern>>,
    pub(super) directories: Vec<Grant>,
}

impl Capabilities {
    /// Whether the host call of this number may be made.
    pub(super) fn may_run(&self, function: u32) -> bool {
        self.functions.as_ref().is_none_or(|allowed| allowed.get(function as usize).copied().unwrap_or(true))
    }

    /// Whether this foreign function may be called.
    pub(super) fn may_run_foreign(&self, name: &[u8]) -> bool {
        self.foreign.as_ref().is_none_or(|allowed| allowed.iter().any(|known| known.as_bytes() == name))
    }

    /// Whether this callback is run.
    pub fn may_have(&self, callback: Callback) -> bool {
        self.callbacks.as_ref().is_none_or(|allowed| allowed.contains(&callback))
    }

    /// Whether calls may go to a service of this name, as the guest writes it.
    pub fn may_call(&self, target: &[u8]) -> bool {
        self.targets.as_ref().is_none_or(|allowed| allowed.iter().any(|pattern| pattern.matches(target)))
    }

    /// The directories that are granted.
    pub(crate) fn directories(&self) -> &[Grant] {
        &self.directories
    }
}

/// A name of services, in a form that has one spelling for each.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Host {
        host: String,
        port: Option<u16>,
    },
    Unix(Vec<u8>),
    /// A name that only an `upstream` can have.
    Other(Vec<u8>),
}

impl Name {
    fn of(target: &[u8]) -> Result<Name, TargetError> {
        match Target::parse(target) {
            Ok(Target::Host { host, port }) => Ok(Name::Host { host: canonical(&host), port }),
            Ok(Target::Unix(path)) => Ok(Name::Unix(path)),
            Err(TargetError::Host) => Ok(Name::Other(target.to_ascii_lowercase())),
            Err(err) => Err(err),
        }
    }
}

/// Names of hosts differ neither by case nor by the dot that ends them; addresses have many spellings.
fn canonical(host: &str) -> String {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    }
}

/// Services that calls may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What the name must say of the scheme: as `target::split_scheme` has it; `None` is anything.
    scheme: Option<bool>,
    names: Names,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    All,
    One(Name),
    /// The names that end with this one, and with a dot before it.
    Below {
        suffix: String,
        port: Option<u16>,
    },
}

impl Pattern {
    pub fn parse(word: &[u8]) -> Result<Pattern, String> {
        let wrong = |reason: &str| format!("\"host={}\" is no service: {reason}", shown(word));
        let (scheme, name) = target::split_scheme(word);
        if name == b"*" {
            return Ok(Pattern { scheme, names: Names::All });
        }
        if let Some(suffix) = name.strip_prefix(b"*.") {
            let Ok(Name::Host { host: suffix, port }) = Name::of(suffix) else {
                return Err(wrong("behind \"*.\" comes the name of a host"));
            };
            return Ok(Pattern { scheme, names: Names::Below { suffix: format!(".{suffix}"), port } });
        }
        // Brackets are for a port to stand behind; without one they may be left out.
        let bare = std::str::from_utf8(name).ok().and_then(|text| text.parse::<std::net::Ipv6Addr>().ok());
        let name = match bare {
            Some(address) => Name::Host { host: address.to_string(), port: None },
            None => Name::of(name).map_err(|err| wrong(&err.to_string()))?,
        };
        match &name {
            Name::Other(other) if other.contains(&b'/') => Err(wrong("it is a name or an address, without a path")),
            Name::Other(other) if other.contains(&b'*') => Err(wrong("\"*\" stands alone, or as \"*.\" before a name")),
            _ => Ok(Pattern { scheme, names: Names::One(name) }),
        }
    }

    fn matches(&self, target: &[u8]) -> bool {
        let (scheme, name) = target::split_scheme(target);
        if self.scheme.is_some() && self.scheme != scheme {
            return false;
        }
        let is_port = |port: &Option<u16>, of_target: Option<u16>| port.is_none() || *port == of_target;
        match (&self.names, Name::of(name)) {
            (Names::All, _) => true,
            (Names::One(Name::Host { host, port }), Ok(Name::Host { host: name, port: at })) => {
                *host == name && is_port(port, at)
            }
            (Names::Below { suffix, port }, Ok(Name::Host { host: name, port: at })) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str()) && is_port(port, at)
            }
            (Names::One(one), Ok(name)) => *one == name,
            _ => false,
        }
    }
}

/// A word, for a message.
pub(super) fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
