//! The headers that a program writes before its body (RFC 3875, section 6), read as they come. The content handler pushes each
//! piece of the program's output until a [`Parsed`] comes back; then all further output is body.

mod error;

pub use error::{Fault, HeadError};

use error::shown;

/// Fields between two neighbours on the way of a message, which the server says for itself: a program has no connection.
pub(super) const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Where a `Location` leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A path of this server, from its "/".
    Local(Vec<u8>),
    /// For the client: an absolute URI. A reference that does not begin with "/" is let through, as Apache does: the client
    /// resolves it.
    Absolute(Vec<u8>),
}

impl Location {
    /// As the program wrote it.
    pub fn as_bytes(&self) -> &[u8] {
        let (Location::Local(bytes) | Location::Absolute(bytes)) = self;
        bytes
    }
}

/// What a program says before its body. Bytes are as they were written, in no certain encoding, without line ends and control
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// 200 to 599, if it was said.
    pub status: Option<u16>,
    /// What stood behind the status; often nothing.
    pub reason: Vec<u8>,
    /// Where to go instead.
    pub location: Option<Location>,
    /// What the body is.
    pub content_type: Option<Vec<u8>>,
    /// How long the body is said to be.
    pub content_length: Option<u64>,
    /// All other fields, in order, as they were spelled.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Fields that were left out because they are the server's to write; each once, in lower case, for the log.
    pub dropped: Vec<&'static str>,
}

impl Head {
    /// The status of the answer.
    pub fn effective_status(&self) -> u16 {
        match (self.status, &self.location) {
            (Some(status), _) => status,
            (None, Some(Location::Absolute(_))) => 302,
            (None, _) => 200,
        }
    }

    /// The path that is to answer in the program's place. A program that writes a path and a status of its own, such as 303,
    /// means the client: its `Location` is passed on, as Apache does.
    pub fn local_redirect(&self) -> Option<&[u8]> {
        match &self.location {
            Some(Location::Local(path)) if matches!(self.status, None | Some(200)) => Some(path),
            _ => None,
        }
    }
}

/// The headers, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What they say.
    pub head: Head,
    /// What came behind their end in the same piece: the beginning of the body.
    pub body: Vec<u8>,
}

/// Reads headers in pieces of any size. Each byte is looked at once, and a line is kept until it is whole.
#[derive(Debug)]
pub struct HeadParser {
    limit: usize,
    /// How long the block is so far.
    size: usize,
    /// The line that has begun.
    line: Vec<u8>,
    /// How many lines have ended.
    lines: usize,
    head: Head,
    /// Where the fields are that stand once only.
    etag: Option<usize>,
    content_range: Option<usize>,
    is_over: bool,
}

impl HeadParser {
    /// For a block of `limit` bytes at most, with all ends of its lines.
    pub fn new(limit: usize) -> Self {
        HeadParser {
            limit,
            size: 0,
            line: Vec::new(),
            lines: 0,
            head: Head::default(),
            etag: None,
            content_range: None,
            is_over: false,
        }
    }

