//! What foreign functions keep from one call to the next.

use std::collections::HashMap;

use super::cel::Expression;
use crate::proxy_wasm::filter_state::Prototype;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::types::Status;

/// What a root context can keep: expressions, bytes of their texts, and regular expressions in them.
pub(super) const MAX_EXPRESSIONS: usize = 1024;
pub(super) const MAX_TEXT: usize = 256 << 10;
pub(super) const MAX_PATTERNS: usize = 64;

/// How many properties a root context can declare, and how long their names are.
pub(super) const MAX_DECLARED: usize = 1024;
pub(super) const MAX_NAME: usize = 1024;

/// What foreign functions keep for a VM; that of a root context goes with it.
#[derive(Default)]
pub(in crate::proxy_wasm) struct Kept {
    pub declared: Declared,
    pub(super) expressions: Expressions,
}

impl Kept {
    /// The properties that are declared, if nothing else is kept: expressions are not copied.
    pub fn declared_alone(&self) -> Option<&Declared> {
        self.expressions.0.is_empty().then_some(&self.declared)
    }

    /// Keeps these declarations, and nothing else.
    pub fn put_back(&mut self, declarations: &Declared) {
        let Kept { declared, expressions } = self;
        expressions.0.clear();
        if declared != declarations {
            declared.clone_from(declarations);
        }
    }

    /// A root context has ended.
    pub fn forget(&mut self, root: ContextId) {
        self.declared.forget(root);
        self.expressions.forget(root);
    }
}

/// The expressions of all root contexts.
#[derive(Default)]
pub(super) struct Expressions(pub HashMap<ContextId, Table>);

#[derive(Default)]
pub(super) struct Table {
    pub live: HashMap<u32, (Expression, usize)>,
    next: u32,
    text: usize,
    patterns: usize,
}

impl Expressions {
    pub fn forget(&mut self, root: ContextId) {
        self.0.remove(&root);
    }
}

impl Table {
    pub fn add(&mut self, expression: Expression, text: usize) -> Result<u32, Status> {
        let (all_text, patterns) = (self.text + text, self.patterns + expression.patterns());
        if self.live.len() >= MAX_EXPRESSIONS || all_text > MAX_TEXT || patterns > MAX_PATTERNS {
            return Err(Status::InternalFailure);
        }
        while self.live.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let token = self.next;
        self.next = token.wrapping_add(1);
        self.live.insert(token, (expression, text));
        (self.text, self.patterns) = (all_text, patterns);
        Ok(token)
    }

    pub fn remove(&mut self, token: u32) {
        if let Some((expression, text)) = self.live.remove(&token) {
            self.text -= text;
            self.patterns -= expression.patterns();
        }
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
