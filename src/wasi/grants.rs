//! The directories that a configuration grants, as `dir=HOSTPATH[:GUESTPATH][:rw]` says them. `proxy_wasm::allow`
//! reads them, `descriptors.rs` opens them when a filter starts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A directory of the host, and what the guest finds in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// An absolute path.
    pub host: PathBuf,
    /// The name that the guest knows it by, absolute too.
    pub guest: Vec<u8>,
    /// Whether the guest may change what is in it.
    pub writable: bool,
}

impl Grant {
    /// Reads what stands behind `dir=`. A host path that is not absolute is below `base`.
    pub fn parse(word: &[u8], base: &Path) -> Result<Grant, String> {
        let wrong = |reason: &str| {
            let word = String::from_utf8_lossy(word);
            Err(format!("\"dir={word}\" grants no directory: {reason}"))
        };
        let (paths, writable) = match word.strip_suffix(b":rw") {
            Some(paths) => (paths, true),
            None => (word.strip_suffix(b":ro").unwrap_or(word), false),
        };
        let mut parts = paths.split(|byte| *byte == b':');
        let (host, guest, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if host.is_empty() {
            return wrong("it has no path");
        }
        if rest.is_some() {
            return wrong("it is HOSTPATH, HOSTPATH:GUESTPATH, and either with \":rw\" behind it");
        }
        if word.contains(&0) {
            return wrong("a path has no NUL");
        }
        let host = base.join(OsStr::from_bytes(host));
        let guest = guest.unwrap_or(host.as_os_str().as_bytes());
        if !guest.starts_with(b"/") || guest.split(|byte| *byte == b'/').any(|part| matches!(part, b"." | b"..")) {
            return wrong("the path for the guest must be absolute, without \".\" and \"..\"");
        }
        let end = guest.iter().rposition(|byte| *byte != b'/').unwrap_or(0);
        let guest = guest[..=end].to_vec();
        Ok(Grant { host, guest, writable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Result<(String, String, bool), String> {
        let grant = Grant::parse(word.as_bytes(), Path::new("/base"))?;
        let guest = String::from_utf8_lossy(&grant.guest).into_owned();
        Ok((grant.host.to_string_lossy().into_owned(), guest, grant.writable))
    }

    fn grant(host: &str, guest: &str, writable: bool) -> Result<(String, String, bool), String> {
        Ok((host.to_owned(), guest.to_owned(), writable))
    }

    #[test]
    fn a_directory_is_read_only_and_has_its_own_name_unless_said_otherwise() {
        assert_eq!(parse("/a"), grant("/a", "/a", false));
        assert_eq!(parse("/a:ro"), grant("/a", "/a", false));
        assert_eq!(parse("/a:rw"), grant("/a", "/a", true));
        assert_eq!(parse("/a:/b"), grant("/a", "/b", false));
        assert_eq!(parse("/a:/b:rw"), grant("/a", "/b", true));
        assert_eq!(parse("/a/:/b//"), grant("/a/", "/b", false));
        assert_eq!(parse("/a:/"), grant("/a", "/", false));
    }

    #[test]
    fn a_relative_path_is_below_the_base() {
        assert_eq!(parse("a/b"), grant("/base/a/b", "/base/a/b", false));
        assert_eq!(parse("a:/b"), grant("/base/a", "/b", false));
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        for word in ["", ":/a", ":rw", "/a:b", "/a:", "/a:/b:/c", "/a:/b:x", "/a:/b/../c", "/a:/./b", "../a", "/a\0"] {
            let err = parse(word).unwrap_err();
            assert!(err.starts_with(&format!("\"dir={word}\" grants no directory: ")), "{err}");
        }
    }
}
