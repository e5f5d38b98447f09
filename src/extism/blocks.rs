//! Which parts of an address space are in use: the bookkeeping of `kernel.rs`. It is the host's alone, so that nothing that a plugin
//! writes can break it.

use std::collections::{BTreeMap, BTreeSet};

/// The first address. 0 is no block.
pub(super) const START: u64 = 64;

/// The smallest block takes so much, and sizes are multiples of the second. So what is kept here of a block takes no more memory than
/// the block does.
const SMALLEST: u64 = 64;
const STEP: u64 = 16;

/// What was freed is taken again when there would be a new page otherwise, as in the reference host. Some PDKs free handles that they
/// have given to a host function, which is freeing them twice: that must not hit the block with the result.
const PAGE: u64 = 64 << 10;

/// The longest block, when none ends behind `limit`.
pub(super) fn longest(limit: u64) -> u64 {
    let room = limit.saturating_sub(START);
    if room < SMALLEST { 0 } else { room - room % STEP }
}

/// Blocks, and the holes between them.
pub(super) struct Blocks {
    used: BTreeMap<u64, Block>,
    /// Sizes by addresses. No two of them touch each other.
    holes: BTreeMap<u64, u64>,
    /// The same holes, the smallest first.
    by_size: BTreeSet<(u64, u64)>,
    end: u64,
}

struct Block {
    /// What was asked for.
    len: u64,
    /// What it takes.
    size: u64,
}

impl Default for Blocks {
    fn default() -> Self {
        Blocks { used: BTreeMap::new(), holes: BTreeMap::new(), by_size: BTreeSet::new(), end: START }
    }
}

impl Blocks {
    /// Behind the last block that there ever was.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Takes a block of `len` bytes. `None`: it would end behind `limit`.
    pub fn take(&mut self, len: u64, limit: u64) -> Option<u64> {
        let size = len.checked_next_multiple_of(STEP)?.max(SMALLEST);
        let room = self.end.next_multiple_of(PAGE).min(limit);
        let is_in_page = self.end.checked_add(size).is_some_and(|end| end <= room);
        let fitting = if is_in_page { None } else { self.by_size.range((size, 0)..).next().copied() };
        let at = match fitting {
            Some((hole, at)) => {
                self.remove_hole(at, hole);
                if hole > size {
                    self.insert_hole(at + size, hole - size);
                }
                at
            }
            None => self.take_at_end(size, limit, is_in_page)?,
        };
        self.used.insert(at, Block { len, size });
        Some(at)
    }

    /// Takes what lies behind all blocks; with what is free there already, unless that is to be left.
    fn take_at_end(&mut self, size: u64, limit: u64, leaves_hole: bool) -> Option<u64> {
        let last = self.holes.last_key_value().map(|(at, hole)| (*at, *hole));
        let last = last.filter(|(at, hole)| !leaves_hole && at + hole == self.end);
        let at = last.map_or(self.end, |(at, _)| at);
        let end = at.checked_add(size).filter(|end| *end <= limit)?;
        if let Some((at, hole)) = last {
            self.remove_hole(at, hole);
        }
        self.end = end;
        Some(at)
    }

    /// Makes a hole of the block that begins at `at`. Whether there is one.
    pub fn give_back(&mut self, at: u64) -> bool {
        let Some(Block { size, .. }) = self.used.remove(&at) else { return false };
        let (mut start, mut end) = (at, at + size);
        if let Some((before, hole)) = self.holes.range(..at).next_back().map(|(at, hole)| (*at, *hole))
            && before + hole == start
        {
            self.remove_hole(before, hole);
            start = before;
        }
        if let Some(hole) = self.holes.get(&end).copied() {
            self.remove_hole(end, hole);
            end += hole;
        }
        self.insert_hole(start, end - start);
        true
    }

    /// How many bytes were asked for the block that begins at `at`.
    pub fn len_of(&self, at: u64) -> Option<u64> {
        self.used.get(&at).map(|block| block.len)
    }

    fn insert_hole(&mut self, at: u64, size: u64) {
        self.holes.insert(at, size);
        self.by_size.insert((size, at));
    }

