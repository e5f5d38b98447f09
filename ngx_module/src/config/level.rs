//! The levels of nginx.conf, http { } and what is in it, by number: what each says, and which one it is in.

use std::iter;
use std::ops::{Index, IndexMut};

use crate::config::loc_conf::LocConf;

/// The number of a level. http { } has the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(u32);

/// All levels of a configuration.
#[derive(Default)]
pub struct Levels(Vec<Entry>);

#[derive(Default)]
struct Entry {
    said: LocConf,
    /// The level that this one is in, once they are merged.
    outer: Option<Level>,
}

impl Levels {
    /// Adds one that says nothing. nginx makes that of http { } first. `None`: there are too many.
    pub fn add(&mut self) -> Option<Level> {
        let level = Level(u32::try_from(self.0.len()).ok()?);
        self.0.push(Entry::default());
        Some(level)
    }

    /// The level http { }, once nginx has begun it.
    pub fn http(&self) -> Option<Level> {
        (!self.0.is_empty()).then_some(Level(0))
    }

    /// Has `level` say what `outer`, which it is in, says and it does not.
    pub fn inherit(&mut self, level: Level, outer: Level) {
        let around = self[outer].clone();
        self[level].inherit(&around);
        self.entry(level).outer = Some(outer);
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Level> + use<> {
        (0..self.0.len() as u32).map(Level)
    }

    /// A level, and those that it is in, from the inside.
    pub fn outwards(&self, from: Option<Level>) -> impl Iterator<Item = Level> {
        iter::successors(from, |level| self.0[level.0 as usize].outer)
    }

    fn entry(&mut self, level: Level) -> &mut Entry {
        &mut self.0[level.0 as usize]
    }
}

impl Index<Level> for Levels {
    type Output = LocConf;

    fn index(&self, level: Level) -> &LocConf {
        &self.0[level.0 as usize].said
    }
}

impl IndexMut<Level> for Levels {
    fn index_mut(&mut self, level: Level) -> &mut LocConf {
        &mut self.entry(level).said
    }
}
