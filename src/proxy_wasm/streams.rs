//! Stream contexts of a VM: how they are made, and how they end. `vm.rs` has the callbacks between.

use super::callbacks::Callback;
use super::context::Context;
use super::errors::CallError;
use super::host::Host;
use super::ids::{ContextId, StreamToken};
use super::vm::Vm;

impl Vm {
    /// Makes a stream context below `root`.
    pub fn create_stream(
        &mut self,
        root: ContextId,
        token: StreamToken,
        host: &mut dyn Host,
    ) -> Result<ContextId, CallError> {
        let id = self.add_stream(root, token);
        if let Err(err) = self.call(Callback::OnContextCreate, id, &[id.0, root.0], host) {
            self.state.contexts.abandon(id);
            return Err(err);
        }
        Ok(id)
    }

    /// As [`Vm::create_stream`] for a module that has no callback about that.
    pub fn add_stream(&mut self, root: ContextId, token: StreamToken) -> ContextId {
        self.state.new_context(Context::Stream {
            root,
            token: Some(token),
            pending_done: false,
            fuel: self.state.config.fuel.unwrap_or_default(),
        })
    }

    /// As [`Vm::end_stream`], if the module has no callback about the end of a stream; answers whether that is so.
    pub fn end_unheard_stream(&mut self, id: ContextId) -> bool {
        let is_heard = [Callback::OnDone, Callback::OnLog, Callback::OnDelete].iter().any(|end| self.has(*end));
        if !is_heard {
            self.state.remove_stream(id);
        }
        !is_heard
    }

    /// Ends a stream context: on_done, on_log, on_delete. When on_done answers false, the last two wait for the guest's
    /// proxy_done, and find no stream then.
    pub fn end_stream(&mut self, id: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        let done = self.call(Callback::OnDone, id, &[id.0], host)?;
        if done == Some(0) {
            if let Some(Context::Stream { token, pending_done, .. }) = self.state.contexts.get_mut(id) {
                *token = None;
                *pending_done = true;
                self.state.pending.push_back(id);
            }
            return self.end_longest_pending(host);
        }
        self.delete(id, host)
    }

    /// Ends contexts that have waited for proxy_done when they are too many: a guest that never calls it would fill the
    /// memory of its host.
    fn end_longest_pending(&mut self, host: &mut dyn Host) -> Result<(), CallError> {
        while self.state.pending.len() > self.state.config.max_pending {
            let Some(id) = self.state.pending.pop_front() else { break };
            if let Some(Context::Stream { pending_done, .. }) = self.state.contexts.get_mut(id) {
                // A proxy_done that comes in its last callbacks comes too late.
                *pending_done = false;
            }
            let max = self.state.config.max_pending;
            self.state.warn_rarely(
                host,
                "contexts that wait",
                &format!("{max} contexts wait for proxy_done; those that have waited longest are ended"),
            );
            host.select(None);
            self.delete(id, host)?;
        }
        Ok(())
    }

    /// Forgets a context without a word to the guest, which has trapped or cannot be told.
    pub fn forget(&mut self, id: ContextId) {
        self.state.pending.retain(|pending| *pending != id);
        self.state.contexts.abandon(id);
    }

    /// Runs the last two callbacks about a stream.
    pub(super) fn delete(&mut self, id: ContextId, host: &mut dyn Host) -> Result<(), CallError> {
        self.call(Callback::OnLog, id, &[id.0], host)?;
        self.call(Callback::OnDelete, id, &[id.0], host)?;
        self.state.remove_stream(id);
        Ok(())
    }
}