    fn remove_hole(&mut self, at: u64, size: u64) {
        self.holes.remove(&at);
        self.by_size.remove(&(size, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1 << 20;

    /// Fails when blocks and holes are not exactly what lies between both ends.
    fn check(blocks: &Blocks) {
        let mut parts: Vec<(u64, u64)> = blocks.used.iter().map(|(at, block)| (*at, block.size)).collect();
        parts.extend(blocks.holes.iter().map(|(at, size)| (*at, *size)));
        parts.sort_unstable();
        let mut end = START;
        for (at, size) in &parts {
            assert_eq!(*at, end, "{parts:?}");
            end += size;
        }
        assert_eq!(end, blocks.end);
        assert!(blocks.used.values().all(|block| block.len <= block.size));
        assert!(blocks.holes.iter().all(|(at, size)| !blocks.holes.contains_key(&(at + size))), "two holes touch");
        let by_size: BTreeSet<_> = blocks.holes.iter().map(|(at, size)| (*size, *at)).collect();
        assert_eq!(by_size, blocks.by_size);
    }

    #[test]
    fn blocks_do_not_touch_each_other() {
        let mut blocks = Blocks::default();
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let mut number: u64 = 12345;
        for _ in 0..3000 {
            // Any sequence will do that is the same in each run.
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = number >> 33;
            if choice.is_multiple_of(3) && !taken.is_empty() {
                let (at, _) = taken.swap_remove(choice as usize % taken.len());
                assert!(blocks.give_back(at));
                assert!(!blocks.give_back(at));
            } else if let Some(at) = blocks.take(choice % 700, LIMIT) {
                let len = choice % 700;
                assert!(taken.iter().all(|(other, other_len)| at + len <= *other || other + other_len <= at));
                assert_eq!(blocks.len_of(at), Some(len));
                taken.push((at, len));
            }
            check(&blocks);
        }
        assert!(taken.len() > 100);
    }

    #[test]
    fn what_was_given_back_is_taken_again_when_a_page_is_full() {
        let mut blocks = Blocks::default();
        let first = [100, 200, 300].map(|len| blocks.take(len, LIMIT).unwrap());
        let rest = blocks.take(PAGE - blocks.end(), LIMIT).unwrap();
        for at in [first[0], first[2], first[1]] {
            assert!(blocks.give_back(at));
            check(&blocks);
        }
        assert_eq!(blocks.take(rest - START, LIMIT), Some(START));
        assert_eq!(blocks.end(), PAGE);
    }

    #[test]
    fn what_was_given_back_is_not_taken_at_once() {
        let mut blocks = Blocks::default();
        let first = blocks.take(100, LIMIT).unwrap();
        assert!(blocks.give_back(first));
        let second = blocks.take(100, LIMIT).unwrap();
        check(&blocks);
        assert!(second > first && !blocks.give_back(first));
        assert_eq!(blocks.len_of(second), Some(100));
    }

    #[test]
    fn a_hole_at_the_end_grows() {
        let mut blocks = Blocks::default();
        let (_, last) = (blocks.take(64, LIMIT), blocks.take(PAGE, LIMIT).unwrap());
        assert!(blocks.give_back(last));
        assert_eq!(blocks.take(2 * PAGE, START + 64 + 2 * PAGE), Some(last));
        check(&blocks);
    }

    #[test]
    fn nothing_is_taken_behind_the_limit() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.take(65, START + 64), None);
        for len in [u64::MAX, u64::MAX - 15, u64::MAX - 64] {
            assert_eq!(blocks.take(len, u64::MAX), None, "{len}");
        }
        assert_eq!(blocks.take(64, START + 64), Some(START));
        assert_eq!(blocks.take(0, START + 64), None);
        check(&blocks);
    }

    #[test]
    fn the_longest_block_is_found_room_for() {
        for limit in [0, 1, START, START + 63, START + 64, START + 79, 1000, 1 << 16, (1 << 16) + 5] {
            let longest = longest(limit);
            assert!(longest == 0 || Blocks::default().take(longest, limit).is_some(), "{limit}");
            assert_eq!(Blocks::default().take(longest + 1, limit), None, "{limit}");
        }
    }

    #[test]
    fn only_the_address_of_a_block_stands_for_it() {
        let mut blocks = Blocks::default();
        let at = blocks.take(100, LIMIT).unwrap();
        assert_eq!(blocks.len_of(at), Some(100));
        for wrong in [0, at - 1, at + 1, at + 16, u64::MAX] {
            assert_eq!((blocks.len_of(wrong), blocks.give_back(wrong)), (None, false));
        }
    }
}
