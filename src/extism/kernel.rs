//! The memory that a plugin shares with its host. PDKs copy all that they give and take through it, 8 bytes in a call; they know a
//! block by its address, which is its handle. `host_calls/memory.rs` has the functions through which the plugin works on it.
//!
//! The reference host has a small module with a memory of its own for it, called the kernel. What that does with what is wrong, this
//! does too: loads from outside give 0, stores to outside are dropped, and what cannot be allocated has the handle 0.
//! Addresses inside of a block, and behind its end, can be used for loads and stores; only its own address frees it.

use std::ops::Range;

use super::blocks::{Blocks, START};

/// So much stays allocated when the memory is emptied.
const KEPT: usize = 1 << 20;

/// All memory of one instance.
pub(super) struct Kernel {
    /// All up to the end of the last block; the first [`START`] bytes are nobody's.
    bytes: Vec<u8>,
    blocks: Blocks,
    limit: u64,
    input: Part,
    output: Part,
    /// The text of an error that has been set.
    error: Option<Part>,
}

/// A part of the memory. It need not be a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub at: u64,
    pub len: u64,
}

impl Kernel {
    /// An empty one, that never has more than so many bytes.
    pub fn new(limit: usize) -> Kernel {
        Kernel {
            bytes: Vec::new(),
            blocks: Blocks::default(),
            limit: limit as u64,
            input: Part::default(),
            output: Part::default(),
            error: None,
        }
    }

    /// Forgets all that there is.
    pub fn reset(&mut self) {
        // All fields are named: whoever adds one decides what becomes of it here.
        let Kernel { bytes, blocks, limit: _, input, output, error } = self;
        bytes.clear();
        bytes.shrink_to(KEPT);
        *blocks = Blocks::default();
        *input = Part::default();
        *output = Part::default();
        *error = None;
    }

    /// How many bytes there are, and how many there can be.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes a block. The handle is 0 when nothing is asked for, or there is no room.
    pub fn alloc(&mut self, len: u64) -> u64 {
        if len == 0 {
            return 0;
        }
        let Some(at) = self.blocks.take(len, self.limit) else { return 0 };
        if self.grow() {
            return at;
        }
        self.blocks.give_back(at);
        0
    }

    /// Has as many bytes as there are addresses. The new ones are zeros.
    fn grow(&mut self) -> bool {
        let Ok(wanted) = usize::try_from(self.blocks.end()) else { return false };
        let bytes = &mut self.bytes;
        if wanted > bytes.capacity() {
            // As `Vec` does it, but never far beyond the limit.
            let ample = bytes.capacity().saturating_mul(2).min(usize::try_from(self.limit).unwrap_or(usize::MAX));
            if bytes.try_reserve_exact(wanted.max(ample) - bytes.len()).is_err() {
                return false;
            }
        }
        if wanted > bytes.len() {
            bytes.resize(wanted, 0);
        }
        true
    }

    /// Frees a block. Whatever else it is, nothing happens.
    pub fn free(&mut self, handle: u64) {
        if self.blocks.give_back(handle) && handle == self.input.at {
            self.input.len = 0;
        }
    }

    /// The length of a block; 0 when there is none.
    pub fn length(&self, handle: u64) -> u64 {
        self.blocks.len_of(handle).unwrap_or(0)
    }

    pub fn load_u8(&self, at: u64) -> u8 {
        self.bytes(Part { at, len: 1 }).and_then(<[u8]>::first).copied().unwrap_or(0)
    }

    pub fn load_u64(&self, at: u64) -> u64 {
        let bytes = self.bytes(Part { at, len: 8 }).and_then(<[u8]>::first_chunk);
        bytes.copied().map_or(0, u64::from_le_bytes)
    }

    pub fn store(&mut self, at: u64, bytes: &[u8]) {
        if let Some(range) = self.range(Part { at, len: bytes.len() as u64 }) {
            self.bytes[range].copy_from_slice(bytes);
        }
    }

    /// Puts `bytes` into a block. `None`: there is no room. No bytes are the handle 0.
    pub fn put(&mut self, bytes: &[u8]) -> Option<u64> {
        if bytes.is_empty() {
            return Some(0);
        }
        let handle = Some(self.alloc(bytes.len() as u64)).filter(|handle| *handle != 0)?;
        self.store(handle, bytes);
        Some(handle)
    }

    /// The bytes of a block, which is freed. `None`: there is none. The handle 0 is no bytes.
    pub fn take(&mut self, handle: u64) -> Option<Vec<u8>> {
        if handle == 0 {
            return Some(Vec::new());
        }
        let part = self.block(handle)?;
        let bytes = self.bytes(part)?.to_vec();
        self.free(handle);
        Some(bytes)
    }

    /// Where a block is.
    fn block(&self, handle: u64) -> Option<Part> {
        self.blocks.len_of(handle).map(|len| Part { at: handle, len })
    }

    pub fn input(&self) -> Part {
        self.input
    }

    /// Says where the input is. Whether it is inside.
    pub fn set_input(&mut self, part: Part) -> bool {
        let is_inside = self.is_inside(part);
        if is_inside {
            self.input = part;
        }
        is_inside
    }

    /// The part of the input that begins so far behind its start.
    pub fn input_from(&self, offset: u64, len: u64) -> Option<Part> {
        let is_inside = offset.checked_add(len).is_some_and(|end| end <= self.input.len);
        // It is inside the memory, since the input is.
        is_inside.then(|| Part { at: self.input.at.saturating_add(offset), len })
    }

    pub fn output(&self) -> Part {
        self.output
    }

    /// Says where the output is. Whether it is inside.
    pub fn set_output(&mut self, part: Part) -> bool {
        let is_inside = self.is_inside(part);
        if is_inside {
            self.output = part;
        }
        is_inside
    }

    /// The output, as it is now.
    pub fn output_bytes(&self) -> &[u8] {
        self.bytes(self.output).unwrap_or_default()
    }

    /// Says that a block is the text of an error; 0 is that there is none. Whether there is such a block.
    pub fn set_error(&mut self, handle: u64) -> bool {
        let error = self.block(handle);
        if handle == 0 || error.is_some() {
            self.error = error;
        }
        handle == 0 || error.is_some()
    }

    /// The block with the text of an error; 0 when there is none.
    pub fn error(&self) -> u64 {
        self.error.map_or(0, |error| error.at)
    }

    /// The text of the error that has been set, as it is now.
    pub fn error_bytes(&self) -> Option<&[u8]> {
        self.error.and_then(|error| self.bytes(error))
    }

    /// No bytes are inside anywhere.
    fn is_inside(&self, part: Part) -> bool {
        part.len == 0 || self.range(part).is_some()
    }

    pub fn bytes(&self, part: Part) -> Option<&[u8]> {
        self.range(part).map(|range| &self.bytes[range])
    }

    fn range(&self, part: Part) -> Option<Range<usize>> {
        let end = part.at.checked_add(part.len)?;
        let is_inside = part.at >= START && end <= self.bytes.len() as u64;
        is_inside.then_some(part.at as usize..end as usize)
    }
}

#[cfg(test)]
mod tests;
