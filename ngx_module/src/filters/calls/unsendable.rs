//! Calls to services that there are, with something in them that no message can say: they fail at once, as others do that find
//! nobody. `mod.rs` starts them.

use std::rc::Rc;

use ngx_wasm::proxy_wasm::{CallFailure, UnsendableCall};

use super::{Call, Owner};

/// Tells the guest, in a callback of its own: it is not to be entered while it makes the call.
pub fn run(owner: Rc<Owner>, call: UnsendableCall) -> Call {
    Box::pin(async move {
        // It is not counted: nothing of it has gone to anybody.
        let UnsendableCall { id, target, reason } = call;
        let failure = CallFailure { reason };
        owner.log_failed_call(id, &target, &failure);
        owner.deliver(id, |vm, host| vm.on_unsendable(id, failure.reason, host));
        owner.forget(id);
    })
}
