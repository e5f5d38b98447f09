//! The expressions that filters have made (`expressions.rs`) and not ended, by root context and number, within their bounds.

use std::collections::HashMap;

use super::cel::Expression;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::types::Status;

/// What a root context can keep: expressions, bytes of their texts, and regular expressions in them.
pub(super) const MAX_EXPRESSIONS: usize = 1024;
pub(super) const MAX_TEXT: usize = 256 << 10;
pub(super) const MAX_PATTERNS: usize = 64;

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
