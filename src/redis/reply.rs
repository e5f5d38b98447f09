//! Where a reply ends. It goes to the guest as it came, so nothing is made of it here.

use thiserror::Error;

/// Bytes that are no reply, or not such as this host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// No kind of value begins so.
    #[error("a value begins with byte {0}: this is no Redis")]
    Kind(u8),
    /// A size, or a count, is no number that can be one.
    #[error("a size in the reply is no number")]
    Size,
    /// A byte string does not end where its size says.
    #[error("a value of the reply does not end where it should")]
    End,
    /// More than the reader may hold.
    #[error("the reply is larger than {0} bytes")]
    TooLarge(usize),
    /// It would be taken for the reply to some command.
    #[error("the server sends a message that is no reply")]
    Push,
}

/// Finds the end of a reply, as the bytes come. Values may be nested to any depth: what is still to come is counted, not
/// stacked.
#[derive(Debug)]
pub struct Scanner {
    limit: usize,
    /// Where the next value begins.
    at: usize,
    /// How many values are still to come.
    wanted: u64,
    /// Up to where no end of a line was found.
    searched: usize,
}

impl Scanner {
    /// A scanner for replies of `limit` bytes at most.
    pub fn new(limit: usize) -> Self {
        Scanner { limit, at: 0, wanted: 1, searched: 0 }
    }

    /// How long the reply is with which `bytes` begin, or None as long as it is not whole. Until then `bytes` may only grow
    /// at their end; afterwards the scanner is ready for the next reply.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, ReplyError> {
        while self.wanted > 0 {
            // A value takes three bytes at least.
            if self.wanted.saturating_mul(3).saturating_add(self.at as u64) > self.limit as u64 {
                return Err(ReplyError::TooLarge(self.limit));
            }
            if !self.value(bytes)? {
                let too_large = bytes.len() > self.limit;
                return if too_large { Err(ReplyError::TooLarge(self.limit)) } else { Ok(None) };
            }
        }
        let len = self.at;
        *self = Scanner::new(self.limit);
        if len > self.limit { Err(ReplyError::TooLarge(self.limit)) } else { Ok(Some(len)) }
    }

    /// Passes over one value, or over the head of one that has others inside. Answers whether it was there.
    fn value(&mut self, bytes: &[u8]) -> Result<bool, ReplyError> {
        let Some(kind) = bytes.get(self.at).copied() else { return Ok(false) };
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' | b'$' | b'!' | b'=' | b'*' | b'~' | b'%' | b'|' => {}
            b'>' => return Err(ReplyError::Push),
            other => return Err(ReplyError::Kind(other)),
        }
        let Some(end) = self.end_of_line(bytes) else { return Ok(false) };
        let head = &bytes[self.at + 1..end];
        let mut next = end + 2;
        let mut inside = 0;
        let mut is_value = true;
        match kind {
            b'$' | b'!' | b'=' => {
                if let Some(len) = size(head, kind == b'$')? {
                    let len = usize::try_from(len).map_err(|_| ReplyError::TooLarge(self.limit))?;
                    next = next.saturating_add(len).saturating_add(2);
                    if next > self.limit {
                        return Err(ReplyError::TooLarge(self.limit));
                    }
                    match bytes.get(next - 2..next) {
                        None => return Ok(false),
                        Some(b"\r\n") => {}
                        Some(_) => return Err(ReplyError::End),
                    }
                }
            }
            b'*' => inside = size(head, true)?.unwrap_or_default(),
            b'~' => inside = size(head, false)?.unwrap_or_default(),
            b'%' => inside = size(head, false)?.unwrap_or_default().saturating_mul(2),
            b'|' => {
                // It says something about the value behind it.
                inside = size(head, false)?.unwrap_or_default().saturating_mul(2);
                is_value = false;
            }
            _ => {}
        }
        self.at = next;
        self.searched = next;
        self.wanted = self.wanted.saturating_sub(u64::from(is_value)).saturating_add(inside);
        Ok(true)
    }

    fn end_of_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let from = self.searched.max(self.at);
        match bytes.get(from..)?.windows(2).position(|pair| pair == b"\r\n") {
            Some(found) => {
                self.searched = from + found;
                Some(from + found)
            }
            None => {
                // The last byte may be the first half.
                self.searched = bytes.len().saturating_sub(1).max(from);
                None
            }
        }
    }
}

/// A size or a count; None is RESP2's nothing, -1.
fn size(text: &[u8], may_be_nothing: bool) -> Result<Option<u64>, ReplyError> {
    if may_be_nothing && text == b"-1" {
        return Ok(None);
    }
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits).ok_or(ReplyError::Size)?;
    text.parse().map(Some).map_err(|_| ReplyError::Size)
}

