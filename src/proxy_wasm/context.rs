//! The contexts of a VM: roots (one for each configuration) and streams, with one counter of identifiers for both.
//! Source: specification 0.2.1, "Contexts".

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::config::RootConfig;
use super::ids::{ContextId, StreamToken};

/// What the host keeps of a context.
pub(super) enum Context {
    /// A root context, with its configuration.
    Root(RootConfig),
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

/// All contexts of a VM.
#[derive(Default)]
pub(super) struct Contexts {
    map: HashMap<u32, Context, BuildHasherDefault<IdHasher>>,
    last: u32,
    /// Numbers to give out again, the last freed first; none are kept unless asked for.
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
            let id = free.remove(place);
            self.map.insert(id, context);
            return ContextId(id);
        }
        loop {
            // After 4 billion contexts numbers come again; those still in use are passed over.
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.map.contains_key(&self.last) {
                self.map.insert(self.last, context);
                return ContextId(self.last);
            }
        }
    }

    pub fn get(&self, id: ContextId) -> Option<&Context> {
        self.map.get(&id.0)
    }

    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        self.map.get_mut(&id.0)
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
        self.map.remove(&id.0)
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
        self.map.values().filter_map(|context| match context {
            Context::Stream { token, .. } => *token,
            Context::Root(_) => None,
        })
    }

    /// How many contexts there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }
}

/// Context numbers are given out by the host, so spreading them needs no cryptography.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
