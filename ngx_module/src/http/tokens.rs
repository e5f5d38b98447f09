//! The tokens by which VMs and calls know the requests of this worker. `request.rs` gives them out; `host/`, `for_filters.rs` and Lua
//! look them up.

use std::cell::RefCell;

use ngx_wasm::proxy_wasm::StreamToken;
use ngx_wasm::tokens::Tokens;

use super::request::Request;
use crate::nginx::pool::Kept;

thread_local! {
    static TOKENS: RefCell<Tokens<Kept<Request>>> = RefCell::default();
}

/// A token that no request has. `None`: there are too many requests.
pub fn reserve() -> Option<StreamToken> {
    TOKENS.with_borrow_mut(Tokens::reserve)
}

/// Has a token of [`reserve`] lead to a request.
pub fn give(token: StreamToken, request: Kept<Request>) {
    TOKENS.with_borrow_mut(|tokens| tokens.set(token, request));
}

/// The request that a token means, while it is there.
pub fn find(token: StreamToken) -> Option<Kept<Request>> {
    TOKENS.with_borrow(|tokens| tokens.get(token))
}

/// The request of a token ends.
pub fn take_back(token: StreamToken) {
    TOKENS.with_borrow_mut(|tokens| tokens.take_back(token));
}
