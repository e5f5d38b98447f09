//! The contexts of a VM: roots (one for each configuration) and streams, with one counter of identifiers for both.
//! Source: specification 0.2.1, "Contexts".

use std::collections::HashMap;

use super::config::RootConfig;
use super::ids::{ContextId, StreamToken};

/// What the host keeps of a context.
pub(super) enum Context {
    /// A root context, with its configuration.
    Root(Box<RootConfig>),
    /// A stream context.
    Stream {
        /// The root that it belongs to.
        root: ContextId,
        /// The embedder's name for the stream; gone when the stream is.
        token: Option<StreamToken>,
        /// The guest answered false to on_done and owes a proxy_done.
        pending_done: bool,
        /// What is left of its fuel, if the VM has a limit.
        fuel: u64,
    },
}

/// How many places there are at most. Contexts that find theirs taken are kept aside.
const MOST_PLACES: usize = 1 << 12;

/// All contexts of a VM. Numbers are given out one after the other, so those that are there at one time mostly differ in their last
/// bits: these are the place of a context, and nobody has to search for it.
#[derive(Default)]
pub(super) struct Contexts {
    /// So many that the last bits of a number are a place: a power of two, once there has been a context.
    places: Vec<Option<(u32, Context)>>,
    /// Those whose place another one had.
    aside: HashMap<u32, Context>,
    len: usize,
    last: u32,
    /// Numbers to give out again, the last freed first; none are kept unless asked for.
    free: Option<Vec<u32>>,
}

/// Which numbers the next contexts get.
#[derive(PartialEq)]
pub(super) struct Numbers {
    last: u32,
    free: Option<Vec<u32>>,
}

impl Contexts {
    /// No contexts yet.
    pub fn new(reuse_ids: bool) -> Self {
        Contexts { free: reuse_ids.then(Vec::new), ..Contexts::default() }
    }

    /// Adds a context under the next free number. One that has been used before must be `is_usable` again.
    pub fn insert(&mut self, context: Context, is_usable: impl Fn(ContextId) -> bool) -> ContextId {
        if let Some(free) = &mut self.free
            && let Some(place) = free.iter().rposition(|id| is_usable(ContextId(*id)))
        {
            let id = ContextId(free.remove(place));
            self.put(id, context);
            return id;
        }
        loop {
            // After 4 billion contexts numbers come again; those still in use are passed over.
            self.last = self.last.checked_add(1).unwrap_or(1);
            let id = ContextId(self.last);
            if self.get(id).is_none() {
                self.put(id, context);
                return id;
            }
        }
    }