/// What an error says; none for any other reply.
pub fn error_of(reply: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = reply.split_first()?;
    let line = |bytes: &'_ [u8]| bytes.windows(2).position(|pair| pair == b"\r\n").unwrap_or(bytes.len());
    match kind {
        b'-' => Some(&rest[..line(rest)]),
        b'!' => {
            let text = rest.get(line(rest) + 2..)?;
            Some(text.strip_suffix(b"\r\n").unwrap_or(text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1000;

    const WHOLE: &[&[u8]] = &[
        b"+OK\r\n",
        b"+\r\n",
        b"-ERR no\r\n",
        b":-42\r\n",
        b"$5\r\nhello\r\n",
        b"$4\r\n\r\n\r\n\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$1\r\na\r\n:1\r\n",
        b"*2\r\n*2\r\n+a\r\n*0\r\n*1\r\n*1\r\n$1\r\nx\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.5\r\n",
        b"(123456789012345678901234567890\r\n",
        b"!5\r\nERR a\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"~2\r\n:1\r\n:2\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
        b"|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n",
        b"*2\r\n|1\r\n+a\r\n%0\r\n:1\r\n:2\r\n",
    ];

    #[test]
    fn the_end_of_each_kind_of_reply_is_found() {
        for reply in WHOLE {
            let shown = String::from_utf8_lossy(reply);
            let more = [reply, &b"+next\r\n"[..]].concat();
            assert_eq!(Scanner::new(LIMIT).scan(reply), Ok(Some(reply.len())), "{shown}");
            assert_eq!(Scanner::new(LIMIT).scan(&more), Ok(Some(reply.len())), "{shown}");
            assert_eq!(Scanner::new(reply.len()).scan(reply), Ok(Some(reply.len())), "{shown}");
        }
    }

    #[test]
    fn a_reply_may_come_in_any_pieces() {
        for reply in WHOLE {
            let mut scanner = Scanner::new(LIMIT);
            for len in 0..reply.len() {
                assert_eq!(scanner.scan(&reply[..len]), Ok(None), "{len} of {}", String::from_utf8_lossy(reply));
            }
            assert_eq!(scanner.scan(reply), Ok(Some(reply.len())));
        }
    }

    #[test]
    fn replies_follow_each_other() {
        let all: Vec<u8> = WHOLE.concat();
        let mut scanner = Scanner::new(LIMIT);
        let mut rest = &all[..];
        for reply in WHOLE {
            assert_eq!(scanner.scan(rest), Ok(Some(reply.len())));
            rest = &rest[reply.len()..];
        }
        assert_eq!(scanner.scan(rest), Ok(None));
    }

    #[test]
    fn what_is_no_reply_is_an_error_as_soon_as_it_shows() {
        for (bytes, wanted) in [
            (&b"HTTP/1.1 400"[..], ReplyError::Kind(b'H')),
            (b"\0", ReplyError::Kind(0)),
            (b"*1\r\n?", ReplyError::Kind(b'?')),
            (b"$x\r\n", ReplyError::Size),
            (b"$\r\n", ReplyError::Size),
            (b"$-2\r\n", ReplyError::Size),
            (b"$+1\r\n", ReplyError::Size),
            (b"!-1\r\n", ReplyError::Size),
            (b"%-1\r\n", ReplyError::Size),
            (b"*99999999999999999999\r\n", ReplyError::Size),
            (b"*1 \r\n", ReplyError::Size),
            (b"$1\r\nabc", ReplyError::End),
            (b">1\r\n", ReplyError::Push),
        ] {
            assert_eq!(Scanner::new(LIMIT).scan(bytes), Err(wanted), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_reply_is_bounded_before_it_is_there() {
        let too_large = Err(ReplyError::TooLarge(10));
        for bytes in [
            &b"$5\r\n"[..],
            b"$9223372036854775807\r\n",
            b"*4\r\n",
            b"*9223372036854775807\r\n",
            b"%9223372036854775807\r\n",
            b"*2\r\n+a\r\n+ab\r\n",
            b"+0123456789",
            b"+01234567\r\n",
        ] {
            assert_eq!(Scanner::new(10).scan(bytes), too_large, "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(Scanner::new(11).scan(b"$5\r\nhello\r\n"), Ok(Some(11)));
    }

    #[test]
    fn depth_costs_nothing() {
        let depth = 1_000_000;
        let bytes = [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
        assert_eq!(Scanner::new(bytes.len()).scan(&bytes), Ok(Some(bytes.len())));
    }

    #[test]
    fn an_error_is_told_from_other_replies() {
        assert_eq!(error_of(b"-WRONGPASS no\r\n"), Some(&b"WRONGPASS no"[..]));
        assert_eq!(error_of(b"!5\r\nERR a\r\n"), Some(&b"ERR a"[..]));
        assert_eq!(error_of(b"+OK\r\n"), None);
        assert_eq!(error_of(b""), None);
    }
}
