//! Why the headers of a program are none. `head.rs` makes these errors; each becomes a line of the error log, for who wrote the
//! program, and a 502.

use thiserror::Error;

/// How much of an output stands in a message.
const SHOWN: usize = 60;

/// The beginning of what a program has written, for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    match bytes.split_at_checked(SHOWN) {
        Some((beginning, rest)) if !rest.is_empty() => format!("{}...", beginning.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// The output of a program does not begin with headers that can be passed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// No byte came.
    #[error(
        "it ended and has written nothing: a program writes headers, such as \"Content-Type: text/plain\", an empty line, \
         and then the body"
    )]
    Empty,
    /// It ended before the empty line.
    #[error(
        "its output ended within its headers, in line {line}: an empty line ends them, also when no body comes behind"
    )]
    Unterminated {
        /// The number of the line, from 1.
        line: usize,
    },
    /// Something else than headers: a message of the language's runtime, a page, data.
    #[error(
        "its output begins with \"{beginning}\", which is no header: write headers, such as \"Content-Type: text/plain\", and \
         an empty line first, or set wasm_output to raw"
    )]
    NoHeader {
        /// The beginning of the first line.
        beginning: String,
    },
    /// A status line of HTTP.
    #[error(
        "its output begins with \"{beginning}\", the first line of a whole HTTP response. Only NPH programs (\"non-parsed \
         headers\") write that, and they are not supported: write \"Status: {status}\" in its place"
    )]
    Nph {
        /// The beginning of the first line.
        beginning: String,
        /// What stands in it behind the version.
        status: String,
    },
    /// A line among headers that is none.
    #[error("line {number} of its headers, \"{line}\", {fault}")]
    Line {
        /// The number of the line, from 1.
        number: usize,
        /// The beginning of the line; only the name, when the value is at fault: values may be secrets.
        line: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A header without a value that has to have one.
    #[error("its {0} has no value: give it one, or do not write it")]
    NoValue(&'static str),
    /// Not a status.
    #[error(
        "its Status \"{0}\" is none: write three digits from 200 to 599, and a reason behind them, such as \"404 Not Found\""
    )]
    Status(String),
    /// 100 to 199.
    #[error(
        "its Status {0} belongs before an answer, where nginx writes it when there is need: write the status of the answer, \
         200 to 599"
    )]
    Informational(u16),
    /// Not a size.
    #[error("its Content-Length \"{0}\" is no number of bytes: write digits alone, or no Content-Length")]
    Length(String),
    /// Two sizes.
    #[error("it writes two sizes of its body, Content-Length {0} and {1}: write one")]
    Lengths(u64, u64),
    /// None of the headers that make the block one of CGI.
    #[error(
        "its headers ended, and none is Content-Type, Location or Status (RFC 3875, section 6.2): write \
         \"Content-Type: text/plain\", for one, before the empty line"
    )]
    NoCgiField,
    /// It is longer than it may be.
    #[error("its headers are larger than {limit} bytes: write an empty line behind them, or raise wasm_header_limit")]
    TooLarge {
        /// What is allowed.
        limit: usize,
    },
    /// A mistake of the caller, not of the program.
    #[error("its headers were read to their end before: nothing behind it is a header")]
    Over,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// No name and value.
    #[error("has no colon: write a name, a colon and a value, or an empty line before the body")]
    NoColon,
    /// The colon is the first byte.
    #[error("has no name before its colon")]
    NoName,
    /// Readers do not agree whether the space is part of the name.
    #[error("has a space before its colon: write the colon right behind the name")]
    SpaceBeforeColon,
    /// A name is a token of RFC 9110.
    #[error("has the byte \"{}\" in its name: letters, digits and \"-\" make a name", .0.escape_ascii())]
    NameByte(u8),
    /// It would go on with the line before.
    #[error("begins with a space: write each header in one line, from the line's beginning")]
    Folded,
    /// A byte that ends or cuts a value for some reader.
    #[error("has the control byte 0x{0:02x} in its value: leave it out, or encode it")]
    Control(u8),
}
