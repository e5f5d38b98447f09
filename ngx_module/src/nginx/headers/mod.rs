//! Header maps of requests and responses, over nginx's structures: lists of lines, and beside them the fields that nginx
//! itself reads. `host/` is the caller.

use std::cell::Cell;
use std::sync::OnceLock;

use ngx_wasm::proxy_wasm::Pairs;

use crate::nginx::chain::NoMemory;
use crate::nginx::request::HttpRequest;

pub mod encoding;
pub mod fields;
pub mod list;
pub mod path;
pub mod request;
pub mod response;
pub mod trailers;
pub mod variables;

/// Why a change of headers did not happen.
pub enum Refused {
    /// The pool has no memory.
    NoMemory,
    /// It would break the message on the wire.
    Malformed(String),
    /// Nginx decides this itself.
    Ignored(String),
}

impl From<NoMemory> for Refused {
    fn from(_: NoMemory) -> Refused {
        Refused::NoMemory
    }
}

/// What nginx decides itself among the pairs of a list that is to become all headers of a message. The other pairs count.
#[derive(Default)]
struct Ignored {
    first: Option<String>,
    others: usize,
}

impl Ignored {
    /// Lets a pair that has no effect pass.
    fn pass(&mut self, result: Result<(), Refused>) -> Result<(), Refused> {
        match result {
            Err(Refused::Ignored(_)) if self.first.is_some() => self.others += 1,
            Err(Refused::Ignored(what)) => self.first = Some(what),
            result => return result,
        }
        Ok(())
    }

    /// Says what had no effect.
    fn into_result(self) -> Result<(), Refused> {
        match self.first {
            None => Ok(()),
            Some(what) if self.others == 0 => Err(Refused::Ignored(what)),
            Some(what) => Err(Refused::Ignored(format!("{what} (and {} more)", self.others))),
        }
    }
}

/// What the filters of a request know beyond nginx's structures. `http/` says how they are asked.
pub struct Filters {
    /// Where it is noted that nginx takes the request for one that `rewrite` has led out of its location; nowhere when no filter
    /// runs.
    pub left_location: for<'r> fn(HttpRequest<'r>) -> Option<&'r Cell<bool>>,
    /// Notes that the path has changed.
    pub path_changed: fn(HttpRequest<'_>),
    /// Whether the length of the response's body is counted while it passes, so that another one than the headers say does not
    /// leave.
    pub counts_body: fn(HttpRequest<'_>) -> bool,
}

static FILTERS: OnceLock<Filters> = OnceLock::new();

/// Says how filters are asked, once for all.
pub fn know_filters(filters: Filters) {
    let _ = FILTERS.set(filters);
}

/// A name with a colon that means nothing here: filters bring such along from other hosts and other protocols.
fn unknown_pseudo_header(name: &[u8]) -> Refused {
    Refused::Ignored(format!("unknown pseudo-header \"{}\" was not set", name.escape_ascii()))
}

/// Looks at a list that is to become all headers of a message: every line of it, and how many there are. The cost of
/// replacing headers grows with the square of that, and no deadline runs meanwhile.
fn check_pairs(pairs: &Pairs) -> Result<(), Refused> {
    const MOST: usize = 1000;
    if pairs.len() > MOST {
        return Err(Refused::Malformed(format!("{} headers at once, more than {MOST}", pairs.len())));
    }
    for (name, value) in pairs.iter() {
        if !name.starts_with(b":") {
            check_name(name)?;
        }
        check_value(name, value)?;
    }
    Ok(())
}

/// Names are tokens (RFC 9110, section 5.1).
fn check_name(name: &[u8]) -> Result<(), Refused> {
    if !name.is_empty() && name.iter().all(|byte| is_token(*byte)) {
        return Ok(());
    }
    Err(Refused::Malformed(format!("invalid header name \"{}\"", name.escape_ascii())))
}

/// A value must not end its line (RFC 9110, section 5.5): whoever controls it would write the next header, or a body.
fn check_value(name: &[u8], value: &[u8]) -> Result<(), Refused> {
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Ok(());
    }
    Err(Refused::Malformed(format!("CR, LF or NUL in the value of header \"{}\"", name.escape_ascii())))
}

/// Whether a header is about one connection and not about a message (RFC 9110, section 7.6.1).
fn is_about_connection(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] =
        [b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn is_token(byte: u8) -> bool {
    /// Every header name is looked at, so the answers are made once.
    const TOKEN: [bool; 256] = {
        let mut token = [false; 256];
        let mut byte = 0;
        while byte < token.len() {
            token[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let others = b"!#$%&'*+-.^_`|~";
        let mut n = 0;
        while n < others.len() {
            token[others[n] as usize] = true;
            n += 1;
        }
        token
    };
    TOKEN[usize::from(byte)]
}
