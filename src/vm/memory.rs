//! The only place where guest memory is touched. Every pointer and size that a guest passes goes through here, and is
//! checked in 64 bits, where the sum of two 32-bit numbers cannot wrap.

use std::cell::Cell;

use thiserror::Error;

/// A pointer or a size of the guest leads outside its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("guest memory access out of bounds: {len} bytes at {ptr:#x}")]
pub struct OutOfBounds {
    /// Where the access begins.
    pub ptr: u32,
    /// How long it is.
    pub len: u64,
}

/// A view of the guest's linear memory, valid until the guest runs again.
pub struct GuestMemory<'a> {
    bytes: &'a mut [u8],
    copied: Option<&'a Cell<u64>>,
}

impl<'a> GuestMemory<'a> {
    /// Wraps the memory as the engine gives it.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        GuestMemory { bytes, copied: None }
    }

    /// Wraps the memory, and adds what is read and written to `copied`.
    pub fn counted(bytes: &'a mut [u8], copied: &'a Cell<u64>) -> Self {
        GuestMemory { bytes, copied: Some(copied) }
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// `len` bytes at `ptr`. No bytes may be asked for anywhere inside memory, or right behind its end.
    pub fn read(&self, ptr: u32, len: u32) -> Result<&[u8], OutOfBounds> {
        let (start, end) = self.range(ptr, u64::from(len))?;
        self.count(u64::from(len));
        Ok(&self.bytes[start..end])
    }

    /// As [`GuestMemory::read`], for who looks on: it is not counted.
    pub fn peek(&self, ptr: u32, len: u32) -> Result<&[u8], OutOfBounds> {
        let (start, end) = self.range(ptr, u64::from(len))?;
        Ok(&self.bytes[start..end])
    }

    /// Copies `bytes` to `ptr`.
    pub fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let (start, end) = self.range(ptr, bytes.len() as u64)?;
        self.count(bytes.len() as u64);
        self.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }

    /// The little-endian 32-bit number at `ptr`.
    pub fn read_u32(&self, ptr: u32) -> Result<u32, OutOfBounds> {
        let (start, _) = self.range(ptr, 4)?;
        self.count(4);
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.bytes[start..start + 4]);
        Ok(u32::from_le_bytes(bytes))
    }

    /// Writes a little-endian 32-bit number.
    pub fn write_u32(&mut self, ptr: u32, value: u32) -> Result<(), OutOfBounds> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// Writes a little-endian 64-bit number.
    pub fn write_u64(&mut self, ptr: u32, value: u64) -> Result<(), OutOfBounds> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// `len` bytes at `ptr`, to write to.
    pub fn bytes(&mut self, ptr: u32, len: u32) -> Result<&mut [u8], OutOfBounds> {
        let (start, end) = self.range(ptr, u64::from(len))?;
        self.count(u64::from(len));
        Ok(&mut self.bytes[start..end])
    }

    /// Fills `len` bytes at `ptr` through `fill`.
    pub fn fill_with<E>(
        &mut self,
        ptr: u32,
        len: u32,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, OutOfBounds> {
        let (start, end) = self.range(ptr, u64::from(len))?;
        self.count(u64::from(len));
        Ok(fill(&mut self.bytes[start..end]))
    }

    /// Fails when `len` bytes at `ptr` are not all inside, without touching them.
    pub fn check(&self, ptr: u32, len: u64) -> Result<(), OutOfBounds> {
        self.range(ptr, len).map(|_| ())
    }

    fn count(&self, bytes: u64) {
        if let Some(copied) = self.copied {
            copied.set(copied.get().saturating_add(bytes));
        }
    }

    fn range(&self, ptr: u32, len: u64) -> Result<(usize, usize), OutOfBounds> {
        let start = u64::from(ptr);
        match start.checked_add(len) {
            Some(end) if end <= self.bytes.len() as u64 => Ok((start as usize, end as usize)),
            _ => Err(OutOfBounds { ptr, len }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_ends_at_the_last_byte() {
        let mut bytes = [7u8; 16];
        let mut memory = GuestMemory::new(&mut bytes);
        assert_eq!(memory.read(12, 4), Ok(&[7u8; 4][..]));
        assert_eq!(memory.read(16, 0), Ok(&[][..]));
        assert_eq!(memory.read(13, 4), Err(OutOfBounds { ptr: 13, len: 4 }));
        assert!(memory.read(17, 0).is_err());
        assert!(memory.write(15, &[1, 2]).is_err());
        assert!(memory.write_u64(9, 1).is_err());
        assert_eq!(memory.write_u64(8, 1), Ok(()));
        assert_eq!(memory.read_u32(8), Ok(1));
    }

    #[test]
    fn the_sum_of_pointer_and_size_does_not_wrap() {
        let mut bytes = [0u8; 16];
        let memory = GuestMemory::new(&mut bytes);
        assert!(memory.read(u32::MAX, u32::MAX).is_err());
        assert!(memory.read(8, u32::MAX - 4).is_err());
        assert!(memory.check(1, u64::MAX).is_err());
    }

    #[test]
    fn what_is_copied_is_counted_and_what_fails_is_not() {
        let mut bytes = [0u8; 64];
        let copied = Cell::new(0);
        let mut memory = GuestMemory::counted(&mut bytes, &copied);
        memory.read(0, 10).unwrap();
        memory.write(0, &[1; 20]).unwrap();
        assert_eq!(copied.get(), 30);
        memory.read_u32(0).unwrap();
        memory.write_u32(0, 1).unwrap();
        memory.write_u64(0, 1).unwrap();
        assert_eq!(copied.get(), 46);
        memory.fill_with(0, 5, |_| Ok::<(), ()>(())).unwrap().unwrap();
        memory.check(0, 64).unwrap();
        memory.read(60, 5).unwrap_err();
        memory.write(60, &[0; 5]).unwrap_err();
        assert_eq!(copied.get(), 51);
    }

    #[test]
    fn a_guest_without_memory_has_none() {
        let memory = GuestMemory::new(&mut []);
        assert!(memory.read(0, 1).is_err());
        assert_eq!(memory.read(0, 0), Ok(&[][..]));
    }
}
