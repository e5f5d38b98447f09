//! The hosts that a plugin may ask: `allowed_hosts` of its manifest.

use std::net::Ipv6Addr;

/// The name of a host, with `*` for any characters and `?` for one, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPattern(Vec<u8>);

impl HostPattern {
    /// Reads one. The error says why no host could ever match.
    pub fn parse(text: &str) -> Result<HostPattern, String> {
        let wrong = |reason: &str| Err(format!("\"{text}\" in \"allowed_hosts\" stands for no host: {reason}"));
        if text.is_empty() {
            return wrong("it is empty");
        }
        if text.contains("://") || text.contains('/') {
            return wrong("it is not the name of a host alone, but has a scheme or a path");
        }
        let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = address.unwrap_or(text).parse::<Ipv6Addr>() {
            return Ok(HostPattern(address.to_string().into_bytes()));
        }
        if text.contains(':') {
            return wrong("hosts are compared without their ports");
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*?".contains(&byte)) {
            return wrong(
                "a host has letters, digits, \"-\", \".\" and \"_\"; \"*\" stands for any of them, \"?\" for one",
            );
        }
        Ok(HostPattern(text.to_ascii_lowercase().into_bytes()))
    }

    /// Whether a host is one of these: a name, whose case does not matter, or an address as Rust writes it, without brackets.
    pub fn matches(&self, host: &str) -> bool {
        let (pattern, host) = (&self.0, host.as_bytes());
        let (mut p, mut h) = (0, 0);
        // The last star, and how much of the host it stands for.
        let mut star: Option<(usize, usize)> = None;
        while h < host.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, h));
                    p += 1;
                }
                Some(byte) if *byte == b'?' || *byte == host[h].to_ascii_lowercase() => {
                    p += 1;
                    h += 1;
                }
                _ => match star {
                    Some((place, end)) => {
                        star = Some((place, end + 1));
                        p = place + 1;
                        h = end + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(host)
    }

    #[test]
    fn a_name_stands_for_itself_in_any_case() {
        assert!(matches("Example.com", "eXample.COM"));
        for other in ["example.org", "xexample.com", "example.com.evil", "example.co", "examplexcom", ""] {
            assert!(!matches("example.com", other), "{other}");
        }
        assert!(matches("127.0.0.1", "127.0.0.1") && matches("[::1]", "::1") && matches("0::A", "::a"));
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, host, wanted) in [
            ("*", "any.thing", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.example.com.evil", false),
            ("jsonplaceholder.*.com", "jsonplaceholder.typicode.com", true),
            ("jsonplaceholder.*.com", "jsonplaceholder.com", false),
            ("a*b*c", "abbbc", true),
            ("a*b*c", "acb", false),
            ("**a", "bca", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "", false),
            ("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, host), wanted, "{pattern} {host}");
        }
    }

    #[test]
    fn what_can_match_no_host_is_refused() {
        for text in ["", "http://a", "a/b", "a:80", "[::1]:80", "[a]", "a b", "[ab].com", "{a,b}.com", "ü.de"] {
            let err = HostPattern::parse(text).unwrap_err();
            assert!(err.starts_with(&format!("\"{text}\" in \"allowed_hosts\" stands for no host: ")), "{err}");
        }
    }
}
