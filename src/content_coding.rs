//! Content codings of HTTP that filters can be spared: what Content-Encoding and Accept-Encoding say, and a decoder of gzip
//! and deflate that works piece by piece. The adapter's `http/phases/decode.rs` drives it.

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// A coding that [`Decoder`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// gzip, also as x-gzip.
    Gzip,
    /// zlib's format, or what is inside of it: servers send both under this name.
    Deflate,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// Once, in a way that can be undone here.
    Known(Coding),
    /// In a way that is not known here, or several times.
    Other,
}

impl Encoding {
    /// What the values of all header lines Content-Encoding say together.
    pub fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Encoding {
        let mut found = Encoding::Plain;
        for word in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            if word.is_empty() || word.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            found = match coding(word) {
                Some(coding) if found == Encoding::Plain => Encoding::Known(coding),
                _ => return Encoding::Other,
            };
        }
        found
    }
}

fn coding(word: &[u8]) -> Option<Coding> {
    if word.eq_ignore_ascii_case(b"gzip") || word.eq_ignore_ascii_case(b"x-gzip") {
        Some(Coding::Gzip)
    } else if word.eq_ignore_ascii_case(b"deflate") {
        Some(Coding::Deflate)
    } else {
        None
    }
}

/// A value of Accept-Encoding without what cannot be decoded here. `None`: there is nothing to leave out.
pub fn narrowed(value: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut is_narrower = false;
    for item in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        let word = item.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if coding(word).is_some() || word.eq_ignore_ascii_case(b"identity") {
            kept.push(item);
        } else {
            is_narrower |= !item.is_empty();
        }
    }
    if !is_narrower {
        return None;
    }
    // Without the header, a server may send what it likes.
    Some(if kept.is_empty() { b"identity".to_vec() } else { kept.join(&b", "[..]) })
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The beginning is not that of the format.
    #[error("it does not begin as it should")]
    Beginning,
    /// The compressed data.
    #[error("its data is corrupt")]
    Data,
    /// What it decodes to is not what was encoded.
    #[error("its checksum or its length is wrong")]
    Sum,
    /// Something is missing at the end.
    #[error("its end is missing")]
    Truncated,
}

/// A member of gzip begins so.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
const FIXED_PART: usize = 10;
const DEFLATED: u8 = 8;
const HEAD_SUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

/// The end of an empty block without compression: whoever flushes sends one.
const FLUSH_MARK: [u8; 4] = [0, 0, 0xff, 0xff];

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The header of a member of gzip; so many bytes of it are in `head`.
    Fixed(usize),
    ExtraLength(usize),
    /// So many bytes are left of it.
    Extra(u16),
    Name,
    Comment,
    HeadSum(usize),
    /// The first bytes of deflate, which tell its two forms apart.
    Sniff(usize),
    /// Those bytes are data; so many of them have been used.
    Sniffed(usize),
    Data,
    /// Checksum and length at the end of a member; so many bytes are in `head`.
    Tail(usize),
    /// Another member may follow; so many bytes of its beginning are there.
    Between(usize),
    /// Whatever follows, it is not part of the body. Browsers ignore it, too.
    Behind,
}

/// Undoes a coding, piece by piece. Its memory does not depend on the body.
pub struct Decoder {
    coding: Coding,
    at: At,
    head: [u8; FIXED_PART],
    /// Those of the header of gzip that says what else is in it.
    flags: u8,
    inflate: Decompress,
    /// The latest bytes of compressed data.
    latest: [u8; 4],
    /// Of what has been decoded of this member, or of its header.
    sum: Crc,
}

impl Decoder {
    /// A decoder at the beginning of a body.
    pub fn new(coding: Coding) -> Decoder {
        let at = match coding {
            Coding::Gzip => At::Fixed(0),
            Coding::Deflate => At::Sniff(0),
        };
        Decoder {
            coding,
            at,
            head: [0; FIXED_PART],
            flags: 0,
            inflate: Decompress::new(false),
            latest: [0; 4],
            sum: Crc::new(),
        }
    }

