//! `wasm_split_path_info`: which part of a path is the name of a program, and what is behind it, as `fastcgi_split_path_info` has it.

use regex::bytes::Regex;

/// A regular expression with two groups: the name of the program, and the rest of the path.
#[derive(Clone, Debug)]
pub struct SplitPathInfo(Regex);

impl SplitPathInfo {
    /// The error says what is wrong with the expression.
    pub fn new(text: &str) -> Result<SplitPathInfo, String> {
        let regex = Regex::new(text).map_err(|err| {
            let reason = err.to_string();
            format!(
                "not a regular expression of the kind that there is here (no look-around, no back-references): {reason}"
            )
        })?;
        match regex.captures_len() {
            3 => Ok(SplitPathInfo(regex)),
            count => Err(format!(
                "it needs two groups, the first for SCRIPT_NAME and the second for PATH_INFO, and has {}",
                count - 1
            )),
        }
    }

    /// Both parts of a path. `None`: the expression does not match.
    pub fn split<'p>(&self, path: &'p [u8]) -> Option<(&'p [u8], &'p [u8])> {
        let captures = self.0.captures(path)?;
        let group = |n| captures.get(n).map_or(&b""[..], |found| found.as_bytes());
        Some((group(1), group(2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_groups_are_the_name_and_the_rest() {
        let split = SplitPathInfo::new(r"^(.+?\.py)(/.*)?$").unwrap();
        assert_eq!(split.split(b"/a/b.py/c/d"), Some((&b"/a/b.py"[..], &b"/c/d"[..])));
        assert_eq!(split.split(b"/a/b.py"), Some((&b"/a/b.py"[..], &b""[..])));
        assert_eq!(split.split(b"/a/b"), None);
        assert_eq!(split.split(b"/\xff.py/\xfe"), None);
        let bytes = SplitPathInfo::new(r"(?-u)^(.+?\.py)(/.*)?$").unwrap();
        assert_eq!(bytes.split(b"/\xff.py/\xfe"), Some((&b"/\xff.py"[..], &b"/\xfe"[..])));
    }

    #[test]
    fn other_expressions_are_refused_with_the_reason() {
        for (text, reason) in [
            ("(a)", "it needs two groups"),
            ("(a)(b)(c)", "and has 3"),
            ("(a", "not a regular expression"),
            ("(a)(?=b)()", "no look-around"),
        ] {
            let err = SplitPathInfo::new(text).unwrap_err();
            assert!(err.contains(reason), "{err}");
        }
    }
}
