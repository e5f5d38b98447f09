//! Answers: header blocks of all kinds, and what the program has been told.

use std::env;
use std::io::{self, Write};

use crate::request::{Request, decoded};

/// What most answers begin with.
pub const TEXT: &str = "Content-Type: text/plain\n\n";

/// Writes all of it at once, as C's programs do that buffer their output.
pub fn put(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn put_text(body: &str) -> io::Result<()> {
    put(format!("{TEXT}{body}").as_bytes())
}

pub fn hello() -> io::Result<()> {
    put_text("hello\n")
}

/// The query, decoded, is the whole output.
pub fn say(request: &Request) -> io::Result<()> {
    put(&decoded(&request.query))
}

/// The same, in writes of a byte.
pub fn say_slowly(request: &Request) -> io::Result<()> {
    for byte in decoded(&request.query) {
        put(&[byte])?;
    }
    Ok(())
}

/// The variables that the query names, or all of them.
pub fn environment(request: &Request) -> io::Result<()> {
    let mut lines = Vec::new();
    let names: Vec<&str> = request.options().filter(|(name, _)| *name == "name").map(|(_, value)| value).collect();
    if names.is_empty() {
        for (name, value) in env::vars_os() {
            lines.push([name.as_encoded_bytes(), b"=", value.as_encoded_bytes(), b"\n"].concat());
        }
        lines.sort();
    }
    for name in names {
        lines.push(match env::var_os(name) {
            Some(value) => [name.as_bytes(), b"=", value.as_encoded_bytes(), b"\n"].concat(),
            None => format!("{name} is not set\n").into_bytes(),
        });
    }
    put(&[TEXT.as_bytes(), &lines.concat()].concat())
}

pub fn arguments() -> io::Result<()> {
    let mut text = TEXT.as_bytes().to_vec();
    for (number, argument) in env::args_os().enumerate() {
        text.extend_from_slice(format!("{number}: ").as_bytes());
        text.extend_from_slice(argument.as_encoded_bytes());
        text.push(b'\n');
    }
    put(&text)
}

/// The query is the status.
pub fn status(request: &Request) -> io::Result<()> {
    let status = decoded(&request.query);
    put(&[b"Status: ", &status[..], b"\n", TEXT.as_bytes(), b"status ", &status, b"\n"].concat())
}

pub fn cookies() -> io::Result<()> {
    put_text_with("Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; HttpOnly\n", "cookies\n")
}

fn put_text_with(fields: &str, body: &str) -> io::Result<()> {
    put(format!("{fields}{TEXT}{body}").as_bytes())
}

/// `to`: where to; `otherwise` when the query has none. `status`: with that status.
pub fn redirect(request: &Request, otherwise: &str) -> io::Result<()> {
    let mut head = format!("Location: {}\n", request.option("to").unwrap_or(otherwise));
    if let Some(status) = request.option("status") {
        head = format!("Status: {status}\n{head}Content-Type: text/plain\n\nit is elsewhere\n");
    } else {
        head.push('\n');
    }
    put(head.as_bytes())
}

pub fn headers_only() -> io::Result<()> {
    put_text("")
}

pub fn no_headers() -> io::Result<()> {
    put(b"\nthere is nothing before this\n")
}

pub fn broken_header() -> io::Result<()> {
    put(b"Content-Type: text/plain\nthis line has no colon\n\nbody\n")
}

/// A field of `n` bytes.
pub fn big_header(request: &Request) -> io::Result<()> {
    put_text_with(&format!("X-Big: {}\n", "x".repeat(request.number("n", 1000))), "big\n")
}

pub fn crlf() -> io::Result<()> {
    put(b"Status: 201 Created\r\nContent-Type: text/plain\r\nX-Line: crlf\r\n\r\nends\r\nso\r\n")
}

/// All bytes, but not in their order: nothing of it is a line of a header.
pub fn rubbish() -> io::Result<()> {
    let bytes: Vec<u8> = (0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    put(&bytes)
}

pub fn unknown(action: &str) -> io::Result<()> {
    put(format!("Status: 404 Not Found\n{TEXT}there is no action {action}\n").as_bytes())
}