    /// Appends what `input` decodes to, as far as `out` has room without growing, and answers how many bytes of the input that
    /// took. When there is room left, it took all, and has kept nothing back.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Corrupt> {
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            let used = match self.at {
                At::Sniffed(used) if used < 2 => {
                    let head = [self.head[0], self.head[1]];
                    let now = self.inflate(&head[used..], out)?;
                    if self.at == At::Sniffed(used) {
                        if now == 0 {
                            return Ok(taken);
                        }
                        self.at = At::Sniffed(used + now);
                    }
                    continue;
                }
                At::Sniffed(_) => {
                    self.at = At::Data;
                    continue;
                }
                At::Data => {
                    let used = self.inflate(rest, out)?;
                    if self.at == At::Data && (out.len() == out.capacity() || used == rest.len()) {
                        return Ok(taken + used);
                    }
                    used
                }
                At::Behind => return Ok(input.len()),
                _ => match rest.first() {
                    None => return Ok(taken),
                    Some(byte) => {
                        self.frame(*byte)?;
                        1
                    }
                },
            };
            taken += used;
        }
    }

    /// Whether the last thing that came is the mark of somebody who sends what there is, and goes on later.
    pub fn is_flushed(&self) -> bool {
        self.at == At::Data && self.latest == FLUSH_MARK
    }

    /// Whether the body may end here. One of no bytes may, too.
    pub fn finish(&self) -> Result<(), Corrupt> {
        match self.at {
            At::Fixed(0) | At::Sniff(0) | At::Between(_) | At::Behind => Ok(()),
            _ => Err(Corrupt::Truncated),
        }
    }

    /// Decompresses, and answers how many bytes that took.
    fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Corrupt> {
        let mut taken = 0;
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), out.len());
            let status = self.inflate.decompress_vec(&input[taken..], out, FlushDecompress::None);
            let status = status.map_err(|_| Corrupt::Data)?;
            let used = (self.inflate.total_in() - before_in) as usize;
            for byte in &input[taken..taken + used][used.saturating_sub(4)..] {
                self.latest.rotate_left(1);
                self.latest[3] = *byte;
            }
            taken += used;
            if self.coding == Coding::Gzip {
                self.sum.update(&out[before_out..]);
            }
            if status == Status::StreamEnd {
                self.at = match self.coding {
                    Coding::Gzip => At::Tail(0),
                    Coding::Deflate => At::Behind,
                };
                return Ok(taken);
            }
            if out.len() == out.capacity() || (used == 0 && out.len() == before_out) {
                return Ok(taken);
            }
        }
    }

    /// Takes a byte that is not compressed data.
    fn frame(&mut self, byte: u8) -> Result<(), Corrupt> {
        if !matches!(self.at, At::Sniff(_) | At::Tail(_) | At::Between(_) | At::HeadSum(_)) {
            self.sum.update(&[byte]);
        }
        self.at = match self.at {
            At::Fixed(n) => {
                self.head[n] = byte;
                if n < MAGIC.len() && byte != MAGIC[n] {
                    return Err(Corrupt::Beginning);
                }
                if n + 1 < FIXED_PART {
                    At::Fixed(n + 1)
                } else {
                    self.flags = self.head[3];
                    if self.head[2] != DEFLATED || self.flags & RESERVED != 0 {
                        return Err(Corrupt::Beginning);
                    }
                    self.part_of_head()
                }
            }
            At::ExtraLength(n) => {
                self.head[n] = byte;
                match (n, u16::from_le_bytes([self.head[0], self.head[1]])) {
                    (0, _) => At::ExtraLength(1),
                    (_, 0) => self.part_of_head(),
                    (_, length) => At::Extra(length),
                }
            }
            At::Extra(1) => self.part_of_head(),
            At::Extra(left) => At::Extra(left - 1),
            At::Name | At::Comment if byte == 0 => self.part_of_head(),
            At::HeadSum(n) => {
                self.head[n] = byte;
                if n == 0 {
                    At::HeadSum(1)
                } else if u16::from_le_bytes([self.head[0], self.head[1]]) != self.sum.sum() as u16 {
                    return Err(Corrupt::Sum);
                } else {
                    self.part_of_head()
                }
            }
            At::Sniff(n) => {
                self.head[n] = byte;
                if n == 0 {
                    At::Sniff(1)
                } else {
                    self.inflate = Decompress::new(is_zlib([self.head[0], self.head[1]])?);
                    At::Sniffed(0)
                }
            }
            At::Tail(n) => {
                self.head[n] = byte;
                if n < 7 {
                    At::Tail(n + 1)
                } else {
                    let [a, b, c, d, e, f, g, h, ..] = self.head;
                    let told = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
                    if told != (self.sum.sum(), self.sum.amount()) {
                        return Err(Corrupt::Sum);
                    }
                    self.sum.reset();
                    self.inflate.reset(false);
                    At::Between(0)
                }
            }
            At::Between(n) if byte == MAGIC[n] => {
                self.head[n] = byte;
                self.sum.update(&[byte]);
                if n == 0 { At::Between(1) } else { At::Fixed(2) }
            }
            At::Between(_) => At::Behind,
            other @ (At::Name | At::Comment | At::Sniffed(_) | At::Data | At::Behind) => other,
        };
        Ok(())
    }

    /// What comes next in the header of a member, by the flags that are left.
    fn part_of_head(&mut self) -> At {
        for (flag, at) in
            [(EXTRA, At::ExtraLength(0)), (NAME, At::Name), (COMMENT, At::Comment), (HEAD_SUM, At::HeadSum(0))]
        {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return at;
            }
        }
        self.sum.reset();
        At::Data
    }
}

/// Which of the forms of deflate begins so. That of zlib says so in its first two bytes.
fn is_zlib(head: [u8; 2]) -> Result<bool, Corrupt> {
    let [method, flags] = head;
    if method & 0x0f != DEFLATED || method >> 4 > 7 || !u16::from_be_bytes(head).is_multiple_of(31) {
        return Ok(false);
    }
    // Nobody has agreed on a dictionary.
    if flags & 0x20 != 0 { Err(Corrupt::Beginning) } else { Ok(true) }
}

#[cfg(test)]
mod tests;
