//! The levels of nginx.conf, http { } and what is in it, by number: what each says, which one it is in, and what operators know it
//! by.

use std::collections::BTreeMap;
use std::iter;
use std::ops::{Index, IndexMut};
use std::rc::Rc;

use crate::config::loc_conf::LocConf;
use crate::nginx::log::Log;

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
    /// What it is called then.
    name: Option<Rc<LevelName>>,
    /// The error log that it has then, if that is not the one of the cycle.
    log: Option<Log<'static>>,
}

/// What operators know a level by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LevelName {
    /// The first name of its server.
    pub server: Vec<u8>,
    /// Its location, in the words of nginx.conf.
    pub location: Vec<u8>,
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

    /// Says what a level is called, once it is known which one it is in; `None`: as that.
    pub fn set_name(&mut self, level: Level, name: Option<LevelName>) {
        let outer = self.entry(level).outer;
        let name = name.map(Rc::new).or_else(|| self.0[outer?.0 as usize].name.clone());
        self.entry(level).name = name;
    }

    /// What a level is called. http { } has no name.
    pub fn name(&self, level: Level) -> Rc<LevelName> {
        self.0[level.0 as usize].name.clone().unwrap_or_default()
    }

    /// Says which error log a level has.
    pub fn set_log(&mut self, level: Level, log: Option<Log<'static>>) {
        self.entry(level).log = log;
    }

    /// The error log of a level.
    pub fn log(&self, level: Level) -> Option<Log<'static>> {
        self.0[level.0 as usize].log
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

/// What operators know a filter, or a program, by, beside the name of its module: no edit of other filters changes it.
#[derive(Clone, Debug, Default)]
pub struct KnownAs {
    /// The level that declares it.
    pub level: Rc<LevelName>,
    /// Its place among those that levels of this name declare.
    pub index: usize,
}

impl KnownAs {
    /// The next one on a level of this name. `before` has those that were asked for.
    pub fn next(level: Rc<LevelName>, before: &mut BTreeMap<Rc<LevelName>, usize>) -> KnownAs {
        let count = before.entry(level.clone()).or_default();
        let index = *count;
        *count += 1;
        KnownAs { level, index }
    }
}
