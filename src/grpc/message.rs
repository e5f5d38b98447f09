//! The message beside a status, as a header has it.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// All but printable ASCII is encoded, and the percent sign ("Status-Message" of "gRPC over HTTP2"; bytes above ASCII always are).
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The value of `grpc-message` for a text.
pub fn encode_message(text: &[u8]) -> String {
    percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::encode_message;

    #[test]
    fn a_message_is_printable_ascii() {
        for (text, wanted) in [
            (&b"no such thing ~"[..], "no such thing ~"),
            (b"100 %", "100 %25"),
            (b"a\r\nb\x7f\x00", "a%0D%0Ab%7F%00"),
            ("th\u{ed}ng".as_bytes(), "th%C3%ADng"),
            (b"\xff", "%FF"),
            (b"", ""),
        ] {
            assert_eq!(encode_message(text), wanted);
        }
    }
}
