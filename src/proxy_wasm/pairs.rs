//! The format in which lists of names and values cross the border: a count, the sizes of all pairs, then each name and
//! value with a NUL behind it, numbers in 32 bits little endian. Source: specification 0.2.1, "Serialized map".

use std::fmt;

use super::types::Status;

/// How many pairs a guest may pass.
const MOST: usize = 1 << 16;

/// A list of names and values, all of them bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Names and values, one behind the other: lists are made and dropped in every other host call, so each takes two
    /// allocations and not two for each pair.
    bytes: Vec<u8>,
    /// Where each name ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl Pairs {
    /// Decodes what a guest passed. No bytes, and a count of 0, are the empty list. More pairs than any message has are refused
    /// before anything is kept of them.
    pub fn decode(bytes: &[u8]) -> Result<Pairs, Status> {
        let encoded = Encoded::new(bytes)?;
        if encoded.len() > MOST {
            return Err(Status::BadArgument);
        }
        let mut pairs = Pairs { bytes: Vec::with_capacity(bytes.len()), ends: Vec::with_capacity(encoded.len()) };
        for pair in encoded {
            let (name, value) = pair?;
            pairs.push(name, value);
        }
        Ok(pairs)
    }

    /// Appends the encoded form of `pairs` to `out`. The list is walked twice.
    pub fn encode<'a, I>(pairs: I, out: &mut Vec<u8>) -> Result<(), Status>
    where
        I: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let number = |size: usize| u32::try_from(size).map(u32::to_le_bytes).map_err(|_| Status::SerializationFailure);
        out.extend(number(pairs.clone().count())?);
        for (name, value) in pairs.clone() {
            out.extend(number(name.len())?);
            out.extend(number(value.len())?);
        }
        for (name, value) in pairs {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        Ok(())
    }

    /// Adds a pair at the end.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len()));
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        begins.zip(&self.ends).map(|(begin, (name, value))| (&self.bytes[begin..*name], &self.bytes[*name..*value]))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// What a guest passed, pair by pair where it lies. A pair that is not whole ends it.
pub(super) struct Encoded<'a> {
    sizes: Reader<'a>,
    data: Reader<'a>,
    left: u32,
}

impl<'a> Encoded<'a> {
    /// Looks at the count alone.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Status> {
        let mut sizes = Reader(bytes);
        let left = if bytes.is_empty() { 0 } else { sizes.u32()? };
        // A pair takes at least its two sizes and two NULs: a count that does not fit is refused before any allocation.
        let mut data = Reader(sizes.0);
        data.skip(u64::from(left) * 8)?;
        Ok(Encoded { sizes, data, left })
    }

    /// How many are still to come, as the guest says.
    pub fn len(&self) -> usize {
        self.left as usize
    }

    fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), Status> {
        let (name, value) = (self.sizes.u32()?, self.sizes.u32()?);
        Ok((self.data.text(name)?, self.data.text(value)?))
    }
}

impl<'a> Iterator for Encoded<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Status>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pair = self.pair();
        if pair.is_err() {
            self.left = 0;
        }
        Some(pair)
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, value)| (Bytes(name), Bytes(value)))).finish()
    }
}

struct Bytes<'a>(&'a [u8]);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Status> {
        if len > self.0.len() as u64 {
            return Err(Status::BadArgument);
        }
        let (taken, rest) = self.0.split_at(len as usize);
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, len: u64) -> Result<(), Status> {
        self.take(len).map(|_| ())
    }

    fn u32(&mut self) -> Result<u32, Status> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self, len: u32) -> Result<&'a [u8], Status> {
        let bytes = self.take(u64::from(len))?;
        match self.take(1)? {
            [0] => Ok(bytes),
            _ => Err(Status::BadArgument),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        Pairs::encode(pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())), &mut out).unwrap();
        out
    }

    #[test]
    fn the_format_is_that_of_the_specification() {
        assert_eq!(encoded(&[("a", "bc"), ("d", "")]), b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0");
        assert_eq!(encoded(&[]), b"\0\0\0\0");
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let pairs = Pairs::decode(&encoded(&[("a", "bc"), ("d", ""), ("", "x")])).unwrap();
        assert_eq!(
            pairs.iter().collect::<Vec<_>>(),
            [(&b"a"[..], &b"bc"[..]), (&b"d"[..], &b""[..]), (&b""[..], &b"x"[..])]
        );
    }

    #[test]
    fn nothing_and_a_count_of_zero_are_empty() {
        assert!(Pairs::decode(b"").unwrap().is_empty());
        assert!(Pairs::decode(b"\0\0\0\0").unwrap().is_empty());
    }

    #[test]
    fn every_prefix_of_a_list_is_refused() {
        let whole = encoded(&[("name", "value"), ("x", "y")]);
        for len in 1..whole.len() {
            assert_eq!(Pairs::decode(&whole[..len]), Err(Status::BadArgument), "{len} bytes");
        }
    }

    #[test]
    fn sizes_that_lead_outside_are_refused() {
        assert_eq!(Pairs::decode(b"\xff\xff\xff\xff"), Err(Status::BadArgument));
        assert_eq!(Pairs::decode(b"\x01\0\0\0\xff\xff\xff\xff\0\0\0\0a\0\0"), Err(Status::BadArgument));
        assert_eq!(Pairs::decode(b"\x01\0\0\0\x01\0\0\0\x01\0\0\0abcd"), Err(Status::BadArgument));
    }

    #[test]
    fn more_pairs_than_any_message_has_are_refused() {
        let many = |count: usize| {
            let mut bytes = (count as u32).to_le_bytes().to_vec();
            bytes.resize(4 + count * 10, 0);
            Pairs::decode(&bytes).map(|pairs| pairs.len())
        };
        assert_eq!((many(MOST), many(MOST + 1)), (Ok(MOST), Err(Status::BadArgument)));
    }
}
