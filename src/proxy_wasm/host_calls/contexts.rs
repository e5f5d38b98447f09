//! `proxy_set_effective_context`, `proxy_done`.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::context::Context;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "proxy_set_effective_context",
        types: &[("i", "i")],
        when_denied: Denied::Fails,
        run: Run::Status(set_effective_context),
    },
    Row { name: "proxy_done", types: &[("", "i")], when_denied: Denied::Fails, run: Run::Status(done) },
];

/// Until the callback ends, host calls are about this context. One that waits for its proxy_done can be chosen, which is
/// the way to call that, though its stream has gone.
fn set_effective_context(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id] = args(raw);
    let id = ContextId(id);
    let stream = match call.state.contexts.get(id) {
        Some(Context::Root(_)) => None,
        Some(Context::Stream { token, .. }) => *token,
        None => return Err(Status::BadArgument.into()),
    };
    if !call.host.select(stream) {
        return Err(Status::BadArgument.into());
    }
    call.host.about(id);
    call.state.set_effective(id);
    Ok(())
}

/// Ends a context whose on_done answered false; what follows from it happens after the callback.
fn done(call: &mut HostCall<'_>, _: &[u64]) -> Result<(), Failure> {
    let id = call.context();
    match call.state.contexts.get_mut(id) {
        Some(Context::Stream { pending_done: pending @ true, .. }) => *pending = false,
        _ => return Err(Status::NotFound.into()),
    }
    call.state.finished(id);
    Ok(())
}
