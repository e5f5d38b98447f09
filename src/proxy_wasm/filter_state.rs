//! Filter state: values by key that the filters of a request, or of a connection, pass to each other. A [`Host`] owns one
//! for each; `properties.rs` and `foreign/filter_state.rs` read and write them for guests.
//!
//! [`Host`]: super::Host

use std::collections::BTreeMap;

use super::types::Status;

/// How many values there can be.
pub const MAX_ENTRIES: usize = 256;

/// The most bytes that all keys and values have together.
pub const MAX_BYTES: usize = 1 << 20;

/// What a value is to an expression; guests read bytes either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueType {
    /// Bytes.
    #[default]
    Bytes,
    /// Text.
    String,
}

/// How long a value is kept. The first two are the same here, since a request goes through its filters once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifeSpan {
    /// As long as the request is with its filters.
    #[default]
    FilterChain,
    /// As long as the request.
    DownstreamRequest,
    /// As long as the connection of the client.
    DownstreamConnection,
}

/// What is known of a value before it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prototype {
    /// Its type.
    pub value_type: ValueType,
    /// It can be set once.
    pub read_only: bool,
    /// How long it is kept.
    pub span: LifeSpan,
}

struct Entry {
    value: Vec<u8>,
    value_type: ValueType,
    read_only: bool,
}

/// The values of a request or connection.
#[derive(Default)]
pub struct FilterState {
    // Few, and most often none: an empty one of these is nothing to make.
    entries: BTreeMap<Vec<u8>, Entry>,
    bytes: usize,
}

impl FilterState {
    /// Sets a value. A new one is made by `prototype`, one that is there keeps its own.
    pub fn set(&mut self, key: &[u8], value: &[u8], prototype: Prototype) -> Result<(), Status> {
        let added = match self.entries.get(key) {
            Some(entry) if entry.read_only => return Err(Status::BadArgument),
            Some(entry) => self.bytes - entry.value.len() + value.len(),
            None if self.entries.len() >= MAX_ENTRIES => return Err(Status::InternalFailure),
            None => self.bytes + key.len() + value.len(),
        };
        if added > MAX_BYTES {
            return Err(Status::InternalFailure);
        }
        self.bytes = added;
        match self.entries.get_mut(key) {
            Some(entry) => entry.value = value.to_vec(),
            None => {
                let Prototype { value_type, read_only, .. } = prototype;
                self.entries.insert(key.to_vec(), Entry { value: value.to_vec(), value_type, read_only });
            }
        }
        Ok(())
    }

    /// The value under `key`, and its type.
    pub fn get(&self, key: &[u8]) -> Option<(&[u8], ValueType)> {
        self.entries.get(key).map(|entry| (entry.value.as_slice(), entry.value_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(state: &FilterState, key: &[u8]) -> Option<Vec<u8>> {
        state.get(key).map(|(value, _)| value.to_vec())
    }

    #[test]
    fn what_was_set_last_is_read() {
        let mut state = FilterState::default();
        assert_eq!(value(&state, b"a\0\xff"), None);
        state.set(b"a\0\xff", b"1\0", Prototype::default()).unwrap();
        state.set(b"a\0\xff", b"22", Prototype::default()).unwrap();
        state.set(b"b", b"", Prototype::default()).unwrap();
        assert_eq!(value(&state, b"a\0\xff"), Some(b"22".to_vec()));
        assert_eq!(value(&state, b"b"), Some(Vec::new()));
    }

    #[test]
    fn a_read_only_value_is_set_once() {
        let mut state = FilterState::default();
        let read_only = Prototype { read_only: true, ..Prototype::default() };
        state.set(b"a", b"1", read_only).unwrap();
        assert_eq!(state.set(b"a", b"2", Prototype::default()), Err(Status::BadArgument));
        assert_eq!(value(&state, b"a"), Some(b"1".to_vec()));
    }

    #[test]
    fn a_value_keeps_its_first_prototype() {
        let mut state = FilterState::default();
        let text = Prototype { value_type: ValueType::String, ..Prototype::default() };
        state.set(b"a", b"1", text).unwrap();
        state.set(b"a", b"2", Prototype { read_only: true, ..Prototype::default() }).unwrap();
        state.set(b"a", b"3", Prototype::default()).unwrap();
        assert_eq!(state.get(b"a"), Some((&b"3"[..], ValueType::String)));
    }

    #[test]
    fn entries_are_bounded() {
        let mut state = FilterState::default();
        for n in 0..MAX_ENTRIES {
            state.set(n.to_string().as_bytes(), b"", Prototype::default()).unwrap();
        }
        assert_eq!(state.set(b"one more", b"", Prototype::default()), Err(Status::InternalFailure));
        assert_eq!(state.set(b"0", b"again", Prototype::default()), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_and_what_is_replaced_counts_no_more() {
        let mut state = FilterState::default();
        let most = vec![0; MAX_BYTES - 1];
        state.set(b"a", &most, Prototype::default()).unwrap();
        assert_eq!(state.set(b"b", b"", Prototype::default()), Err(Status::InternalFailure));
        assert_eq!(state.set(b"a", &vec![0; MAX_BYTES], Prototype::default()), Err(Status::InternalFailure));
        assert_eq!(value(&state, b"a").map(|value| value.len()), Some(MAX_BYTES - 1));
        state.set(b"a", b"", Prototype::default()).unwrap();
        state.set(b"b", &most[1..], Prototype::default()).unwrap();
    }
}
