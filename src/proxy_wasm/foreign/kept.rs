//! What foreign functions keep from one call to the next.

use std::collections::HashMap;

#[cfg(feature = "cel")]
use super::expression_table::Expressions;
use crate::proxy_wasm::filter_state::Prototype;
use crate::proxy_wasm::ids::ContextId;

/// How many properties a root context can declare, and how long their names are.
pub(super) const MAX_DECLARED: usize = 1024;
pub(super) const MAX_NAME: usize = 1024;

/// What foreign functions keep for a VM; that of a root context goes with it.
#[derive(Default)]
pub(in crate::proxy_wasm) struct Kept {
    pub declared: Declared,
    #[cfg(feature = "cel")]
    pub(super) expressions: Expressions,
}

impl Kept {
    /// The properties that are declared, if nothing else is kept: expressions are not copied.
    pub fn declared_alone(&self) -> Option<&Declared> {
        #[cfg(feature = "cel")]
        if !self.expressions.0.is_empty() {
            return None;
        }
        Some(&self.declared)
    }

    /// Keeps these declarations, and nothing else.
    pub fn put_back(&mut self, declarations: &Declared) {
        #[cfg(feature = "cel")]
        self.expressions.0.clear();
        if self.declared != *declarations {
            self.declared.clone_from(declarations);
        }
    }

    /// A root context has ended.
    pub fn forget(&mut self, root: ContextId) {
        self.declared.forget(root);
        #[cfg(feature = "cel")]
        self.expressions.forget(root);
    }
}

/// The properties that root contexts have declared.
#[derive(Clone, Default, PartialEq)]
pub(in crate::proxy_wasm) struct Declared(pub HashMap<ContextId, HashMap<Vec<u8>, Prototype>>);

impl Declared {
    pub fn forget(&mut self, root: ContextId) {
        self.0.remove(&root);
    }
}
