//! Names of services, as filters write them: `upstream` blocks, `host:port`, `unix:/path`, and clusters of Istio and Higress.
//! `ngx_module` looks for an `upstream` first, and then goes by this.

use std::net::Ipv6Addr;

use thiserror::Error;

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name or an address, without brackets, and its port when it says one.
    Host {
        /// The name.
        host: String,
        /// 1 to 65535.
        port: Option<u16>,
    },
    /// A socket in the file system.
    Unix(Vec<u8>),
}

/// It is no name of a service.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// There is nothing.
    #[error("the name is empty")]
    Empty,
    /// Behind `unix:` comes no absolute path.
    #[error("\"unix:\" needs an absolute path")]
    Path,
    /// What stands behind the colon is no port.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// Not the letters of which host names are made.
    #[error("it is no name of a host")]
    Host,
}

/// How a name asks for TLS, by what stands before it, and the rest: `grpcs://name`, `https://name`.
pub fn split_scheme(name: &[u8]) -> (Option<bool>, &[u8]) {
    for (prefix, tls) in [("grpc://", false), ("grpcs://", true), ("http://", false), ("https://", true)] {
        if let Some(rest) = name.strip_prefix(prefix.as_bytes()) {
            return (Some(tls), rest);
        }
    }
    (None, name)
}

/// The service that `outbound|PORT|SUBSET|HOST` speaks of.
pub fn istio_host(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = name.split(|byte| *byte == b'|');
    let (_direction, port, _subset, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some((host, port))
}

/// What a service is called in `:authority` when the filter does not say it: its name, if that can be one of a host.
pub fn authority(name: &[u8]) -> &[u8] {
    let name = split_scheme(name).1;
    let host = istio_host(name).map_or(name, |(host, _)| host);
    match name.starts_with(b"unix:") || http::uri::Authority::try_from(host).is_err() {
        true => b"localhost",
        false => host,
    }
}

impl Target {
    /// Reads a name.
    pub fn parse(name: &[u8]) -> Result<Target, TargetError> {
        if name.is_empty() {
            return Err(TargetError::Empty);
        }
        if let Some(path) = name.strip_prefix(b"unix:") {
            if !path.starts_with(b"/") || path.contains(&0) {
                return Err(TargetError::Path);
            }
            return Ok(Target::Unix(path.to_vec()));
        }
        if let Some((host, port)) = istio_host(name) {
            return Ok(Target::Host { host: host_name(host)?, port: Some(port_number(port)?) });
        }
        if let Some(rest) = name.strip_prefix(b"[") {
            let end = rest.iter().position(|byte| *byte == b']').ok_or(TargetError::Host)?;
            let host = std::str::from_utf8(&rest[..end]).map_err(|_| TargetError::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| TargetError::Host)?;
            let port = match &rest[end + 1..] {
                [] => None,
                [b':', port @ ..] => Some(port_number(port)?),
                _ => return Err(TargetError::Port),
            };
            return Ok(Target::Host { host: host.to_owned(), port });
        }
        match name.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let (host, port) = (&name[..colon], &name[colon + 1..]);
                Ok(Target::Host { host: host_name(host)?, port: Some(port_number(port)?) })
            }
            None => Ok(Target::Host { host: host_name(name)?, port: None }),
        }
    }
}

fn port_number(digits: &[u8]) -> Result<u16, TargetError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(TargetError::Port);
    }
    let port = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    port.filter(|port| *port > 0).ok_or(TargetError::Port)
}

/// Letters, digits, hyphens and dots; names in service directories have underscores too. RFC 1035 allows 253 of them.
fn host_name(name: &[u8]) -> Result<String, TargetError> {
    const LONGEST: usize = 253;
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.is_empty() || name.len() > LONGEST || name.starts_with(b".") || !name.iter().all(is_allowed) {
        return Err(TargetError::Host);
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, port: impl Into<Option<u16>>) -> Result<Target, TargetError> {
        Ok(Target::Host { host: host.to_owned(), port: port.into() })
    }

    #[test]
    fn hosts_may_have_a_port() {
        assert_eq!(Target::parse(b"example.com"), host("example.com", None));
        assert_eq!(Target::parse(b"example.com:8080"), host("example.com", 8080));
        assert_eq!(Target::parse(b"127.0.0.1:1"), host("127.0.0.1", 1));
        assert_eq!(Target::parse(b"my_service"), host("my_service", None));
    }

    #[test]
    fn addresses_of_ipv6_stand_in_brackets() {
        assert_eq!(Target::parse(b"[::1]:80"), host("::1", 80));
        assert_eq!(Target::parse(b"[::1]"), host("::1", None));
        assert_eq!(Target::parse(b"[::1]x"), Err(TargetError::Port));
        assert_eq!(Target::parse(b"[example.com]:80"), Err(TargetError::Host));
        assert_eq!(Target::parse(b"::1"), Err(TargetError::Host));
    }

    #[test]
    fn sockets_have_absolute_paths() {
        assert_eq!(Target::parse(b"unix:/run/a.sock"), Ok(Target::Unix(b"/run/a.sock".to_vec())));
        assert_eq!(Target::parse(b"unix:a.sock"), Err(TargetError::Path));
        assert_eq!(Target::parse(b"unix:/a\0b"), Err(TargetError::Path));
    }

    #[test]
    fn clusters_of_istio_say_host_and_port() {
        assert_eq!(Target::parse(b"outbound|6379||redis.static"), host("redis.static", 6379));
        assert_eq!(Target::parse(b"outbound|80|v1|a.b.svc.cluster.local"), host("a.b.svc.cluster.local", 80));
        assert_eq!(Target::parse(b"outbound|x||host"), Err(TargetError::Port));
        assert_eq!(Target::parse(b"outbound|80||"), Err(TargetError::Host));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [&b"a b"[..], b"http://x/", b"a/b", b"\xff", b".x", b"a\0", b":80"] {
            assert!(Target::parse(name).is_err(), "{name:?}");
        }
        for name in [&b"a:"[..], b"a:0", b"a:65536", b"a:1x", b"a:-1", b"a:+1"] {
            assert_eq!(Target::parse(name), Err(TargetError::Port), "{name:?}");
        }
        assert_eq!(Target::parse(b""), Err(TargetError::Empty));
    }

    #[test]
    fn a_scheme_before_the_name_asks_for_tls_or_not() {
        assert_eq!(split_scheme(b"grpcs://a:1"), (Some(true), &b"a:1"[..]));
        assert_eq!(split_scheme(b"http://a"), (Some(false), &b"a"[..]));
        assert_eq!(split_scheme(b"a"), (None, &b"a"[..]));
    }

    #[test]
    fn a_service_is_called_by_its_own_name() {
        for (name, wanted) in [
            (&b"https://a.example:8443"[..], &b"a.example:8443"[..]),
            (b"auth", b"auth"),
            (b"unix:/run/a.sock", b"localhost"),
            (b"outbound|80||a.static", b"a.static"),
            (b"grpc://outbound|80||a.static", b"a.static"),
            (b"the one", b"localhost"),
        ] {
            assert_eq!(authority(name), wanted);
        }
    }
}
