//! Lists of pieces of guest memory that are read or written one after the other: `iovec`, `ciovec`.

use super::Errno;
use super::call::Call;

/// What one call moves at most, and how many pieces it takes. Both keep a guest from making the host work for long in one
/// call; WASI allows to move less than asked.
const MOST: u32 = 64 << 10;
/// The same of a program, which keeps nobody waiting. Many take for granted that a file gives, and takes, all at once; but a
/// program that is to end ends behind the call.
const MOST_OF_A_PROGRAM: u32 = 16 << 20;
const MOST_PIECES: u32 = 1024;

/// The size of an entry of the list.
const IOVEC: u32 = 8;

/// The list that a guest passes, and where it wants to know how many bytes were moved.
#[derive(Clone, Copy)]
pub(super) struct Vectors {
    pub at: u32,
    pub count: u32,
    pub moved_at: u32,
}

impl Vectors {
    /// Moves each piece, given as address and size, until one is moved in part only. `moved` in the third argument are the
    /// bytes before it.
    pub fn transfer(
        self,
        call: &mut Call<'_>,
        mut piece: impl FnMut(&mut Call<'_>, (u32, u32), u32) -> Result<u32, Errno>,
    ) -> Result<(), Errno> {
        let is_program = call.is_program();
        let most = if is_program { MOST_OF_A_PROGRAM } else { MOST };
        call.memory().check(self.at, u64::from(self.count) * u64::from(IOVEC))?;
        call.memory().check(self.moved_at, 4)?;
        if is_program {
            self.check_pieces(call)?;
        }
        let mut moved = 0u32;
        for n in 0..self.count.min(MOST_PIECES) {
            if moved >= most {
                break;
            }
            let (ptr, len) = self.piece(call, n)?;
            let len = len.min(most - moved);
            match piece(call, (ptr, len), moved) {
                Ok(done) => {
                    moved += done;
                    if done < len {
                        break;
                    }
                }
                // What was moved before counts.
                Err(_) if moved > 0 => break,
                Err(err) => return Err(err),
            }
        }
        Ok(call.put_u32(self.moved_at, moved)?)
    }

    /// What has been read of an input is lost if a later piece is not in memory. So a program learns that before anything is
    /// moved.
    fn check_pieces(self, call: &mut Call<'_>) -> Result<(), Errno> {
        (0..self.count.min(MOST_PIECES)).try_for_each(|n| self.piece(call, n).map(|_| ()))
    }

    /// Address and size of a piece, which is in memory.
    fn piece(self, call: &mut Call<'_>, n: u32) -> Result<(u32, u32), Errno> {
        let at = self.at + n * IOVEC;
        let memory = call.memory();
        let (ptr, len) = (memory.read_u32(at)?, memory.read_u32(at + 4)?);
        memory.check(ptr, u64::from(len))?;
        Ok((ptr, len))
    }
}
