//! A file of the compile cache: what says where its code comes from, a sum that only who has the key of the folder can make,
//! and the code. `cache.rs` calls this.
//!
//! ```text
//! magic 8 | format u32 | sum of the fingerprint 32 | sum of the module 32 | size of the code u64 | keyed sum 32 | code
//! ```
//! Numbers are little-endian; sums are SHA-256, the keyed one is HMAC-SHA-256 of everything else.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"ngxwasm\0";
/// Goes up whenever the form of the file changes.
const FORMAT: u32 = 1;
const SUM: usize = 32;
/// All that precedes the keyed sum.
const SIGNED: usize = 8 + 4 + SUM + SUM + 8;
/// All that precedes the code.
const HEADER: usize = SIGNED + SUM;

/// SHA-256 of something.
pub type Sum = [u8; SUM];

/// The key of a folder, as long as HMAC takes it as it is.
pub type Secret = [u8; 64];

/// What an entry is for. Code made by another engine, with other options, or from another module, is another entry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryKey {
    fingerprint: Sum,
    module: Sum,
}

/// Why the content of a file is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EntryError {
    /// Cut, longer than it says, or something else altogether.
    #[error("it is damaged, or no file of this cache")]
    Damaged,
    /// Another version of this module.
    #[error("its format is {0}, not {FORMAT}")]
    Format(u32),
    /// Other code under this name.
    #[error("its code is of another engine, or of one with other options")]
    Fingerprint,
    /// Other code under this name.
    #[error("its code is of another module")]
    Module,
    /// Changed, or never written by who has the key.
    #[error("its keyed sum is wrong: it was changed, or written by somebody else")]
    Forged,
}

impl EntryKey {
    /// For the code that an engine with this fingerprint makes from a module whose content has this sum.
    pub fn new(fingerprint: &[u8], module: Sum) -> EntryKey {
        EntryKey { fingerprint: sum(fingerprint), module }
    }

    /// The sum of the module.
    pub fn module_sum(&self) -> String {
        hex(&self.module)
    }

    /// The file name, without a suffix.
    pub fn name(&self) -> String {
        hex(&Sha256::new().chain_update(self.fingerprint).chain_update(self.module).finalize())
    }
}

/// What precedes the code in a file.
pub fn header(key: &EntryKey, secret: &Secret, code: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&key.fingerprint);
    header.extend_from_slice(&key.module);
    header.extend_from_slice(&(code.len() as u64).to_le_bytes());
    let sum = keyed(secret, &header, code).finalize().into_bytes();
    header.extend_from_slice(&sum);
    header
}

/// Where in a file the code begins, once everything about it is right.
pub fn check(content: &[u8], key: &EntryKey, secret: &Secret) -> Result<usize, EntryError> {
    let (signed, rest) = content.split_at_checked(SIGNED).ok_or(EntryError::Damaged)?;
    let (sum, code) = rest.split_at_checked(SUM).ok_or(EntryError::Damaged)?;
    let signed_part = |from: usize, size: usize| signed.get(from..from + size).unwrap_or_default();
    if signed_part(0, 8) != MAGIC {
        return Err(EntryError::Damaged);
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let format = number(signed_part(8, 4)) as u32;
    if format != FORMAT {
        return Err(EntryError::Format(format));
    }
    if signed_part(12, SUM) != key.fingerprint {
        return Err(EntryError::Fingerprint);
    }
    if signed_part(12 + SUM, SUM) != key.module {
        return Err(EntryError::Module);
    }
    if number(signed_part(12 + 2 * SUM, 8)) != code.len() as u64 {
        return Err(EntryError::Damaged);
    }
    keyed(secret, signed, code).verify_slice(sum).map_err(|_| EntryError::Forged)?;
    Ok(HEADER)
}

fn keyed(secret: &Secret, header: &[u8], code: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new(secret.into()).chain_update(header).chain_update(code)
}

/// The SHA-256 of some bytes.
pub fn sum(bytes: &[u8]) -> Sum {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &Secret = &[7; 64];

    fn entry() -> (EntryKey, Vec<u8>) {
        let key = EntryKey::new(b"engine", sum(b"module"));
        let mut content = header(&key, SECRET, b"machine code");
        content.extend_from_slice(b"machine code");
        (key, content)
    }

    #[test]
    fn what_was_written_is_right() {
        let (key, content) = entry();
        let start = check(&content, &key, SECRET).unwrap();
        assert_eq!(&content[start..], b"machine code");
    }

    #[test]
    fn any_changed_bit_is_found() {
        let (key, content) = entry();
        for at in 0..content.len() {
            for bit in 0..8 {
                let mut changed = content.clone();
                changed[at] ^= 1 << bit;
                assert!(check(&changed, &key, SECRET).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn any_other_length_is_found() {
        let (key, content) = entry();
        for length in 0..content.len() {
            assert_eq!(check(&content[..length], &key, SECRET), Err(EntryError::Damaged), "{length} bytes");
        }
        let mut longer = content.clone();
        longer.push(0);
        assert_eq!(check(&longer, &key, SECRET), Err(EntryError::Damaged));
    }

    #[test]
    fn an_entry_serves_no_other_module_and_no_other_engine() {
        let (_, content) = entry();
        assert_eq!(check(&content, &EntryKey::new(b"engine", sum(b"other")), SECRET), Err(EntryError::Module));
        assert_eq!(check(&content, &EntryKey::new(b"other", sum(b"module")), SECRET), Err(EntryError::Fingerprint));
    }

    #[test]
    fn one_that_was_made_without_the_key_is_refused_although_all_its_sums_are_right() {
        let (key, _) = entry();
        let mut planted = header(&key, &[8; 64], b"evil code");
        planted.extend_from_slice(b"evil code");
        assert_eq!(check(&planted, &key, SECRET), Err(EntryError::Forged));
    }

    #[test]
    fn a_format_of_the_future_is_named() {
        let (key, mut content) = entry();
        content[8] = 9;
        assert_eq!(check(&content, &key, SECRET), Err(EntryError::Format(9)));
    }

    #[test]
    fn names_tell_engines_and_modules_apart() {
        let names = [(b"a", b"b"), (b"a", b"c"), (b"c", b"b"), (b"b", b"a")].map(|(engine, module)| {
            let name = EntryKey::new(engine, sum(module)).name();
            assert_eq!(name.len(), 64);
            name
        });
        for (n, name) in names.iter().enumerate() {
            assert!(!names[n + 1..].contains(name));
        }
    }
}
