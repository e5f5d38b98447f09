//! Commands: arrays of byte strings.

use thiserror::Error;

/// A command of these words.
pub fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// What makes a new connection one of this user; nothing without a user and a password.
pub fn auth(username: &[u8], password: &[u8]) -> Option<Vec<u8>> {
    match (username, password) {
        (b"", b"") => None,
        (b"", password) => Some(command(&[b"AUTH", password])),
        (username, password) => Some(command(&[b"AUTH", username, password])),
    }
}

/// What makes a new connection one to this database.
pub fn select(database: u32) -> Vec<u8> {
    command(&[b"SELECT", database.to_string().as_bytes()])
}

/// What a command means for the connection that it is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// One command among others.
    Shared,
    /// It changes the connection for those behind it, or lets them wait: it wants one for itself, that nobody uses afterwards.
    Exclusive,
}

/// Bytes that are not one command with one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// No array of byte strings, or more than one.
    #[error("it is not one Redis command in the form of an array of byte strings")]
    Malformed,
    /// Nobody could tell which reply belongs to which call.
    #[error("Redis answers this command with no reply, or with many")]
    Replies,
}

/// Redis takes no more, either.
const MOST_WORDS: usize = 1 << 20;

/// Looks at a guest's command. Replies are matched to calls by their order, so one that is not exactly one command with
/// exactly one reply would hand the replies of others to the wrong calls.
pub fn check(query: &[u8]) -> Result<Usage, CommandError> {
    let mut rest = query;
    let count =
        number(&mut rest, b'*').filter(|count| (1..=MOST_WORDS).contains(count)).ok_or(CommandError::Malformed)?;
    let (mut name, mut argument): (&[u8], &[u8]) = (b"", b"");
    // A word takes six bytes at least, so a count that is too large soon ends.
    for n in 0..count {
        let word = word(&mut rest).ok_or(CommandError::Malformed)?;
        match n {
            0 => name = word,
            1 => argument = word,
            _ => {}
        }
    }
    if !rest.is_empty() {
        return Err(CommandError::Malformed);
    }
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is(STREAMING) || (is(&["CLIENT"]) && argument.eq_ignore_ascii_case(b"REPLY")) {
        return Err(CommandError::Replies);
    }
    let blocks = is(&["XREAD", "XREADGROUP"]) || is(BLOCKING);
    Ok(if blocks || is(CHANGING) { Usage::Exclusive } else { Usage::Shared })
}

/// They have one reply for each channel, or any number of them, or none.
const STREAMING: &[&str] = &[
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "SSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "MONITOR",
    "SYNC",
    "PSYNC",
    "REPLCONF",
];

/// They say something about the connection.
const CHANGING: &[&str] = &[
    "AUTH",
    "HELLO",
    "SELECT",
    "CLIENT",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "UNWATCH",
    "ASKING",
    "READONLY",
    "READWRITE",
    "RESET",
    "QUIT",
    "SHUTDOWN",
];

/// They may wait. WAIT and WAITAOF do so, too, but are about what the same connection has written before.
const BLOCKING: &[&str] = &["BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"];

fn number(bytes: &mut &[u8], sign: u8) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = rest.split_at(digits);
    *bytes = rest.strip_prefix(b"\r\n")?;
    std::str::from_utf8(number).ok()?.parse().ok().filter(|_| *first == sign)
}

fn word<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = number(bytes, b'$')?;
    let (word, rest) = bytes.split_at_checked(len)?;
    *bytes = rest.strip_prefix(b"\r\n")?;
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_byte_strings() {
        assert_eq!(command(&[b"GET", b"a\r\n\0"]), b"*2\r\n$3\r\nGET\r\n$4\r\na\r\n\0\r\n");
        assert_eq!(auth(b"", b""), None);
        assert_eq!(auth(b"", b"pass").unwrap(), command(&[b"AUTH", b"pass"]));
        assert_eq!(auth(b"user", b"pass").unwrap(), command(&[b"AUTH", b"user", b"pass"]));
        assert_eq!(select(7), b"*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n");
    }

    #[test]
    fn one_whole_command_passes() {
        for words in [&[&b"GET"[..], b"key"][..], &[b"ping"], &[b"SET", b"", b"\r\n$"], &[b"WAITAOF", b"1"], &[b""]] {
            assert_eq!(check(&command(words)), Ok(Usage::Shared), "{words:?}");
        }
    }

    #[test]
    fn what_is_not_one_command_is_refused() {
        let whole = command(&[b"SET", b"key", b"value"]);
        for len in 0..whole.len() {
            assert_eq!(check(&whole[..len]), Err(CommandError::Malformed), "{len} bytes");
        }
        for bytes in [
            &[whole.as_slice(), &whole].concat()[..],
            &[whole.as_slice(), b"\r\n"].concat(),
            b"PING\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n:1\r\n",
            b"*1\r\n*1\r\n$1\r\na\r\n",
            b"*99999999999999999999\r\n",
            b"*4294967295\r\n$1\r\na\r\n",
            b"*1\r\n$4294967295\r\na\r\n",
            b"*1\r\n$3\r\nab\r\n\r\n",
            b"*1\n$1\na\n",
        ] {
            assert_eq!(check(bytes), Err(CommandError::Malformed), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn commands_without_one_reply_are_refused() {
        for words in [
            &[&b"SUBSCRIBE"[..], b"a", b"b"][..],
            &[b"psubscribe", b"a"],
            &[b"Monitor"],
            &[b"client", b"reply", b"off"],
        ] {
            assert_eq!(check(&command(words)), Err(CommandError::Replies), "{words:?}");
        }
    }

    #[test]
    fn commands_about_the_connection_want_one_for_themselves() {
        for words in
            [&[&b"select"[..], b"1"][..], &[b"MULTI"], &[b"HELLO", b"3"], &[b"CLIENT", b"ID"], &[b"BLPOP", b"a", b"0"]]
        {
            assert_eq!(check(&command(words)), Ok(Usage::Exclusive), "{words:?}");
        }
    }

    #[test]
    fn a_command_has_as_many_words_as_redis_takes() {
        let of = |count: usize| check(&[format!("*{count}\r\n").into_bytes(), b"$1\r\na\r\n".repeat(count)].concat());
        assert_eq!(of(MOST_WORDS), Ok(Usage::Shared));
        assert_eq!(of(MOST_WORDS + 1), Err(CommandError::Malformed));
    }
}
