//! What the filter decides, without a call to the host: `cargo test` runs it on any machine.

use serde::Deserialize;

/// The filter's configuration: `{"key": "open-sesame", "tag": "blue"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    key: String,
    pub tag: String,
}

impl Rules {
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let rules: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if rules.key.is_empty() {
            return Err("\"key\" is empty".to_owned());
        }
        Ok(rules)
    }

    pub fn allow(&self, key: Option<&str>) -> bool {
        key == Some(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;

    #[test]
    fn only_the_right_key_is_allowed() {
        let rules = Rules::read(br#"{"key": "open-sesame", "tag": "blue"}"#).unwrap();
        assert!(rules.allow(Some("open-sesame")));
        assert!(!rules.allow(Some("open")));
        assert!(!rules.allow(None));
    }

    #[test]
    fn a_bad_configuration_is_refused() {
        assert!(Rules::read(b"").is_err());
        assert!(Rules::read(br#"{"key": "", "tag": "blue"}"#).is_err());
        assert!(Rules::read(br#"{"key": "k", "tag": "blue", "kye": "k"}"#).is_err());
    }
}
