//! Images of VMs: an instance whose start is over, kept with all that its host knows of it, so that an instance can be put back
//! to it after each request, and others can be made from it. `ngx_module` does so where each request has an instance to itself.
//!
//! Nothing of a request must be left in what is put back, so whatever cannot be put back for certain is refused: then the VM has to
//! be dropped.

use std::sync::Arc;
use std::time::Duration;

use super::config::{RootConfig, VmConfig};
use super::context::Context;
use super::ids::ContextId;
use super::module::Module;
use super::root_id::RootIdUse;
use super::state::StateImage;
use super::vm::Vm;
use crate::vm::Image;

/// What a VM with one root context was before it had a stream.
#[derive(PartialEq)]
pub struct VmImage {
    instance: Image,
    state: StateImage,
    root_id_use: RootIdUse,
}

impl VmImage {
    /// The root context.
    pub fn root(&self) -> ContextId {
        self.state.root
    }

    /// Bytes of memory that each VM made from it has for itself, at least.
    pub fn own_memory(&self) -> usize {
        self.instance.changed_bytes()
    }
}

impl Vm {
    /// Keeps what the VM is now, right after its root context has started. The error says why it cannot be kept: the root
    /// context waits for something that a request's instance would have to itself (a timer, messages, a call), or has what
    /// cannot be kept.
    pub fn image(&mut self) -> Result<VmImage, String> {
        if self.is_dead() {
            return Err("it has trapped".into());
        }
        let state = self.state.image()?;
        Ok(VmImage { instance: self.instance.snapshot()?, state, root_id_use: self.root_id_use })
    }

    /// Makes the VM what the image says, from which it was made, or which was made of it. What it counts goes on. After an error it
    /// must be dropped.
    pub fn put_back(&mut self, image: &VmImage) -> Result<(), String> {
        if self.is_dead() {
            return Err("it has trapped".into());
        }
        self.state.put_back(&image.state)?;
        self.root_id_use = image.root_id_use;
        self.instance.restore(&image.instance)
    }

    /// Makes a VM with a root context that is what the image says, of another VM with the same configurations. None of its
    /// callbacks run.
    pub fn from_image(
        module: &Arc<Module>,
        config: VmConfig,
        root: RootConfig,
        image: &VmImage,
        timeout: Duration,
    ) -> Result<Vm, String> {
        let limits = config.limits;
        let (callbacks, mut state) = Vm::prepare(module, config).map_err(|err| err.to_string())?;
        state.contexts.insert_at(image.root(), Context::Root(Box::new(root)));
        state.put_back(&image.state)?;
        let made = module.program.instantiate_from(&image.instance, limits, timeout.into());
        let mut instance = made.map_err(|err| err.to_string())?;
        instance.count_cpu_time(false);
        Ok(Vm::of(instance, callbacks, state, image.root_id_use))
    }
}
