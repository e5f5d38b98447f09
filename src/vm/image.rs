//! What an instance is at one moment: its memory and its globals. An engine takes an [`Image`] of an instance, puts others back to
//! it, and makes new ones right from it.

use std::ops::Range;

/// In pieces of this size pages are kept and put back. Pages of all systems are multiples of it.
pub(super) const PIECE: usize = 4096;

static ZEROS: [u8; PIECE] = [0; PIECE];

/// What an instance was when the image was made. Tables are not in it: only modules that never change theirs have images.
pub struct Image {
    /// Which program it was an instance of.
    pub(super) program: u64,
    /// Bytes of memory.
    size: usize,
    /// For each piece of memory the place of its bytes in `content`, counted in pieces from 1 on; 0 is zeros.
    places: Vec<u32>,
    content: Vec<u8>,
    /// What a new instance may have otherwise. `None`: any part of memory.
    changed: Option<Vec<Range<usize>>>,
    /// The mutable globals, in the order in which the module has them: their bits.
    pub(super) globals: Vec<u128>,
}

impl Image {
    /// Keeps memory and globals of an instance of program number `program`. `changed`: where its memory is not what that of a new
    /// instance is, in ranges whose ends are multiples of [`PIECE`], if that is known.
    pub(super) fn new(program: u64, memory: &[u8], changed: Option<Vec<Range<usize>>>, globals: Vec<u128>) -> Image {
        let mut image = Image {
            program,
            size: memory.len(),
            places: Vec::with_capacity(memory.len().div_ceil(PIECE)),
            content: Vec::new(),
            changed,
            globals,
        };
        for piece in memory.chunks(PIECE) {
            if is_zero(piece) {
                image.places.push(0);
                continue;
            }
            image.content.extend_from_slice(piece);
            // The last piece of a memory whose size is no multiple.
            image.content.resize(image.content.len().next_multiple_of(PIECE), 0);
            image.places.push((image.content.len() / PIECE) as u32);
        }
        image
    }

    /// Bytes of memory of the instance.
    pub fn memory(&self) -> usize {
        self.size
    }

    /// What a new instance may have otherwise.
    pub(super) fn changed(&self) -> Vec<Range<usize>> {
        self.changed.clone().unwrap_or_else(|| std::iter::once(0..self.size).collect())
    }

    /// How many bytes a new instance may have otherwise: as many at least each instance has for itself.
    pub fn changed_bytes(&self) -> usize {
        self.changed.as_ref().map_or(self.size, |changed| changed.iter().map(ExactSizeIterator::len).sum())
    }

    /// Gives `memory`, which is as large as that of the image, the bytes of the image in a range that begins with a piece.
    pub(super) fn put_back(&self, memory: &mut [u8], range: Range<usize>) {
        let first = range.start / PIECE;
        for (piece, place) in memory[range].chunks_mut(PIECE).zip(&self.places[first..]) {
            match *place {
                0 => piece.fill(0),
                place => piece.copy_from_slice(&self.content[(place as usize - 1) * PIECE..][..piece.len()]),
            }
        }
    }

    /// The same, where it makes a difference. What is only read keeps its place in the system, and in the processor's caches need not
    /// be written back.
    pub(super) fn put_back_what_differs(&self, memory: &mut [u8], range: Range<usize>) {
        let first = range.start / PIECE;
        for (piece, place) in memory[range].chunks_mut(PIECE).zip(&self.places[first..]) {
            match *place {
                0 if is_zero(piece) => {}
                0 => piece.fill(0),
                place => {
                    let kept = &self.content[(place as usize - 1) * PIECE..][..piece.len()];
                    if piece != kept {
                        piece.copy_from_slice(kept);
                    }
                }
            }
        }
    }
}

/// Whether both are the same: what an instance is that is put back to one or the other.
impl PartialEq for Image {
    fn eq(&self, other: &Image) -> bool {
        let Image { program, size, places, content, changed: _, globals } = self;
        (*program, *size, places, content, globals)
            == (other.program, other.size, &other.places, &other.content, &other.globals)
    }
}

/// Of at most a piece. To compare with zeros is faster than to look at each byte.
fn is_zero(piece: &[u8]) -> bool {
    *piece == ZEROS[..piece.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pieces of zeros with something at the edges, and a bit more.
    fn memory() -> Vec<u8> {
        let mut memory = vec![0; 5 * PIECE + 10];
        for place in [PIECE, 2 * PIECE - 1, 4 * PIECE + 7, 5 * PIECE + 9] {
            memory[place] = 7;
        }
        memory
    }

    #[test]
    fn each_piece_is_put_back_by_itself() {
        let image = Image::new(0, &memory(), None, Vec::new());
        assert_eq!((image.memory(), image.content.len()), (5 * PIECE + 10, 3 * PIECE));
        for put_back in [Image::put_back, Image::put_back_what_differs] {
            for range in [0..PIECE, PIECE..3 * PIECE, 4 * PIECE..5 * PIECE + 10, 0..5 * PIECE + 10, PIECE..PIECE] {
                let mut dirty = vec![9; memory().len()];
                put_back(&image, &mut dirty, range.clone());
                for (n, byte) in dirty.iter().enumerate() {
                    assert_eq!(*byte, if range.contains(&n) { memory()[n] } else { 9 }, "{n} of {range:?}");
                }
            }
        }
    }

    #[test]
    fn no_memory_is_an_image_too() {
        let image = Image::new(0, &[], None, Vec::new());
        image.put_back(&mut [], 0..0);
        assert_eq!((image.memory(), image.changed_bytes()), (0, 0));
    }

    #[test]
    fn what_a_new_instance_has_otherwise_is_all_or_what_is_known() {
        assert_eq!(Image::new(0, &memory(), None, Vec::new()).changed_bytes(), 5 * PIECE + 10);
        let some = Image::new(0, &memory(), Some(vec![0..PIECE, 2 * PIECE..4 * PIECE]), Vec::new());
        assert_eq!(some.changed_bytes(), 3 * PIECE);
    }
}
