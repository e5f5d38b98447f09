//! The tokens by which VMs and calls know the requests of this worker. `request.rs` gives them out; `host/`, `for_filters.rs` and Lua
//! look them up.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use ngx_wasm::proxy_wasm::StreamToken;
use ngx_wasm::tokens::Tokens;

use super::request::Request;
use crate::nginx::pool::Kept;

thread_local! {
    /// Those of this thread, as long as the process: without anything to do at its end, reaching it costs least.
    static TOKENS: ManuallyDrop<RefCell<Tokens<Kept<Request>>>> =
        const { ManuallyDrop::new(RefCell::new(Tokens::new())) };
}

/// A token that leads to a request. `None`: there are too many requests.
pub fn give(request: Kept<Request>) -> Option<StreamToken> {
    TOKENS.with(|tokens| tokens.borrow_mut().give(request))
}

/// The request that a token means, while it is there.
pub fn find(token: StreamToken) -> Option<Kept<Request>> {
    TOKENS.with(|tokens| tokens.borrow().get(token))
}

/// The request of a token ends.
pub fn take_back(token: StreamToken) {
    TOKENS.with(|tokens| tokens.borrow_mut().take_back(token));
}