    pub fn get(&self, id: ContextId) -> Option<&Context> {
        match self.places.get(self.place(id)) {
            Some(Some((there, context))) if *there == id.0 => Some(context),
            _ if self.aside.is_empty() => None,
            _ => self.aside.get(&id.0),
        }
    }

    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        let place = self.place(id);
        match self.places.get_mut(place) {
            Some(Some((there, context))) if *there == id.0 => Some(context),
            _ if self.aside.is_empty() => None,
            _ => self.aside.get_mut(&id.0),
        }
    }

    /// Removes a context that the guest has deleted, too.
    pub fn remove(&mut self, id: ContextId) -> Option<Context> {
        let removed = self.abandon(id);
        if let (Some(_), Some(free)) = (&removed, &mut self.free) {
            free.push(id.0);
        }
        removed
    }

    /// Removes a context that the guest may still have: SDKs stop at a number that they know already, so this one is not
    /// given out again.
    pub fn abandon(&mut self, id: ContextId) -> Option<Context> {
        let place = self.place(id);
        let removed = match self.places.get_mut(place) {
            Some(slot) if slot.as_ref().is_some_and(|(there, _)| *there == id.0) => {
                slot.take().map(|(_, context)| context)
            }
            _ if self.aside.is_empty() => None,
            _ => self.aside.remove(&id.0),
        };
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// The place of a number; with no places, that of none.
    fn place(&self, id: ContextId) -> usize {
        id.0 as usize & self.places.len().wrapping_sub(1)
    }

    /// Keeps a context whose number nobody has.
    fn put(&mut self, id: ContextId, context: Context) {
        self.len += 1;
        if self.len * 2 > self.places.len() && self.places.len() < MOST_PLACES {
            self.make_room();
        }
        self.put_down(id.0, context);
    }

    fn put_down(&mut self, id: u32, context: Context) {
        let place = self.place(ContextId(id));
        match self.places.get_mut(place) {
            Some(slot @ None) => *slot = Some((id, context)),
            _ => drop(self.aside.insert(id, context)),
        }
    }

    /// Doubles the places. Those that were aside may find one.
    fn make_room(&mut self) {
        let count = (self.places.len() * 2).max(16);
        let places = std::mem::take(&mut self.places);
        let aside = std::mem::take(&mut self.aside);
        self.places.resize_with(count, || None);
        for (id, context) in places.into_iter().flatten().chain(aside) {
            self.put_down(id, context);
        }
    }

    /// The root that `id` belongs to, or is.
    pub fn root_of(&self, id: ContextId) -> Option<(ContextId, &RootConfig)> {
        let root = match self.get(id)? {
            Context::Root(_) => id,
            Context::Stream { root, .. } => *root,
        };
        match self.get(root)? {
            Context::Root(config) => Some((root, config)),
            Context::Stream { .. } => None,
        }
    }

    /// The embedder's name for the stream of a context, while there is one.
    pub fn token_of(&self, id: ContextId) -> Option<StreamToken> {
        match self.get(id) {
            Some(Context::Stream { token, .. }) => *token,
            _ => None,
        }
    }

    /// The streams of all contexts that have one.
    pub fn streams(&self) -> impl Iterator<Item = StreamToken> + '_ {
        let placed = self.places.iter().flatten().map(|(_, context)| context);
        placed.chain(self.aside.values()).filter_map(|context| match context {
            Context::Stream { token, .. } => *token,
            Context::Root(_) => None,
        })
    }

    /// Adds a context under a number that was given out in another VM.
    pub fn insert_at(&mut self, id: ContextId, context: Context) {
        self.put(id, context);
    }

    /// The only context, if it is a root, and what numbers follow.
    pub fn only_root(&self) -> Option<(ContextId, Numbers)> {
        let mut contexts = self.places.iter().flatten().map(|(id, context)| (id, context)).chain(&self.aside);
        match (contexts.next(), contexts.next()) {
            (Some((id, Context::Root(_))), None) => {
                Some((ContextId(*id), Numbers { last: self.last, free: self.free.clone() }))
            }
            _ => None,
        }
    }

    /// Goes on with these numbers, when `root` is the only context. Answers whether it is.
    pub fn put_back(&mut self, root: ContextId, numbers: &Numbers) -> bool {
        self.last = numbers.last;
        self.free.clone_from(&numbers.free);
        self.len == 1 && matches!(self.get(root), Some(Context::Root(_)))
    }

    /// How many contexts there are.
    pub fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(token: usize) -> Context {
        Context::Stream { root: ContextId(1), token: Some(StreamToken(token)), pending_done: false, fuel: 0 }
    }

    fn add(contexts: &mut Contexts, token: usize) -> ContextId {
        contexts.insert(stream(token), |_| true)
    }

    #[test]
    fn contexts_are_found_however_many_there_are() {
        let mut contexts = Contexts::new(false);
        let count = 3 * MOST_PLACES;
        let ids: Vec<_> = (0..count).map(|token| add(&mut contexts, token)).collect();
        assert_eq!(contexts.len(), count);
        assert_eq!(contexts.places.len(), MOST_PLACES);
        for (token, id) in ids.iter().enumerate() {
            assert_eq!(contexts.token_of(*id), Some(StreamToken(token)));
        }
        let mut streams: Vec<_> = contexts.streams().map(|token| token.0).collect();
        streams.sort_unstable();
        assert!(streams.into_iter().eq(0..count));
        for id in &ids {
            assert!(contexts.remove(*id).is_some());
            assert!(contexts.get(*id).is_none() && contexts.get_mut(*id).is_none());
            assert!(contexts.remove(*id).is_none());
        }
        assert_eq!((contexts.len(), contexts.aside.len()), (0, 0));
    }

    #[test]
    fn those_that_stay_long_keep_their_numbers_while_others_come_and_go() {
        let mut contexts = Contexts::new(false);
        let old: Vec<_> = (0..20).map(|token| add(&mut contexts, token)).collect();
        for token in 100..10_000 {
            let id = add(&mut contexts, token);
            assert!(!old.contains(&id));
            assert_eq!(contexts.token_of(id), Some(StreamToken(token)));
            assert!(contexts.abandon(id).is_some());
        }
        for (token, id) in old.into_iter().enumerate() {
            assert_eq!(contexts.token_of(id), Some(StreamToken(token)));
        }
        // Few places are enough for few contexts.
        assert_eq!((contexts.len(), contexts.places.len()), (20, 64));
    }

    #[test]
    fn numbers_that_are_in_use_are_passed_over_when_they_come_again() {
        let mut contexts = Contexts::new(false);
        let first = add(&mut contexts, 0);
        assert_eq!(first, ContextId(1));
        contexts.last = u32::MAX - 1;
        assert_eq!(add(&mut contexts, 1), ContextId(u32::MAX));
        assert_eq!(add(&mut contexts, 2), ContextId(2));
        assert_eq!(contexts.token_of(first), Some(StreamToken(0)));
    }

    #[test]
    fn numbers_are_given_out_again_only_if_asked_for_and_only_when_the_guest_has_deleted_them() {
        let mut contexts = Contexts::new(true);
        let (first, second) = (add(&mut contexts, 0), add(&mut contexts, 1));
        contexts.remove(first);
        contexts.abandon(second);
        assert_eq!(contexts.insert(stream(2), |_| false), ContextId(3));
        assert_eq!(add(&mut contexts, 3), first);
        assert_eq!(add(&mut contexts, 4), ContextId(4));
    }
}
