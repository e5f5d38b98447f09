//! `random_get`, from the operating system.

use super::Errno;
use super::call::{Call, Row, Run};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[Row { name: "random_get", types: &[("ii", "i")], run: Run::Errno(random_get) }];

/// The reference host's limit, for filters: more at once is a mistake, or an attempt to keep the host busy. A program, whose
/// thread is its own, gets as many as it asks for, in pieces of this size.
const LARGEST: u32 = 64 << 10;

fn random_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [ptr, len] = args(raw);
    if len > LARGEST && !call.is_program() {
        return Err(Errno::Inval);
    }
    call.state.has_read_random |= len > 0;
    let fill = |bytes: &mut [u8]| bytes.chunks_mut(LARGEST as usize).try_for_each(getrandom::fill);
    call.memory().fill_with(ptr, len, fill)?.map_err(|_| Errno::Io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::tests::support::{FILLED, MEMORY, probe};

    fn random(ptr: u32, len: u32) -> crate::proxy_wasm::tests::support::Answer {
        probe(Default::default(), "random_get", &[u64::from(ptr), u64::from(len)], &[])
    }

    #[test]
    fn exactly_the_bytes_asked_for_are_random() {
        let (first, second) = (random(0x100, 64), random(0x100, 64));
        assert_eq!(first.status, 0);
        assert_ne!(first.memory[0x100..0x140], second.memory[0x100..0x140]);
        assert!(first.memory[..0x100].iter().chain(&first.memory[0x140..0x2000]).all(|byte| *byte == FILLED));
    }

    #[test]
    fn up_to_64_kib_are_given_at_once() {
        assert_eq!(random(0x8000, LARGEST).status, 0);
        let answer = random(0x8000, LARGEST + 1);
        assert_eq!(answer.status, Errno::Inval as u32);
        assert!(answer.untouched());
    }

    #[test]
    fn no_bytes_are_fine_and_memory_outside_is_a_fault() {
        assert_eq!(random(MEMORY, 0).status, 0);
        for (ptr, len) in [(MEMORY - 1, 2), (MEMORY, 1), (u32::MAX, 1), (u32::MAX, LARGEST)] {
            let answer = random(ptr, len);
            assert_eq!(answer.status, Errno::Fault as u32, "{len} at {ptr:#x}");
            assert!(answer.untouched());
        }
    }
}
