//! What the program is to do, from its environment and its arguments.

use std::env;
use std::str::FromStr;

/// An action, and its options.
pub struct Request {
    /// The first part of PATH_INFO, or else the first argument.
    pub action: String,
    /// QUERY_STRING as it is.
    pub query: String,
    /// What the query says, decoded and in its order. A word without `=` has no value.
    options: Vec<(String, String)>,
}

impl Request {
    pub fn from_environment() -> Self {
        // Which may be any bytes.
        let path = env::var_os("PATH_INFO").unwrap_or_default();
        let path = path.to_string_lossy();
        let from_path = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let argument = || env::args_os().nth(1).map(|word| word.to_string_lossy().into_owned());
        let action = if from_path.is_empty() { argument() } else { Some(from_path.to_owned()) };
        let query = env::var_os("QUERY_STRING").unwrap_or_default().to_string_lossy().into_owned();
        let options = query
            .split('&')
            .filter(|option| !option.is_empty())
            .map(|option| {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                (text(name), text(value))
            })
            .collect();
        Self { action: action.unwrap_or_else(|| "hello".to_owned()), query, options }
    }

    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of that name.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A number of the query; `otherwise` when there is none.
    pub fn number<T: FromStr>(&self, name: &str, otherwise: T) -> T {
        self.option(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }
}

fn text(encoded: &str) -> String {
    String::from_utf8_lossy(&decoded(encoded)).into_owned()
}

/// `%XX` as the byte that it is; `+` stays what it is.
pub fn decoded(encoded: &str) -> Vec<u8> {
    let bytes = encoded.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits =
            bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    plain
}
