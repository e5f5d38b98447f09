//! The directories that a location grants to its program (`wasm_dir`), for `perform.rs` and `start.rs`.

use std::path::Path;

use crate::wasi::{Descriptors, Grant};

/// The directories that a program may use.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Reads what says a directory: `HOST[:GUEST][:rw]`; a host path that is not absolute is below `base`.
    pub fn add(&mut self, word: &[u8], base: &Path) -> Result<(), String> {
        let grant = Grant::parse(word, base)?;
        if self.0.iter().any(|known| known.guest == grant.guest) {
            return Err(format!("the program has \"{}\" already", String::from_utf8_lossy(&grant.guest)));
        }
        self.0.push(grant);
        Ok(())
    }

    /// Opens them for a run.
    pub(super) fn open(&self) -> Result<Descriptors, String> {
        Descriptors::open(&self.0)
    }

    /// Opens them so that nothing in them can be changed.
    pub(super) fn open_to_read(&self) -> Result<Descriptors, String> {
        let to_read: Vec<_> = self.0.iter().map(|grant| Grant { writable: false, ..grant.clone() }).collect();
        Descriptors::open(&to_read)
    }

    /// Whether all can be opened. The error names the one that cannot.
    pub fn check(&self) -> Result<(), String> {
        self.open().map(drop)
    }
}
