//! Variables, which a plugin keeps from call to call of one instance: `host_calls/vars.rs` works on them.

use std::collections::BTreeMap;

/// What each variable takes beside its name and its value, as the reference host counts it: a string and a vector.
const OVERHEAD: u64 = 48;

/// The variables of an instance, under a cap on what they take together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vars {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    size: u64,
    most: u64,
}

impl Vars {
    /// None, and room for so many bytes.
    pub fn new(most: u64) -> Vars {
        Vars { values: BTreeMap::new(), size: 0, most }
    }

    /// How many bytes there is room for. Without any, there are no variables.
    pub fn most(&self) -> u64 {
        self.most
    }

    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// Sets one. Whether there is room for it; if not, all stays as it was.
    pub fn set(&mut self, name: Vec<u8>, value: Vec<u8>) -> bool {
        let before = self.values.get(&name).map_or(0, |before| size(&name, before));
        let size = (self.size - before).saturating_add(size(&name, &value));
        if size > self.most {
            return false;
        }
        self.size = size;
        self.values.insert(name, value);
        true
    }

    pub fn remove(&mut self, name: &[u8]) {
        if let Some(value) = self.values.remove(name) {
            self.size -= size(name, &value);
        }
    }
}

fn size(name: &[u8], value: &[u8]) -> u64 {
    name.len() as u64 + value.len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_have_a_cap() {
        let mut vars = Vars::new(200);
        assert!(vars.set(b"a".to_vec(), vec![0; 51]));
        assert!(!vars.set(b"b".to_vec(), vec![0; 52]));
        assert!(vars.set(b"b".to_vec(), vec![0; 51]));
        assert_eq!(vars.size, 200);
        assert!(!vars.set(b"a".to_vec(), vec![0; 52]), "a new value takes the place of the old one");
        assert_eq!(vars.get(b"a"), Some(&[0; 51][..]));
        vars.remove(b"b");
        vars.remove(b"c");
        assert_eq!(vars.size, 100);
        assert!(vars.set(b"a".to_vec(), vec![1; 151]));
        assert_eq!((vars.size, vars.get(b"a"), vars.get(b"b")), (200, Some(&[1; 151][..]), None));
    }
}
