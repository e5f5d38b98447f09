//! What is in a directory, entry by entry: `fd_readdir`.
//!
//! The cookie of an entry is its place, counted from 0. The stream of the system stays open between calls, at the entry that
//! did not fit any more, so that a directory is read once.

use std::os::unix::ffi::OsStrExt;

use cap_std::fs::DirEntry;

use super::call::Call;
use super::descriptors::{Folder, Listing};
use super::errno::Errno;
use super::stat;
use crate::vm::args;

/// The largest buffer. To fill a part of one means that nothing follows, so what is larger cannot be served.
const LARGEST: u32 = 256 << 10;

/// How many entries are passed over in one call, for a guest that goes back.
const MOST_PASSED_OVER: u64 = 1 << 16;

/// The size of what stands before the name.
const HEAD: usize = 24;

impl Listing {
    fn entry(&mut self) -> Result<Option<DirEntry>, Errno> {
        match self.pending.take() {
            Some(entry) => Ok(Some(entry)),
            None => Ok(self.entries.next().transpose()?),
        }
    }
}

impl Folder {
    /// The entries from a place on, as WASI writes them: all, or `most` bytes, which may end in the middle of one.
    fn entries(&mut self, from: u64, most: usize) -> Result<Vec<u8>, Errno> {
        let listing = match self.listing.take().filter(|listing| listing.next == from && from > 0) {
            Some(listing) => listing,
            None => self.seek(from)?,
        };
        let listing = self.listing.insert(listing);
        let mut out = Vec::new();
        while let Some(entry) = listing.entry()? {
            let name = entry.file_name();
            let mut head = [0; HEAD];
            head[..8].copy_from_slice(&(listing.next + 1).to_le_bytes());
            head[8..16].copy_from_slice(&std::os::unix::fs::DirEntryExt::ino(&entry).to_le_bytes());
            // A name has 255 bytes at most.
            head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
            head[20] = stat::file_type(entry.file_type()?);
            let room = most - out.len();
            out.extend(head.iter().chain(name.as_bytes()).take(room));
            if room < HEAD + name.len() {
                listing.pending = Some(entry);
                break;
            }
            listing.next += 1;
        }
        Ok(out)
    }

    fn seek(&mut self, to: u64) -> Result<Listing, Errno> {
        if to > MOST_PASSED_OVER {
            return Err(Errno::Inval);
        }
        let mut listing = Listing { entries: self.dir.entries()?, pending: None, next: to };
        for _ in 0..to {
            if listing.entry()?.is_none() {
                break;
            }
        }
        Ok(listing)
    }
}

pub(super) fn readdir(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, buffer, len, _, used_at] = args(raw);
    let cookie = raw.get(3).copied().unwrap_or_default();
    let folder = call.state.files.folder(fd)?;
    if len > LARGEST {
        return Err(Errno::Inval);
    }
    let entries = match folder.entries(cookie, len as usize) {
        Ok(entries) => entries,
        Err(err) => {
            folder.listing = None;
            return Err(err);
        }
    };
    let mut memory = call.memory();
    memory.check(used_at, 4)?;
    memory.write(buffer, &entries)?;
    Ok(memory.write_u32(used_at, entries.len() as u32)?)
}