    /// The next bytes of the output. The head, when they have its end; nothing before. After that, and after an error, the parser
    /// is done.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Parsed>, HeadError> {
        if self.is_over {
            return Err(HeadError::Over);
        }
        let outcome = self.read(bytes);
        self.is_over = !matches!(outcome, Ok(None));
        outcome
    }

    /// The output has ended, and its head has not: why.
    pub fn end(self) -> HeadError {
        if self.is_over {
            HeadError::Over
        } else if self.size == 0 {
            HeadError::Empty
        } else {
            let no_header = if self.lines == 0 { no_header(&self.line) } else { None };
            no_header.unwrap_or(HeadError::Unterminated { line: self.lines + 1 })
        }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<Option<Parsed>, HeadError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (piece, rest) = bytes.split_at(end + 1);
            self.keep(piece)?;
            bytes = rest;
            let mut line = std::mem::take(&mut self.line);
            self.lines += 1;
            if self.read_line(without_end(&line))? {
                let head = std::mem::take(&mut self.head);
                return Ok(Some(Parsed { head, body: bytes.to_vec() }));
            }
            line.clear();
            self.line = line;
        }
        self.keep(bytes)?;
        Ok(None)
    }

    /// Adds to the line that has begun.
    fn keep(&mut self, piece: &[u8]) -> Result<(), HeadError> {
        let room = self.limit - self.size;
        if piece.len() > room {
            // The error may not depend on how much came at once.
            self.line.extend_from_slice(&piece[..room]);
            return Err(self.too_large());
        }
        self.line.extend_from_slice(piece);
        self.size += piece.len();
        Ok(())
    }

    /// A program that writes no headers at all, and no short lines, needs to hear that, and not of a limit.
    fn too_large(&self) -> HeadError {
        let may_be_name = self.line.iter().all(|byte| is_token(*byte));
        let no_header = if self.lines == 0 && !may_be_name { no_header(&self.line) } else { None };
        no_header.unwrap_or(HeadError::TooLarge { limit: self.limit })
    }

    /// A line without its end. Whether the block ends with it.
    fn read_line(&mut self, line: &[u8]) -> Result<bool, HeadError> {
        if line.is_empty() {
            let head = &self.head;
            let is_cgi = head.content_type.is_some() || head.location.is_some() || head.status.is_some();
            return if is_cgi { Ok(true) } else { Err(HeadError::NoCgiField) };
        }
        if self.lines == 1
            && let Some(error) = no_header(line)
        {
            return Err(error);
        }
        let at_fault = |part: &[u8], fault| HeadError::Line { number: self.lines, line: shown(part), fault };
        let (name, value) = split(line).map_err(|fault| at_fault(line, fault))?;
        if let Some(byte) = value.iter().find(|byte| is_control(**byte)) {
            return Err(at_fault(name, Fault::Control(*byte)));
        }
        self.field(name, value)?;
        Ok(false)
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let head = &mut self.head;
        if is("Status") {
            let (status, reason) = status(value)?;
            (head.status, head.reason) = (Some(status), reason.to_vec());
        } else if is("Location") {
            head.location = Some(match value {
                [] => return Err(HeadError::NoValue("Location")),
                [b'/', ..] => Location::Local(value.to_vec()),
                _ => Location::Absolute(value.to_vec()),
            });
        } else if is("Content-Type") {
            if value.is_empty() {
                return Err(HeadError::NoValue("Content-Type"));
            }
            head.content_type = Some(value.to_vec());
        } else if is("Content-Length") {
            let length = length(value).ok_or_else(|| HeadError::Length(shown(value)))?;
            match head.content_length.replace(length) {
                Some(before) if before != length => return Err(HeadError::Lengths(before, length)),
                _ => {}
            }
        } else if is("ETag") {
            set(&mut head.fields, &mut self.etag, name, value);
        } else if is("Content-Range") {
            set(&mut head.fields, &mut self.content_range, name, value);
        } else if let Some(known) = HOP_BY_HOP.into_iter().find(|known| is(known)) {
            if !head.dropped.contains(&known) {
                head.dropped.push(known);
            }
        } else {
            head.fields.push((name.to_vec(), value.to_vec()));
        }
        Ok(())
    }
}

/// Adds a field, or puts it in the place of the one that came before.
fn set(fields: &mut Vec<(Vec<u8>, Vec<u8>)>, place: &mut Option<usize>, name: &[u8], value: &[u8]) {
    let field = (name.to_vec(), value.to_vec());
    match place.and_then(|at| fields.get_mut(at)) {
        Some(before) => *before = field,
        None => {
            *place = Some(fields.len());
            fields.push(field);
        }
    }
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Without spaces and tabs on both sides.
fn trimmed(value: &[u8]) -> &[u8] {
    let begin = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

/// A line without LF or CRLF.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Why a first line shows that the output does not begin with headers. A line that nearly is a header is for [`split`].
fn no_header(line: &[u8]) -> Option<HeadError> {
    let beginning = shown(without_end(line));
    if line.starts_with(b"HTTP/") {
        let status = line.iter().position(is_space).map(|space| trimmed(without_end(&line[space..])));
        let status = status.filter(|status| !status.is_empty()).unwrap_or(b"200 OK");
        return Some(HeadError::Nph { beginning, status: shown(status) });
    }
    let name_end = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
    let behind_name = &line[name_end..];
    let is_header = match trimmed(behind_name) {
        // A space before the colon has its own message.
        [b':', ..] => name_end > 0 || behind_name.starts_with(b":"),
        _ => false,
    };
    (!is_header).then_some(HeadError::NoHeader { beginning })
}

/// The name and the value of a line.
fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if line.first().is_some_and(is_space) {
        return Err(Fault::Folded);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Fault::NoColon)?;
    let name = &line[..colon];
    match name.iter().position(|byte| !is_token(*byte)) {
        None if name.is_empty() => Err(Fault::NoName),
        None => Ok((name, trimmed(&line[colon + 1..]))),
        Some(at) if name[at..].iter().all(is_space) => Err(Fault::SpaceBeforeColon),
        Some(at) => Err(Fault::NameByte(name[at])),
    }
}

/// A status and its reason.
fn status(value: &[u8]) -> Result<(u16, &[u8]), HeadError> {
    let (code, reason) = value.split_at(value.iter().position(is_space).unwrap_or(value.len()));
    let number = match code {
        [_, _, _] => length(code).and_then(|code| u16::try_from(code).ok()),
        _ => None,
    };
    match number {
        Some(number @ 200..=599) => Ok((number, trimmed(reason))),
        Some(number @ 100..=199) => Err(HeadError::Informational(number)),
        _ => Err(HeadError::Status(shown(value))),
    }
}

/// Digits as a number. A sign, which `parse` takes, is no digit.
fn length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
