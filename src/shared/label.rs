//! Labels of metrics as text for Prometheus.

use std::fmt::Write as _;

/// The value of a label: UTF-8, with three characters escaped. Other bytes than UTF-8 are shown.
pub(super) fn escaped(value: &[u8]) -> String {
    let mut out = String::new();
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\\\x{byte:02x}");
        }
    }
    out
}
